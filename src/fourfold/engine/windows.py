"""Windows of a picture through the network: in one piece or in parts, in halves where memory ends."""

from __future__ import annotations

import logging
import threading
from typing import Final, Literal

import numpy as np

from fourfold.engine.network import Network
from fourfold.engine.tiles import Box, plan_tiles
from fourfold.errors import BackendError, BackendOutOfMemory
from fourfold.imaging.arrays import AnyImage, Image
from fourfold.imaging.yuv import Yuv
from fourfold.runtimes.backend import Backend, Tensor4
from fourfold.runtimes.pixels import LEAST_SIDE, PixelBackend, open_pixels, takes_pixels
from fourfold.runtimes.planes import open_planes, takes_planes
from fourfold.runtimes.program import GraphProgram, Program
from fourfold.runtimes.select import Choice, open_backend

logger = logging.getLogger(__name__)

WHOLE_SIDE: Final = 256
"""Tiles up to this side run any network in one piece; larger ones run in parts where it has some."""

UPSAMPLER_SIDE: Final = 128
"""Side of the windows of the upsampler, whose tensors are 16 times as large as the trunk's."""

_SMALLEST_TILE: Final = 16


class Windows:
    """A network on one device, its programs compiled when they are first wanted. Thread-safe."""

    def __init__(
        self,
        network: Network,
        choice: Choice,
        *,
        lanes: int = 1,
        mirror: Literal["symmetric", "reflect"] = "symmetric",
    ) -> None:
        self.network, self.choice, self.lanes = network, choice, lanes
        self._mirror: Literal["symmetric", "reflect"] = mirror
        self._opened: dict[tuple[int, str], Backend] = {}
        self._pixels: dict[int | Yuv, PixelBackend] = {}
        self._lock = threading.Lock()

    @property
    def take_pixels(self) -> bool:
        """Whether `pixels` can run this network here."""
        return (
            self.choice.backend == "openvino"
            and self.choice.precision in ("fp32", "bf16")
            and not self.network.blended
            and takes_pixels(self.network.whole)
        )

    @property
    def take_planes(self) -> bool:
        """Whether `pixels` can give planes."""
        return self.take_pixels and takes_planes(self.network.whole)

    def pixels(
        self, pixels: AnyImage, kept: Box, real: Box, *, consistency: bool, yuv: Yuv | None = None
    ) -> AnyImage | None:
        """The `kept` box of bytes `(h, w, 1|3)`, enlarged; with `yuv` as `Planes.data`.

        Outside the box `real` lie mirrored pixels. `consistency` is the same for all calls. None
        for other types, for very small pictures, and where memory does not suffice.
        """
        if pixels.dtype != np.uint8 or min(real.height, real.width) < LEAST_SIDE:
            return None
        key = pixels.shape[2] if yuv is None else yuv
        with self._lock:
            if key not in self._pixels:
                whole, precision = self.network.whole, self.choice.precision
                assert isinstance(whole, GraphProgram), "take_pixels has been asked"
                if isinstance(key, Yuv):
                    opened = open_planes(
                        whole, precision, yuv=key, consistency=consistency, streams=self.lanes
                    )
                else:
                    opened = open_pixels(
                        whole, precision, colours=key, consistency=consistency, streams=self.lanes
                    )
                self._pixels[key] = opened
        box = kept.scaled(self.network.scale)
        height, width = pixels.shape[:2]
        margins = real.top, height - real.bottom, real.left, width - real.right
        try:
            return self._pixels[key].run(pixels, margins, box.rows, box.columns)
        except BackendOutOfMemory:
            return None

    def infer(self, lr: Image, kept: Box) -> Image:
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
            into = part.within(kept).scaled(self.network.scale)
            piece = self.infer(lr[window.rows, window.columns], part.within(window))
            sr[into.rows, into.columns] = piece
        return sr

    def _size(self, box: Box) -> tuple[int, int]:
        return box.height * self.network.scale, box.width * self.network.scale

    def _run(self, lr_nchw: Tensor4, kept: Box, precision: str) -> Tensor4:
        """The network's output for the `kept` box: in one piece where small, else part by part."""
        small = max(kept.height, kept.width) <= WHOLE_SIDE
        if small or len(self.network.parts) == 1:
            (sr,) = self._fitted(self.network.whole, precision, lr_nchw)
            crop = kept.scaled(self.network.scale)
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
            into, crop = (
                box.within(kept).scaled(self.network.scale),
                box.within(window).scaled(self.network.scale),
            )
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
        outputs = backend.run(*(np.pad(x, more, mode=self._mirror) for x in inputs))
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


__all__ = ["Windows"]
