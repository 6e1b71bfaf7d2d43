"""What `Upscaler` promises, on tiny random networks."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold import Upscaler
from fourfold.engine import windows as module
from fourfold.errors import BackendOutOfMemory, ImageContractError, ModelNotFound, UsageError
from fourfold.imaging.resize import imresize
from fourfold.runtimes.backend import Tensor4
from tests.models import small_tiles, tiny_model

MODEL = tiny_model()
WHOLE = Upscaler(MODEL, precision="fp32", tile=4096)
TILED = {t: small_tiles(Upscaler(MODEL, precision="fp32"), t) for t in (1, 5, 16, 33)}
shapes = st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 4]))


def picture(shape: tuple[int, ...], seed: int = 0, dtype: Any = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype)
    if len(shape) == 3 and shape[2] in (2, 4):  # alpha with plateaus of both kinds
        height, width = shape[:2]
        image[: height // 2, : width // 2, -1] = 0
        image[height // 2 :, width // 2 :, -1] = np.iinfo(dtype).max
    return image


def difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())


@settings(max_examples=25, deadline=None)
@given(shapes, st.sampled_from([1, 5, 16, 33]), st.integers(0, 9))
def test_tiled_equals_whole(shape: tuple[int, int, int], tile: int, seed: int) -> None:
    if tile == 1:
        shape = (shape[0] // 5 + 1, shape[1] // 5 + 1, shape[2])
    image = picture(shape, seed)
    assert difference(TILED[tile].upscale(image), WHOLE.upscale(image)) <= 1


def test_tiled_equals_whole_run_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture((70, 95, 4))
    whole = WHOLE.upscale(image)
    monkeypatch.setattr(module, "WHOLE_SIDE", 1)
    monkeypatch.setattr(module, "UPSAMPLER_SIDE", 9)
    for tile in (4096, 40):
        parts = Upscaler(MODEL, precision="fp32", tile=tile).upscale(image)
        assert difference(parts, whole) <= 1


def test_tta_and_scales_are_tiled_exactly_too() -> None:
    for scale in (2, 4, 8):
        model = tiny_model(scale=scale, width=4)
        image = picture((23, 17, 3))
        results = [
            small_tiles(Upscaler(model, precision="fp32", tta=True), tile).upscale(image)
            for tile in (4096, 9)
        ]
        assert results[0].shape == (23 * scale, 17 * scale, 3)
        assert difference(*results) <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1, 3)])
def test_type_and_channels_come_back(dtype: Any, shape: tuple[int, ...]) -> None:
    image = picture(shape)
    image = (image / 255).astype(np.float32) if dtype == np.float32 else image.astype(dtype)
    sr = WHOLE.upscale(image)
    assert sr.dtype == dtype
    assert sr.shape == (shape[0] * 4, shape[1] * 4, *shape[2:])
    if dtype == np.float32:
        assert sr.min() >= 0
        assert sr.max() <= 1


def test_16_bit_is_computed_in_float_end_to_end() -> None:
    image = picture((12, 12, 3), dtype=np.uint16)
    sr = WHOLE.upscale(image)
    assert len(np.unique(sr & 0xFF)) > 100  # the lower byte is not a copy or zero
    exact = WHOLE.upscale(image.astype(np.float32) / np.float32(65535)) * 65535
    assert np.abs(sr - exact).max() <= 1


def test_neutral_pictures_stay_neutral_and_equal_the_grey_one() -> None:
    grey = picture((20, 22, 1))
    sr = WHOLE.upscale(np.repeat(grey, 3, axis=2))
    assert np.array_equal(sr[..., 0], sr[..., 1])
    assert np.array_equal(sr[..., 0], sr[..., 2])
    assert np.array_equal(sr[..., :1], WHOLE.upscale(grey))


def test_consistency_brings_the_input_back_and_removes_drift() -> None:
    image = imresize(picture((8, 8, 3)) // 2 + 64, 4)  # smooth, as pictures are
    with_step = WHOLE.upscale(image)
    without = Upscaler(MODEL, precision="fp32", consistency=False).upscale(image)

    def error(sr: np.ndarray) -> float:
        return float(np.abs(imresize(sr / 255.0, 0.25) * 255 - image).mean())

    assert error(with_step) < 0.1 * error(without)
    assert abs(with_step.mean() - image.mean()) < 0.5


def test_hidden_colours_do_not_bleed_and_plateaus_stay_exact() -> None:
    image = np.full((40, 40, 4), 200, np.uint8)
    image[..., 3] = 255
    image[:, :20, 3] = 0
    black, white = image.copy(), image.copy()
    black[:, :20, :3], white[:, :20, :3] = 0, 255
    first, second = WHOLE.upscale(black), WHOLE.upscale(white)
    assert np.array_equal(first[:, 80:], second[:, 80:])  # what is hidden does not matter
    assert (first[:, :76, 3] == 0).all()
    assert (first[:, 84:, 3] == 255).all()


def test_half_transparent_fields_get_no_texture() -> None:
    image = np.full((30, 40, 4), 90, np.uint8)
    image[..., 3] = 128
    image[:, 30:, 3] = 17
    alpha = WHOLE.upscale(image)[..., 3]
    assert (alpha[:, :112] == 128).all()
    assert (alpha[:, 128:] == 17).all()


def test_the_same_object_serves_many_threads() -> None:
    images = [picture((20, 20, 3), seed) for seed in range(8)]
    expected = [WHOLE.upscale(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(WHOLE.upscale, images))
    assert all(np.array_equal(a, b) for a, b in zip(results, expected, strict=True))


class Cramped:
    """A backend with memory for windows of up to `limit` pixels."""

    name, device, precision = "cramped", "cpu", "fp32"

    def __init__(self, inner: Any, limit: int) -> None:
        self.inner, self.limit = inner, limit

    def run(self, *inputs_nchw: Tensor4) -> list[Tensor4]:
        if inputs_nchw[0].shape[2] * inputs_nchw[0].shape[3] > self.limit:
            raise BackendOutOfMemory("no memory")
        return self.inner.run(*inputs_nchw)


def test_out_of_memory_halves_the_window_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    image = picture((70, 60, 3))
    up = Upscaler(MODEL, precision="fp32", tile=4096)
    opened = module.open_backend
    monkeypatch.setattr(module, "open_backend", lambda *a: Cramped(opened(*a), 50 * 60))
    with caplog.at_level(logging.WARNING):
        sr = up.upscale(image)
    assert difference(sr, WHOLE.upscale(image)) <= 1
    assert "out of memory" in caplog.text


def test_no_memory_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    up = Upscaler(MODEL, precision="fp32")
    opened = module.open_backend
    monkeypatch.setattr(module, "open_backend", lambda *a: Cramped(opened(*a), 10))
    with pytest.raises(BackendOutOfMemory, match="no memory even for"):
        up.upscale(picture((64, 64, 3)))


class Overflowing:
    """A backend whose half precision overflows."""

    name, device, precision = "overflowing", "cpu", "bf16"

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def run(self, *inputs_nchw: Tensor4) -> list[Tensor4]:
        return [np.full_like(y, np.nan) for y in self.inner.run(*inputs_nchw)]


def test_overflow_in_half_precision_is_computed_again_in_fp32(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    image = picture((20, 20, 3))
    up = Upscaler(MODEL, backend="torch", device="cpu", precision="bf16")
    opened = module.open_backend

    def open_broken(program: Any, choice: Any) -> Any:
        backend = opened(program, choice)
        return backend if choice.precision == "fp32" else Overflowing(backend)

    monkeypatch.setattr(module, "open_backend", open_broken)
    assert difference(up.upscale(image), WHOLE.upscale(image)) <= 1
    assert "once more in fp32" in caplog.text


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((4, 4), np.int64),
        np.full((4, 4), np.nan, np.float32),
        np.full((4, 4), 200, np.float32),
        [[1, 2]],
    ],
)
def test_other_arrays_are_refused(image: Any) -> None:
    with pytest.raises(ImageContractError, match="want"):
        WHOLE.upscale(image)


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "cuda"},
        {"device": "tpu"},
        {"precision": "int4"},
        {"tile": -1},
        {"tile": "big"},
        {"tile": 1},
        {"tile": True},
        {"tta": "no"},
        {"consistency": "no"},
        {"max_memory": 10},
        {"texture": "half"},
        {"texture": True},
        {"backend": []},
        {"max_memory": "lots"},
        {"texture": 2.0},
        {"backend": "openvino", "device": "cuda"},
        {"backend": "onnxruntime", "precision": "bf16"},
    ],
)
def test_wrong_options_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="want"):
        Upscaler(**options).upscale(picture((4, 4, 3)))


def test_texture_needs_the_bundled_models() -> None:
    with pytest.raises(UsageError, match="blends"):
        Upscaler(MODEL, texture=0.5)
    with pytest.raises(ModelNotFound):
        Upscaler("nothing")
