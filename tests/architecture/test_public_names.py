"""Every public name says what it is, and what its arguments and results are."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import fourfold
from fourfold import errors

NAMES = sorted(set(fourfold.__all__) - {"__version__"})
ARRAYS = {"Upscaler.upscale", "Upscaler.tiles"}
RAISING = {
    "Upscaler",
    "Upscaler.upscale",
    "plan",
    "run",
    "upscale_bytes",
    "upscale_file",
    "upscale_video",
}


def members() -> dict[str, Any]:
    """Public names and the public methods of public classes."""
    found: dict[str, Any] = {}
    for name in NAMES:
        value = getattr(fourfold, name)
        found[name] = value
        for inner, member in vars(value).items() if inspect.isclass(value) else ():
            if (
                not inner.startswith("_")
                and isinstance(member, property | staticmethod | classmethod)
            ) or (not inner.startswith("_") and inspect.isfunction(member)):
                found[f"{name}.{inner}"] = member
    return found


MEMBERS = members()


def doc(name: str) -> str:
    return inspect.getdoc(MEMBERS[name]) or ""


@pytest.mark.parametrize("name", MEMBERS)
def test_it_has_a_docstring(name: str) -> None:
    assert len(doc(name)) > 5


@pytest.mark.parametrize("name", sorted(RAISING))
def test_it_says_what_it_raises(name: str) -> None:
    known = [*errors.__all__, "Cancelled", "InterruptedError"]
    assert re.search(rf"Raises.*`({'|'.join(known)})`|Raises as", doc(name), re.S)


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_it_says_the_shapes_and_ranges(name: str) -> None:
    assert re.search(r"`\(\w+, \w+.*\)`", doc(name))


@pytest.mark.parametrize("name", [n for n in NAMES if inspect.isfunction(MEMBERS[n])])
def test_functions_explain_their_arguments(name: str) -> None:
    arguments = [p for p in inspect.signature(MEMBERS[name]).parameters if p != "request"]
    if len(arguments) > 1:
        for argument in arguments:
            assert f"    {argument}: " in doc(name), argument


def test_fields_of_a_request_are_explained() -> None:
    for name, field in fourfold.Request.model_fields.items():
        assert field.description, name


def test_errors_are_explained() -> None:
    for name in errors.__all__:
        if name != "INSTALL":
            assert len(inspect.getdoc(getattr(errors, name)) or "") > 20, name
