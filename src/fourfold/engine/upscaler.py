"""Arrays in, larger arrays out: tiles, transparency, grey, consistency and self-ensemble.

The order of work for each tile is fixed: network (averaged over 8 flips and turns with `tta`),
back-projection, clipping. Every step is local, so a tile with enough context around it equals the
same part of the whole picture. Networks that look further than tiles can are blended instead.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, lcm
from pathlib import Path
from typing import Final

import numpy as np

from fourfold.engine.blend import RAMP, blend
from fourfold.engine.memory import parse_memory, parse_tile, plan_tile
from fourfold.engine.network import ATTENTION_GRID, Network, load_network
from fourfold.engine.tiles import Box, plan_tiles
from fourfold.errors import BackendError, BackendOutOfMemory
from fourfold.imaging.alpha import FILL_HALO, extend_colour, keep_plateaus
from fourfold.imaging.arrays import AnyImage, Image, check_picture, from_float, to_float
from fourfold.imaging.color import is_neutral, luma
from fourfold.imaging.consistency import CONSISTENCY_HALO, back_project
from fourfold.imaging.resize import imresize
from fourfold.imaging.turns import TURNS
from fourfold.runtimes.backend import Backend, Tensor4
from fourfold.runtimes.program import Program
from fourfold.runtimes.select import Choice, choose, open_backend, prefers_torch
from fourfold.weights.format import Model
from fourfold.weights.usage import BORDER
from fourfold.weights.zoo import DEFAULT_MODEL

logger = logging.getLogger(__name__)

Read = Callable[[Box], AnyImage]
"""Returns the pixels of a box of the source picture."""

Tick = Callable[[int], None]
"""Called after each tile with the number of result pixels it finished."""

WHOLE_SIDE: Final = 256
"""Tiles up to this side run any network in one piece; larger ones run in parts where it has some."""

UPSAMPLER_SIDE: Final = 128
"""Side of the windows of the upsampler, whose tensors are 16 times as large as the trunk's."""

_SMALLEST_TILE: Final = 16


class Upscaler:
    """Enlarges pictures with one network on one device. Thread-safe and reusable.

    Args:
        model: a bundled name (`srgan-x4`, `srresnet-x4`), one that `models get` brought, a
            `.safetensors`, `.pth`, `.onnx` or ncnn `.param` file, a training run folder, a loaded
            `Model`, or a `Network` (other people's torch modules).
        backend: `auto`, `openvino`, `onnxruntime` or `torch`.
        device: `auto`, `cpu`, `cuda` or `mps`.
        precision: `auto`, `fp32`, `bf16` or `fp16`.
        tile: side of the part of the LR picture that is kept from each window, or `auto`: as large
            as `max_memory` allows (0 is the same). The halo around it is computed from the network.
        texture: 0 (SRResNet) to 1 (SRGAN), blended in weight space; bundled models only.
        tta: average the 8 flips and quarter turns; 8 times the work.
        consistency: one back-projection step, so that the result downscaled equals the input, and
            mirrored borders. False: the network and nothing else, as scores are published. None:
            what the model's file says it needs. Off at scale 1, where it would undo the network.
        max_memory: what the process should stay under, such as `1GB`; `tile="auto"` obeys it.

    Raises `UsageError`, `ModelNotFound`, `ModelError` or `MissingExtra`.
    """

    def __init__(
        self,
        model: str | Path | Model | Network = DEFAULT_MODEL,
        *,
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        tile: int | str = "auto",
        texture: float | None = None,
        tta: bool = False,
        consistency: bool | None = None,
        max_memory: str | int = "1GB",
    ) -> None:
        as_torch = prefers_torch(backend=backend, device=device)
        self.network: Network = load_network(model, texture=texture, torch=as_torch)
        self.choice: Choice = choose(
            backend=backend,
            device=device,
            precision=precision,
            backends=self.network.whole.backends,
        )
        self.scale = self.network.scale
        usage = self.network.usage
        self.tta = tta
        wanted = usage.consistency if consistency is None else consistency
        self.consistency = wanted and self.scale > 1
        self._border = usage.shave if consistency is None else BORDER * self.consistency
        self._tile, self.max_memory = parse_tile(tile), parse_memory(max_memory)
        self._opened: dict[tuple[int, str], Backend] = {}
        self._lock = threading.Lock()

    def upscale(
        self,
        image: AnyImage,
        *,
        tick: Tick | None = None,
        stop: threading.Event | None = None,
    ) -> AnyImage:
        """The picture enlarged by `scale`, in its own type and number of channels, clipped.

        Args:
            image: `(H, W)` or `(H, W, 1|2|3|4)`; uint8, uint16, or float32 in [0, 1]. Two channels
                are grey and alpha, four are RGB and alpha, not premultiplied.
            tick: see `tiles`.
            stop: see `tiles`.

        Raises `ImageContractError` for other arrays, `InterruptedError` after `stop`.
        """
        check_picture(image)
        height, width = image.shape[:2]
        channels = image.shape[2] if image.ndim == 3 else 1
        pixels = image.reshape(height, width, channels)
        # A neutral picture in RGB runs as grey: no network can tint what it never sees as colour.
        neutral = channels >= 3 and is_neutral(pixels)
        source = pixels[..., 2:] if neutral else pixels
        result = np.empty((height * self.scale, width * self.scale, channels), image.dtype)
        count = source.shape[2]
        read = lambda box: source[box.rows, box.columns]  # noqa: E731
        for box, part in self.tiles(read, height, width, count, tick=tick, stop=stop):
            target = result[box.rows, box.columns]
            if neutral:
                target[..., :2] = part[..., :1]
                target[..., 2:] = part
            else:
                target[...] = part
        return result.reshape(*result.shape[:2], *image.shape[2:])

    def notes(self, height: int, width: int) -> tuple[str, ...]:
        """What there is to say about the result of a picture of this size."""
        told = () if self.network.note is None else (self.network.note,)
        if not self.network.blended or len(self._frame(height, width, transparent=False).plan) < 2:
            return told
        return (
            *told,
            f"{self.network.name} looks further than a tile: overlapping tiles are blended, which is "
            "not quite the result without tiles (a larger --tile and --max-memory come closer)",
        )

    def tiles(
        self,
        read: Read,
        height: int,
        width: int,
        channels: int,
        *,
        tick: Tick | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[tuple[Box, AnyImage]]:
        """Enlarge a picture of any size piece by piece.

        Args:
            read: gives the pixels of a box of the source, `(h, w, channels)`, one type throughout.
            height: of the source, in pixels.
            width: of the source, in pixels.
            channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
            tick: called for each piece.
            stop: once set, no further tile is begun and `InterruptedError` is raised.

        Yields (box in the result, its pixels), row by row; the boxes cover the result once.
        """
        transparent = channels in (2, 4)
        frame = self._frame(height, width, transparent=transparent)
        blended = self.network.blended and len(frame.plan) > 1
        dtypes: list[np.dtype] = []

        def lr_of(window: Box) -> Image:
            seen = window.grow(FILL_HALO, inside=frame.framed) if transparent else window
            there = seen.common(frame.picture)
            pixels = read(there.within(frame.picture))
            dtypes[:] = [pixels.dtype]
            lr = np.pad(to_float(pixels), there.margins(seen), mode="symmetric")
            if not transparent:
                return lr
            lr[..., :-1] = extend_colour(lr[..., :-1], lr[..., -1])
            inner = window.within(seen)
            return lr[inner.rows, inner.columns]

        def enlarged() -> Iterator[tuple[Box, Image]]:
            for kept, window in frame.plan:
                if stop is not None and stop.is_set():
                    raise InterruptedError("stopped between two tiles, as asked")
                wanted = kept.grow(RAMP, inside=frame.picture) if blended else kept
                real = window.common(frame.picture).within(window)
                yield kept, self._any_channels(lr_of(window), wanted.within(window), real)

        pieces = enlarged()
        if blended:
            pieces = blend(pieces, frame.picture, scale=self.scale)
        for box, sr in pieces:
            result = box.within(frame.picture).scaled(self.scale)
            yield result, from_float(sr, dtypes[0])
            if tick is not None:
                tick(result.area)

    def _frame(self, height: int, width: int, *, transparent: bool) -> _Frame:
        """The tiles of a picture, with its mirrored border and up to whole steps of the network."""
        step = self.network.step
        halo = self.network.halo
        halo += CONSISTENCY_HALO if self.consistency else 0
        halo += 1 if transparent else 0  # the plateaus of alpha look one pixel around
        border = ceil(min(self._border, halo) / step) * step
        # From here on boxes count from the corner of the picture with its mirrored border.
        bottom, right = (ceil((side + 2 * border) / step) * step for side in (height, width))
        framed = Box(0, bottom, 0, right)
        picture = Box(border, border + height, border, border + width)
        if self.network.blended:
            halo += RAMP
        tile = self._tile
        if tile is None:
            tile = plan_tile(self.network, framed, picture, halo=halo, budget=self.max_memory)
        if self.network.blended:
            tile = max(tile, 4 * RAMP)  # a plan's tiles are at least half as large
            step = lcm(step, ATTENTION_GRID)
            bottom, right = (ceil(side / step) * step for side in (bottom, right))
        planned = plan_tiles(bottom, right, tile=tile, halo=halo, region=picture, step=step)
        plan = [(kept, window.common(framed)) for kept, window in planned]
        logger.debug("%dx%d: tiles of %d with halos of %d", width, height, tile, halo)
        return _Frame(framed, picture, tuple(plan))

    def _any_channels(self, lr: Image, kept: Box, real: Box) -> Image:
        """The `kept` box of `lr` `(h, w, 1..4)`, enlarged, with as many channels, in [0, 1].

        Outside the box `real` of `lr` lie mirrored pixels.
        """
        if lr.shape[2] in (1, 3):
            return self._colour(lr, kept, real)
        sr = self._colour(lr[..., :-1], kept, real)
        alpha_sr = self._alpha(lr[..., -1], kept, real)
        return np.concatenate([sr, alpha_sr[..., None]], axis=2)

    def _alpha(self, alpha: Image, kept: Box, real: Box) -> Image:
        """Transparency goes through the network as a grey picture, but plateaus stay exact."""
        near = kept.grow(1, inside=real)
        around = alpha[near.rows, near.columns]
        first = around[0, 0]
        if (around == first).all():
            return np.full((kept.height * self.scale, kept.width * self.scale), first, np.float32)
        alpha_sr = keep_plateaus(self._colour(alpha[..., None], near, real)[..., 0], around)
        crop = kept.within(near).scaled(self.scale)
        return alpha_sr[crop.rows, crop.columns]

    def _colour(self, lr: Image, kept: Box, real: Box) -> Image:
        """Network and consistency for the `kept` box of `lr` `(h, w, 1|3)`, clipped to [0, 1]."""
        near = kept
        if self.consistency:
            near = kept.grow(CONSISTENCY_HALO, inside=real)
        sr = self._colours(lr, near)
        if self.consistency:
            sr = back_project(sr, lr[near.rows, near.columns])
        crop = kept.within(near).scaled(self.scale)
        return np.clip(sr[crop.rows, crop.columns], 0, 1)

    def _colours(self, lr: Image, kept: Box) -> Image:
        """The network's output with as many channels as `lr` has, 1 or 3, whichever it takes."""
        if lr.shape[2] == self.network.channels:
            return self._ensemble(lr, kept)
        if lr.shape[2] == 1:
            return luma(self._ensemble(np.repeat(lr, 3, axis=2), kept))[..., None]
        # A network of luma: colour is bicubic, as those who train such networks have it.
        sr = self._ensemble(luma(lr)[..., None], kept)
        crop = kept.scaled(self.scale)
        size = (lr.shape[0] * self.scale, lr.shape[1] * self.scale)
        rgb = imresize(lr, size=size)[crop.rows, crop.columns]
        coloured: Image = rgb + (sr - luma(rgb)[..., None])
        return coloured

    def _ensemble(self, lr: Image, kept: Box) -> Image:
        if not self.tta:
            return self._infer(lr, kept)
        total = np.zeros((*self._size(kept), lr.shape[2]), np.float32)
        for turn in TURNS:
            turned = np.ascontiguousarray(turn.do(lr))
            total += turn.undo(self._infer(turned, kept.turned(turn, *lr.shape[:2])))
        return total / np.float32(len(TURNS))

    def _infer(self, lr: Image, kept: Box) -> Image:
        """The network's output for the `kept` box of `lr` `(h, w, C)`.

        Out of memory: halves the box and tries again. Not finite (fp16 overflows on some GPUs):
        once more in fp32.
        """
        lr_nchw = np.ascontiguousarray(lr.transpose(2, 0, 1)[None])
        precision = self.choice.precision
        try:
            sr = self._run(lr_nchw, kept, precision)
        except BackendOutOfMemory:
            return self._infer_halves(lr, kept)
        if not np.isfinite(sr).all():
            if precision == "fp32":
                raise BackendError(
                    f"{self.network.name} gives NaN or infinity; its weights are unusable"
                )
            logger.warning("%s overflows in %s; once more in fp32", self.network.name, precision)
            sr = self._run(lr_nchw, kept, "fp32")
        image: Image = sr[0].transpose(1, 2, 0)
        return image

    def _infer_halves(self, lr: Image, kept: Box) -> Image:
        side = max(kept.height, kept.width) // 2
        if side < _SMALLEST_TILE:
            raise BackendOutOfMemory(f"no memory even for a tile of {2 * side} pixels; free some")
        logger.warning("out of memory; going on with tiles of %d pixels", side)
        height, width = lr.shape[:2]
        sr = np.empty((*self._size(kept), lr.shape[2]), np.float32)
        halo, step = self.network.halo, self.network.step
        plan = plan_tiles(height, width, tile=side, halo=halo, region=kept, step=step)
        for part, window in plan:
            into = part.within(kept).scaled(self.scale)
            piece = self._infer(lr[window.rows, window.columns], part.within(window))
            sr[into.rows, into.columns] = piece
        return sr

    def _size(self, box: Box) -> tuple[int, int]:
        return box.height * self.scale, box.width * self.scale

    def _run(self, lr_nchw: Tensor4, kept: Box, precision: str) -> Tensor4:
        """The network's output for the `kept` box: in one piece where small, else part by part."""
        small = max(kept.height, kept.width) <= WHOLE_SIDE
        if small or len(self.network.parts) == 1:
            (sr,) = self._fitted(self.network.whole, precision, lr_nchw)
            crop = kept.scaled(self.scale)
            return sr[:, :, crop.rows, crop.columns]
        return self._run_parts(lr_nchw, kept, precision)

    def _run_parts(self, lr_nchw: Tensor4, kept: Box, precision: str) -> Tensor4:
        """The trunk on all of `lr_nchw` at once, the upsampler on small windows over `kept`."""
        height, width = lr_nchw.shape[2:]
        values = {"lr": lr_nchw}
        *trunk, upsampler = self.network.parts
        for part in trunk:
            outputs = self._fitted(part, precision, *(values[name] for name in part.inputs))
            values.update(zip(part.outputs, outputs, strict=True))
        sr = np.empty((1, lr_nchw.shape[1], *self._size(kept)), np.float32)
        halo, step = upsampler.traits.radius or 0, self.network.step
        for box, window in plan_tiles(
            height, width, tile=UPSAMPLER_SIDE, halo=halo, region=kept, step=step
        ):
            seen = (values[name][:, :, window.rows, window.columns] for name in upsampler.inputs)
            (piece,) = self._fitted(upsampler, precision, *seen)
            into, crop = box.within(kept).scaled(self.scale), box.within(window).scaled(self.scale)
            sr[:, :, into.rows, into.columns] = piece[:, :, crop.rows, crop.columns]
        return sr

    def _fitted(self, program: Program, precision: str, *inputs: Tensor4) -> list[Tensor4]:
        """The program's outputs; what it wants more of a window is mirrored and cut off again."""
        backend = self._backend(program, precision)
        height, width = inputs[0].shape[2:]
        rows, columns = program.traits.sizes.fit(height, width)
        if (rows, columns) == (height, width):
            return backend.run(*inputs)
        more = ((0, 0), (0, 0), (0, rows - height), (0, columns - width))
        outputs = backend.run(*(np.pad(x, more, mode="symmetric") for x in inputs))
        scale = program.traits.scale
        return [y[:, :, : height * scale, : width * scale] for y in outputs]

    def _backend(self, program: Program, precision: str) -> Backend:
        """The compiled program, opened once."""
        with self._lock:
            key = (id(program), precision)
            if key not in self._opened:
                choice = Choice(self.choice.backend, self.choice.device, precision, "")
                self._opened[key] = open_backend(program, choice)
            return self._opened[key]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the tiles of a picture lie."""

    framed: Box
    """All that may be read: the picture, its border, and more where the network wants it."""
    picture: Box
    plan: tuple[tuple[Box, Box], ...]
    """(kept, window) of each tile."""


__all__ = ["Upscaler"]
