"""Other projects' torch networks: converted once to ONNX where that is the same, else run by torch."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import lcm
from pathlib import Path
from typing import Any, Final

import numpy as np

from fourfold.errors import FourfoldError, ModelError, OutputError
from fourfold.files.paths import atomic_path
from fourfold.runtimes.onnx_file import read_onnx
from fourfold.runtimes.openvino import cache_dir, open_openvino
from fourfold.runtimes.program import OnnxProgram, Program, SizeRule, TorchProgram, Traits
from fourfold.runtimes.torch import open_torch
from fourfold.weights.format import is_other
from fourfold.weights.readers.foreign import Foreign, read_foreign

logger = logging.getLogger(__name__)

TOLERANCE: Final = 1e-3
"""Largest difference between torch and ONNX, of full scale; a step of 8 bits is four times that."""

_TRACED: Final = (56, 72)
_TRIED: Final = ((40, 52), (85, 67))
"""Heights and widths that the conversion is tried on, beyond the one it was made with."""

_OPSET: Final = 17
_FORMAT: Final = "1"
"""Of what is kept; another one is made anew."""


@dataclass(frozen=True, slots=True)
class Converted:
    """Programs of a file, what it says of itself, and why torch runs it where it does."""

    whole: Program
    parts: tuple[Program, ...]
    sha256: str
    facts: dict[str, Any]
    why_torch: str | None = None


def is_foreign(path: Path) -> bool:
    """Whether a model file is one for `open_foreign`."""
    suffix = path.suffix.lower()
    return suffix == ".pth" or (suffix == ".safetensors" and is_other(path))


def open_foreign(path: Path, *, torch: bool = False) -> Converted:
    """The programs of a `.pth` or `.safetensors` file of another project.

    The first time it is converted and compared; from then on neither torch nor spandrel is needed.
    With `torch`, or where the conversion fails, the torch module itself runs. Raises `ModelError`
    and `MissingExtra` as `read_foreign` does.
    """
    sha256 = _sha256(path)
    kept = cache_dir().parent / "converted" / f"{sha256}.onnx"
    if not torch and (found := _kept(kept, sha256)) is not None:
        return found
    foreign = read_foreign(path)
    traits = _traits(foreign)
    program = TorchProgram(foreign.module, traits)
    facts = _facts(foreign)
    if torch:
        return Converted(program, (program,), sha256, facts)
    why = _why_not(kept)
    if why is None:
        try:
            logger.info("%s: converting %s to ONNX, once", path, foreign.architecture)
            content = _convert(program, facts)
            return _keep(kept, content, sha256) or _read(content, kept, sha256, facts)
        except FourfoldError as error:
            why = _line(error)
            _keep_reason(kept, why)
    logger.warning("%s runs by torch, since it cannot be converted: %s", path.name, why)
    return Converted(program, (program,), sha256, facts, why)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot read ({error.strerror or error})") from error


def _traits(foreign: Foreign) -> Traits:
    sizes = SizeRule(
        multiple=foreign.multiple,
        minimum=-(-foreign.minimum // foreign.multiple) * foreign.multiple,
        square=foreign.square,
    )
    side = sizes.fit(48, 48)
    return Traits(
        scale=foreign.scale,
        radius=None,
        floats_per_pixel=_live_floats(foreign, side),
        channels=foreign.channels,
        sizes=sizes,
        parameters=sum(p.numel() for p in foreign.module.parameters()),
    )


def _live_floats(foreign: Foreign, side: tuple[int, int]) -> int:
    """Numbers per input pixel: four times the largest value, as residual and attention keep them."""
    import torch

    largest = 0

    def look(_module: Any, _inputs: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, torch.Tensor):
            largest = max(largest, output.numel())

    hooks = [m.register_forward_hook(look) for m in foreign.module.modules()]
    try:
        with torch.inference_mode():
            sr = foreign.module(torch.full((1, foreign.channels, *side), 0.5))
    except Exception as error:  # whatever other people's modules raise
        raise ModelError(f"{foreign.architecture} cannot run: {_line(error)}") from error
    finally:
        for hook in hooks:
            hook.remove()
    wanted = (1, foreign.channels, side[0] * foreign.scale, side[1] * foreign.scale)
    if tuple(sr.shape) != wanted:
        raise ModelError(f"{foreign.architecture}: want {wanted} out, got {tuple(sr.shape)}")
    return 4 * -(-largest // (side[0] * side[1]))


def _facts(foreign: Foreign) -> dict[str, Any]:
    return {
        "architecture": foreign.architecture,
        "purpose": foreign.purpose,
        "tags": list(foreign.tags),
        "scale": foreign.scale,
        "channels": foreign.channels,
        "sizes": [foreign.multiple, foreign.minimum, foreign.square],
        "parameters": sum(p.numel() for p in foreign.module.parameters()),
    }


def _convert(program: TorchProgram, facts: dict[str, Any]) -> bytes:
    """As ONNX, equal to torch at `_TRIED`; `ModelError` says what is not."""
    import torch

    traits = program.traits
    side = traits.sizes.fit(*_TRACED)
    buffer: Any = io.BytesIO()  # this exporter writes to it, though its annotation has paths alone
    try:
        with warnings.catch_warnings(), torch.no_grad(), _silent_exporter():
            # Its tracer is deprecated, and warns of each size that a network computes; whether that
            # matters is what the comparison shows. The newer exporter needs packages of its own.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                program.module,
                (torch.rand(1, traits.channels, *side),),
                buffer,
                dynamo=False,
                opset_version=_OPSET,
                input_names=["lr"],
                output_names=["sr"],
                dynamic_axes={"lr": {2: "h", 3: "w"}, "sr": {2: "H", 3: "W"}},
            )
    except Exception as error:  # operations without an ONNX form, and much else
        raise ModelError(f"no ONNX form: {_line(error)}") from error
    content = _with_metadata(buffer.getvalue(), facts | {"floats": traits.floats_per_pixel})
    _compare(program, content)
    return content


@contextmanager
def _silent_exporter() -> Iterator[None]:
    """Without the whole network on standard output when an operation has no ONNX form.

    torch 2.13 asks whether its log is on by naming the function, not calling it, so it always is.
    """
    import torch

    log = getattr(torch._C, "_jit_onnx_log", None)
    if log is None:
        yield
        return
    torch._C._jit_onnx_log = lambda *_: None
    try:
        yield
    finally:
        torch._C._jit_onnx_log = log


def _with_metadata(content: bytes, facts: dict[str, Any]) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    for key, value in (("fourfold", _FORMAT), ("facts", json.dumps(facts))):
        model.metadata_props.add(key=key, value=value)
    written: bytes = model.SerializeToString()
    return written


def _compare(program: TorchProgram, content: bytes) -> None:
    traits = program.traits
    reference = open_torch(program, device="cpu", precision="fp32")
    candidate = open_openvino(OnnxProgram(content, traits), device="cpu", precision="fp32")
    rng = np.random.default_rng(0)
    for size in _TRIED:
        lr_nchw = rng.random((1, traits.channels, *traits.sizes.fit(*size)), np.float32)
        (wanted,), (got,) = reference.run(lr_nchw), candidate.run(lr_nchw)
        if wanted.shape != got.shape:
            raise ModelError(f"ONNX gives {got.shape} where torch gives {wanted.shape}")
        scale = max(1.0, float(np.abs(wanted).max()))
        difference = float(np.abs(wanted - got).max()) / scale
        if not difference <= TOLERANCE:
            raise ModelError(f"ONNX differs by {difference:.2g} of full scale at {lr_nchw.shape}")


def _keep(kept: Path, content: bytes, sha256: str) -> Converted | None:
    """Store the conversion and read it back; None where the cache cannot be written."""
    try:
        with atomic_path(kept) as part:
            part.write_bytes(content)
    except OutputError as error:
        logger.info("the conversion is not kept: %s", error)
        return None
    return _kept(kept, sha256)


def _kept(kept: Path, sha256: str) -> Converted | None:
    """What an earlier conversion left; None, and nothing left, where it is not usable."""
    if not kept.is_file():
        return None
    try:
        import onnx

        content = kept.read_bytes()
        model = onnx.load_from_string(content)
        props = {p.key: p.value for p in model.metadata_props}
        if props.get("fourfold") == _FORMAT:
            return _read(content, kept, sha256, json.loads(props["facts"]))
    except (ModelError, ValueError, KeyError, OSError) as error:
        logger.info("%s: converting again (%s)", kept, error)
    except Exception as error:  # protobuf's own
        logger.info("%s: converting again (%s)", kept, _line(error))
    kept.unlink(missing_ok=True)
    return None


def _read(content: bytes, kept: Path, sha256: str, facts: dict[str, Any]) -> Converted:
    found = read_onnx(kept, content=content)
    multiple, minimum, square = facts["sizes"]
    own = found.whole.traits.sizes
    step = lcm(own.multiple, multiple)
    sizes = SizeRule(
        multiple=step,
        minimum=-(-max(own.minimum, minimum) // step) * step,
        square=own.square or square,
    )
    traits = replace(found.whole.traits, sizes=sizes, parameters=facts["parameters"])
    if traits.radius is None:  # attention hides its shapes
        floats = max(traits.floats_per_pixel, facts.get("floats", 0))
        traits = replace(traits, floats_per_pixel=floats)
    whole = replace(found.whole, traits=traits)
    parts = found.parts if len(found.parts) > 1 else (whole,)
    return Converted(whole, parts, sha256, facts)


def _why_not(kept: Path) -> str | None:
    """Why an earlier conversion failed, with this torch and this format."""
    try:
        told = json.loads(kept.with_suffix(".json").read_text(encoding="utf-8"))
        return str(told["why"]) if told["by"] == _maker() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep_reason(kept: Path, why: str) -> None:
    try:
        with atomic_path(kept.with_suffix(".json")) as part:
            part.write_text(json.dumps({"by": _maker(), "why": why}), encoding="utf-8")
    except OutputError as error:
        logger.info("the reason is not kept: %s", error)


def _maker() -> str:
    from importlib.metadata import version

    return f"{_FORMAT} torch {version('torch')} openvino {version('openvino')}"


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


__all__ = ["TOLERANCE", "Converted", "is_foreign", "open_foreign"]
