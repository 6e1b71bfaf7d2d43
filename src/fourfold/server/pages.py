"""The page, health and figures: what is not about jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import FileResponse, RedirectResponse, Response

from fourfold._version import __version__
from fourfold.engine.choose import AUTO, choose
from fourfold.server.guard import COOKIE
from fourfold.server.options import Options
from fourfold.server.routes import service_of
from fourfold.server.service import Service
from fourfold.server.settings import owner_of
from fourfold.weights.zoo import BUNDLED, get_model

router = APIRouter()

_INDEX: Final = Path(__file__).parent / "page" / "index.html"
_Service = Annotated[Service, Depends(service_of)]


@router.get("/", include_in_schema=False)
def index(request: Request, service: _Service, token: Annotated[str, Query()] = "") -> Response:
    """The page; with `?token=` its browser is let in from then on."""
    settings = service.settings
    if token:
        known = owner_of(token) in {owner_of(one) for one in settings.tokens}
        # Relative, so that it holds behind any proxy.
        response = RedirectResponse("./" if known else "./?refused", 303)
        if known:
            response.set_cookie(
                COOKIE,
                token,
                max_age=30 * 24 * 3600,
                path=f"{settings.path}/",
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
        return response
    return FileResponse(_INDEX, media_type="text/html")


@router.get("/favicon.ico", include_in_schema=False)
def favicon() -> Response:
    """None; the page names its own."""
    return Response(status_code=204)


@router.get("/healthz")
async def health(service: _Service) -> dict[str, str]:
    """Whether the service answers."""
    return {"status": "ending" if service.ending.is_set() else "ok", "version": __version__}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(service: _Service) -> Response:
    """Figures for Prometheus."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/models")
def models(service: _Service) -> dict[str, Any]:
    """Names for the option `model`, what `auto` takes and why, and the names of all options."""
    known = []
    for name in BUNDLED:
        model = get_model(name)
        known.append({"name": name, "scale": model.scale, "license": model.license})
    auto = {kind: choose(kind)._asdict() for kind in ("still", "film")}
    limits = {
        "max_upload": service.settings.max_upload,
        "max_pixels": service.settings.max_pixels,
        "keep_hours": service.settings.keep_hours,
    }
    options = sorted(Options.model_fields)
    return {"models": known, AUTO: auto, "options": options, "limits": limits}


__all__ = ["router"]
