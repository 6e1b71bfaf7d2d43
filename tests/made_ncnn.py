"""A tiny ncnn network with every layer that is read, written as ncnn writes it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

FP16, FP32 = 0x01306B47, 0

PARAM = """7767517
21 28
Input        in     0 1 data
Split        s0     1 2 data a b
Convolution  first  1 1 a c0 0=4 1=3 4=1 5=1 6=108 9=2 -23310=1,2.000000e-01
Split        s1     1 3 c0 c0a c0b c0c
Convolution  grow   1 1 c0a c1 0=2 1=3 4=1 6=72 9=1
Concat       cat    2 1 c0b c1 cc
Convolution  mix    1 1 cc c2 0=4 1=1 5=1 6=24
Eltwise      res    2 1 c2 c0c e 0=1 -23301=2,2.000000e-01,1.000000e+00
PReLU        act    1 1 e p 0=4
Split        s2     1 2 p p1 p2
BinaryOp     half   1 1 p1 p1s 0=2 1=1 2=0.5
BinaryOp     diff   2 1 p2 p1s d 0=1
ReLU         leak   1 1 d d1 0=0.3
Noop         noop   1 1 d1 d2
Interp       up     1 1 d2 n 0=1 1=2.0 2=2.0
Convolution  last   1 1 n w 0=12 1=3 4=-233 5=1 6=432
PixelShuffle shuf   1 1 w ps 0=2
TanH         tanh   1 1 ps t
Interp       skip   1 1 b base 0=2 1=4.0 2=4.0
BinaryOp     add    2 1 t base s
Interp       down   1 1 s output 0=3 1=0.5 2=0.5
"""


def write_tiny_ncnn(folder: Path) -> Path:
    """Write `tiny.param` and `tiny.bin` (x2, fp16 and fp32 weights); the `.param`."""
    rng = np.random.Generator(np.random.PCG64(7))

    def weights(count: int, tag: int) -> bytes:
        values = (rng.random(count) - 0.5).astype("<f2" if tag else "<f4").tobytes()
        return struct.pack("<I", tag) + values + bytes(-len(values) % 4)

    def plain(count: int) -> bytes:
        return (rng.random(count) * 0.2).astype("<f4").tobytes()

    blob = weights(108, FP16) + plain(4) + weights(72, FP32) + weights(24, FP16) + plain(4)
    blob += plain(4) + weights(432, FP32) + plain(12)
    (folder / "tiny.bin").write_bytes(blob)
    (folder / "tiny.param").write_text(PARAM)
    return folder / "tiny.param"


def tiny_input() -> np.ndarray:
    """The picture of the reference, float32 `(9, 11, 3)` in [0, 1]."""
    return np.random.Generator(np.random.PCG64(8)).random((9, 11, 3)).astype(np.float32)


def run_ncnn(param: Path, image: np.ndarray) -> np.ndarray:
    """What ncnn itself makes of float32 `(H, W, 3)` in fp32, not clipped (`pip install ncnn`)."""
    import ncnn

    network = ncnn.Net()
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(network.opt, name, False)
    assert network.load_param(str(param)) == 0
    assert network.load_model(str(param.with_suffix(".bin"))) == 0
    extractor = network.create_extractor()
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    extractor.input("data", ncnn.Mat(planes).clone())
    return np.array(extractor.extract("output")[1]).transpose(1, 2, 0)
