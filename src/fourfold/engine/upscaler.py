"""Arrays in, larger arrays out: tiles, transparency, grey, consistency and self-ensemble.

The order of work for each tile is fixed: network (averaged over 8 flips and turns with `tta`),
back-projection, clipping. Every step is local, so a tile with enough context around it equals the
same part of the whole picture. Networks that look further than tiles can are blended instead.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from math import ceil, lcm
from pathlib import Path
from typing import Final, Literal
from weakref import WeakValueDictionary

import numpy as np

from fourfold.engine.blend import RAMP, blend
from fourfold.engine.memory import parse_memory, parse_tile, plan_tile, share_of
from fourfold.engine.network import ATTENTION_GRID, Network, load_network
from fourfold.engine.tiles import Box, plan_tiles
from fourfold.engine.windows import Windows
from fourfold.errors import UsageError, option
from fourfold.imaging.alpha import FILL_HALO, extend_colour, keep_plateaus
from fourfold.imaging.arrays import AnyImage, Image, check_picture, from_float, to_float
from fourfold.imaging.color import is_neutral, luma
from fourfold.imaging.consistency import CONSISTENCY_HALO, back_project
from fourfold.imaging.resize import imresize
from fourfold.imaging.turns import TURNS
from fourfold.imaging.yuv import Planes, Yuv
from fourfold.runtimes.openvino import cpu_threads
from fourfold.runtimes.select import Choice, check_names, choose, prefers_torch
from fourfold.weights.format import Model
from fourfold.weights.usage import BORDER
from fourfold.weights.zoo import DEFAULT_MODEL

logger = logging.getLogger(__name__)

Read = Callable[[Box], AnyImage]
"""Returns the pixels of a box of the source picture."""

Tick = Callable[[int], None]
"""Called after each tile with the number of result pixels it finished."""

_MOST_LANES: Final = 4
"""Frames at once; more would only take memory, since each lane has several cores then."""


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
            as `max_memory` allows (0 is the same); at least 32. The halo around it comes on top.
        texture: 0 (SRResNet) to 1 (SRGAN), blended in weight space; those two models only.
        denoise: 0 (nothing removed) to 1 (as trained), a blend of a model for photographs, such as
            `srgan-photo-x4`, with its clean one.
        tta: average the 8 flips and quarter turns; 8 times the work.
        consistency: one back-projection step, so that the result downscaled equals the input, and
            mirrored borders. False: the network and nothing else, as scores are published. None:
            what the model's file says it needs. Off at scale 1, where it would undo the network.
        max_memory: what the process should stay under, such as `1GB`; `tile="auto"` obeys it. At
            least 300MB.

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
        denoise: float | None = None,
        tta: bool = False,
        consistency: bool | None = None,
        max_memory: str | int = "1GB",
    ) -> None:
        self._tile, self.max_memory = parse_tile(tile), parse_memory(max_memory)
        for name, value in (("tta", tta), ("consistency", consistency)):
            if not isinstance(value, bool) and (value is not None or name == "tta"):
                raise UsageError(f"{option(name)}: want True or False, got {value!r}")
        check_names(backend=backend, device=device, precision=precision)
        as_torch = prefers_torch(backend=backend, device=device)
        self.network: Network = load_network(
            model, texture=texture, denoise=denoise, torch=as_torch
        )
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
        # Without a border pixels are added for a size rule alone: as spandrel, which other programs
        # run such networks by, adds them.
        self._mirror: Literal["symmetric", "reflect"] = "symmetric" if self._border else "reflect"
        self._windows = Windows(self.network, self.choice, mirror=self._mirror)
        # Those of `for_frames`, while anybody holds them: compiled networks take memory.
        self._several: WeakValueDictionary[int, Windows] = WeakValueDictionary()

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
        shape = (height * self.scale, width * self.scale, channels)
        result: AnyImage | None = None
        count = source.shape[2]
        read = lambda box: source[box.rows, box.columns]  # noqa: E731
        for box, part in self.tiles(read, height, width, count, tick=tick, stop=stop):
            if part.shape == shape:
                result = part
                break
            if result is None:
                result = np.empty(shape, image.dtype)
            target = result[box.rows, box.columns]
            if neutral:
                target[..., :2] = part[..., :1]
                target[..., 2:] = part
            else:
                target[...] = part
        assert result is not None, "a picture has at least one tile"
        return result.reshape(*result.shape[:2], *image.shape[2:])

    def planes(self, image: AnyImage, yuv: Yuv) -> Planes | None:
        """A picture `(H, W, 3)` enlarged, as films hold it; None where only `upscale` can do it.

        It can where a small network runs from bytes to bytes in one piece. Neutral pictures are
        `upscale`'s, which gives them no tint.
        """
        height, width = image.shape[:2]
        if not self._runs_pixels() or not self._windows.take_planes or is_neutral(image):
            return None
        frame = self._frame(height, width, transparent=False)
        if len(frame.plan) > 1:
            return None
        ((kept, window),) = frame.plan
        pixels = np.pad(image, frame.picture.margins(window), mode=self._mirror)
        data = self._windows.pixels(
            pixels,
            kept.within(window),
            frame.picture.within(window),
            consistency=self.consistency,
            yuv=yuv,
        )
        return None if data is None else Planes(data)

    def for_frames(self, height: int, width: int) -> Upscaler:
        """This network for pictures of one size that follow each other, several at once.

        As many `lanes` as cores and memory allow, each on its share of the cores, where the network
        runs from pixels to pixels; else the same as before, with one lane.
        """
        for lanes in range(min(cpu_threads(), _MOST_LANES), 1, -1):
            several = copy(self)
            windows = Windows(self.network, self.choice, lanes=lanes, mirror=self._mirror)
            several._windows = self._several.setdefault(lanes, windows)
            frame = several._frame(height, width, transparent=False)
            if several._runs_pixels() and len(frame.plan) == 1:
                return several
        return self

    @property
    def lanes(self) -> int:
        """Pictures that `upscale` works on at once; other calls wait."""
        return self._windows.lanes

    def notes(self, height: int, width: int) -> tuple[str, ...]:
        """What there is to say about the result of a picture of this size."""
        told = () if self.network.note is None else (self.network.note,)
        if not self.network.blended or len(self._frame(height, width, transparent=False).plan) < 2:
            return told
        return (
            *told,
            f"{self.network.name} looks further than a tile: overlapping tiles are blended, which is "
            f"not quite the result without tiles (a larger {option('tile')} and "
            f"{option('max_memory')} come closer)",
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
        reach = FILL_HALO if transparent else 0
        direct = self._runs_pixels() and not transparent
        dtypes: list[np.dtype] = []

        def pixels_of(window: Box) -> AnyImage:
            there = window.common(frame.picture)
            pixels = read(there.within(frame.picture))
            dtypes[:] = [pixels.dtype]
            return np.pad(pixels, there.margins(window), mode=self._mirror)

        def enlarged() -> Iterator[tuple[Box, AnyImage]]:
            for kept, window in frame.plan:
                if stop is not None and stop.is_set():
                    raise InterruptedError("stopped between two tiles, as asked")
                seen = window.grow(reach, inside=frame.framed)
                pixels = pixels_of(seen)
                real = window.common(frame.picture).within(window)
                sr = self._direct(pixels, kept.within(window), real) if direct else None
                if sr is None:
                    wanted = kept.grow(RAMP, inside=frame.picture) if blended else kept
                    lr = _lr_of(pixels, window.within(seen))
                    sr = self._any_channels(lr, wanted.within(window), real)
                yield kept, sr

        pieces = enlarged()
        if blended:
            pieces = blend(pieces, frame.picture, scale=self.scale)
        for box, sr in pieces:
            result = box.within(frame.picture).scaled(self.scale)
            yield result, sr if sr.dtype == np.uint8 else from_float(sr, dtypes[0])
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
            budget = share_of(self.max_memory, self.lanes)
            tile = plan_tile(
                self.network,
                framed,
                picture,
                halo=halo,
                budget=budget,
                in_one=self._runs_pixels() and not transparent,
            )
        if self.network.blended:
            tile = max(tile, 4 * RAMP)  # a plan's tiles are at least half as large
            step = lcm(step, ATTENTION_GRID)
            bottom, right = (ceil(side / step) * step for side in (bottom, right))
        planned = plan_tiles(bottom, right, tile=tile, halo=halo, region=picture, step=step)
        plan = [(kept, window.common(framed)) for kept, window in planned]
        logger.debug("%dx%d: tiles of %d with halos of %d", width, height, tile, halo)
        return _Frame(framed, picture, tuple(plan))

    def _runs_pixels(self) -> bool:
        """Whether 8-bit pictures without transparency go through the network as they are."""
        return not self.tta and self._windows.take_pixels

    def _direct(self, pixels: AnyImage, kept: Box, real: Box) -> AnyImage | None:
        """Bytes in, bytes out; None where that does not go (`Windows.pixels`)."""
        return self._windows.pixels(pixels, kept, real, consistency=self.consistency)

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
            return self._windows.infer(lr, kept)
        size = (kept.height * self.scale, kept.width * self.scale)
        total = np.zeros((*size, lr.shape[2]), np.float32)
        for turn in TURNS:
            turned = np.ascontiguousarray(turn.do(lr))
            total += turn.undo(self._windows.infer(turned, kept.turned(turn, *lr.shape[:2])))
        return total / np.float32(len(TURNS))


def _lr_of(pixels: AnyImage, inner: Box) -> Image:
    """Floats of a window; with transparency, colour is drawn out of its surroundings before."""
    lr = to_float(pixels)
    if lr.shape[2] in (1, 3):
        return lr
    lr[..., :-1] = extend_colour(lr[..., :-1], lr[..., -1])
    return lr[inner.rows, inner.columns]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the tiles of a picture lie."""

    framed: Box
    """All that may be read: the picture, its border, and more where the network wants it."""
    picture: Box
    plan: tuple[tuple[Box, Box], ...]
    """(kept, window) of each tile."""


__all__ = ["Upscaler"]
