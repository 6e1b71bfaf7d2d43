"""Convolutions of bytes: who may have them, and that they compute what the facts say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fourfold.engine.upscaler import Upscaler
from fourfold.errors import UsageError
from fourfold.runtimes import int8 as module
from fourfold.runtimes import select
from fourfold.runtimes.openvino import cpu_precisions
from fourfold.weights.format import Model
from tests.models import in_bytes, plain_network, small_tiles, tiny_model

vnni = pytest.mark.skipif("int8" not in cpu_precisions(), reason="this CPU has no VNNI")


def plain_model() -> Model:
    graph, tensors = plain_network()
    model = replace(tiny_model(), architecture="plain", tensors=tensors, layout=graph)
    return in_bytes(model)


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def rounded(model: Model) -> Model:
    """fp32 whose kernels are those of the bytes, so that only inputs are rounded besides."""
    assert model.int8 is not None
    tensors = dict(model.tensors)
    for name, conv in model.int8.convs.items():
        kernel = conv.weight * conv.scales[:, None, None, None] / conv.steps[:, None, None]
        tensors[f"{name}.weight"] = np.float32(kernel)
    return replace(model, tensors=tensors)


@vnni
@pytest.mark.parametrize("make", [plain_model, lambda: in_bytes(tiny_model())])
def test_it_computes_what_the_bytes_say(make: object) -> None:
    model: Model = make()  # type: ignore[operator]
    lr = picture(40, 50, 3)
    now = Upscaler(model, precision="int8").upscale(lr).astype(int)
    wanted = Upscaler(rounded(model), precision="fp32").upscale(lr)
    exact = Upscaler(model, precision="fp32").upscale(lr)
    assert np.abs(now - exact).max() > 0
    assert np.abs(now - wanted).mean() < 3


@vnni
@pytest.mark.parametrize("make", [plain_model, lambda: in_bytes(tiny_model())])
def test_tiles_and_lanes_equal_the_whole(make: object) -> None:
    model: Model = make()  # type: ignore[operator]
    lr = picture(90, 70, 3)
    up = Upscaler(model, precision="int8")
    assert up._runs_pixels() == (model.architecture == "plain")
    whole = up.upscale(lr).astype(int)
    for other in (
        small_tiles(Upscaler(model, precision="int8"), 40),
        up.for_frames(90, 70),
    ):
        assert np.abs(other.upscale(lr) - whole).max() <= 1


@vnni
def test_parts_come_near_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    lr, model = picture(60, 70, 3), in_bytes(tiny_model())
    whole = Upscaler(model, precision="int8").upscale(lr).astype(int)
    monkeypatch.setattr("fourfold.engine.windows.WHOLE_SIDE", 16)
    parts = Upscaler(model, precision="int8")
    assert len(parts.network.parts) == 2
    # Between the parts values are not rounded to bf16, which moves a byte here and there.
    assert np.abs(parts.upscale(lr) - whole).mean() < 2


def test_auto_takes_it_only_where_the_file_says_it_is_exact_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for native in (("fp32",), ("fp32", "bf16"), ("fp32", "bf16", "int8")):
        monkeypatch.setattr(select, "cpu_precisions", lambda native=native: native)
        for db in (50.9, 51.0):
            facts = in_bytes(tiny_model(), db=db).int8
            chosen = select.choose(backend="openvino", device="cpu", int8=facts)
            wanted = "int8" if db >= 51 and "int8" in native else native[:2][-1]
            assert chosen.precision == wanted
        assert select.choose(backend="openvino", device="cpu").precision == native[:2][-1]
        assert select.choose(backend="torch", device="cpu", int8=facts).precision == "fp32"


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_other_backends_refuse_it_in_one_line(backend: str) -> None:
    with pytest.raises(UsageError, match=f"int8.*openvino.*got {backend}"):
        Upscaler(in_bytes(tiny_model()), backend=backend, precision="int8", device="cpu")


def test_a_model_without_facts_is_refused_in_one_line() -> None:
    with pytest.raises(
        UsageError, match="got one without; make it with `fourfold models quantize`"
    ):
        Upscaler(tiny_model(), precision="int8", backend="openvino", device="cpu")


@pytest.mark.parametrize(
    ("flags", "machine", "wanted"),
    [
        ("fpu avx512f avx512_vnni", "x86_64", True),
        ("fpu avx2 avx_vnni", "AMD64", True),
        ("fpu avx2 avx512f", "x86_64", False),
        ("avx512_vnni", "aarch64", False),
        (None, "x86_64", False),
    ],
)
def test_what_the_cpu_says_of_itself(
    flags: str | None, machine: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(self: Path, **_: object) -> str:
        if flags is None:
            raise FileNotFoundError
        return f"processor\t: 0\nflags\t\t: {flags}\nbugs\t: none\n"

    monkeypatch.setattr(module.Path, "read_text", read)
    monkeypatch.setattr(module.platform, "machine", lambda: machine)
    assert module.multiplies_bytes.__wrapped__() is wanted
