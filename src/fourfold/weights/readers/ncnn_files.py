"""ncnn's two files as they are written: layers of a `.param`, weights of a `.bin` in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ModelError

Array = npt.NDArray[np.float32]
Number = float | tuple[float, ...]

MAGIC: Final = "7767517"
ARRAY_KEYS: Final = -23300  # `-23310=2,a,b` is parameter 10, an array of two
_FP16_TAG, _FP32_TAG = 0x01306B47, 0x0002C056  # ncnn/src/modelbin.cpp; 0 is fp32 as well


@dataclass(frozen=True, slots=True)
class Layer:
    """A line of the `.param`."""

    where: str
    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: Mapping[int, Number]

    def refuse(self, what: str) -> ModelError:
        """The error that names this layer."""
        return ModelError(f"{self.where}: {self.kind} {self.name}: {what}")

    def number(self, key: int, default: float = 0) -> float:
        """A parameter that is one number."""
        value = self.parameters.get(key, default)
        if isinstance(value, tuple):
            raise self.refuse(f"want one number for parameter {key}, got {len(value)}")
        return value

    def integer(self, key: int, default: int = 0) -> int:
        """A parameter that is one whole number."""
        value = self.number(key, default)
        if value != int(value):
            raise self.refuse(f"want a whole number for parameter {key}, got {value:g}")
        return int(value)

    def array(self, key: int) -> tuple[float, ...]:
        """A parameter that is an array; a lone number is an array of one."""
        value = self.parameters.get(key, ())
        return value if isinstance(value, tuple) else (value,)

    def want(self, what: str, key: int, *allowed: int, default: int | None = None) -> None:
        """Refuse any value of a parameter but these; the first is the default."""
        value = self.integer(key, allowed[0] if default is None else default)
        if value not in allowed:
            raise self.refuse(f"want {what} {' or '.join(map(str, allowed))}, got {value}")


@dataclass(slots=True)
class Weights:
    """The `.bin`, read from front to back."""

    path: Path
    data: bytes
    position: int = 0

    def take(self, layer: Layer, count: int, dtype: str = "<f4") -> Array:
        """The next `count` numbers, as float32; each run of them is padded to 4 bytes."""
        size = count * np.dtype(dtype).itemsize
        start, self.position = self.position, self.position + size + -size % 4
        if start + size > len(self.data):
            raise ModelError(
                f"{self.path}: {len(self.data)} bytes end inside the weights of {layer.name}; the "
                "file is damaged or belongs to another .param, get it again"
            )
        return np.frombuffer(self.data, dtype, count, start).astype(np.float32)

    def take_tagged(self, layer: Layer, count: int) -> Array:
        """The next `count` weights of a convolution, which say how they are stored."""
        tag = int(self.take(layer, 1).view(np.uint32)[0]) if count else 0
        if tag in (0, _FP32_TAG):
            return self.take(layer, count)
        if tag == _FP16_TAG:
            return self.take(layer, count, "<f2")
        raise ModelError(
            f"{self.path}: want fp32 or fp16 weights of {layer.name}, got storage {tag:#010x}: "
            "int8, or a damaged file"
        )


def parse_param(path: Path, text: str) -> list[Layer]:
    """The layers of a `.param`; `ModelError` for any other text."""
    lines = [line for line in enumerate(text.splitlines(), 1) if line[1].strip()]
    if len(lines) < 3 or lines[0][1].strip() != MAGIC:
        raise ModelError(f"{path}: want ncnn's text format (first line {MAGIC}), got another file")
    layers = [_parse_layer(f"{path}, line {number}", line.split()) for number, line in lines[2:]]
    promised = lines[1][1].split()[0]
    if promised != str(len(layers)):
        raise ModelError(f"{path}: want {promised} layers, got {len(layers)}; the file is damaged")
    return layers


def _parse_layer(where: str, words: list[str]) -> Layer:
    try:
        kind, name, num_inputs, num_outputs = words[0], words[1], int(words[2]), int(words[3])
        blobs, settings = (
            words[4 : 4 + num_inputs + num_outputs],
            words[4 + num_inputs + num_outputs :],
        )
        if min(num_inputs, num_outputs) < 0 or len(blobs) != num_inputs + num_outputs:
            raise ValueError("too few blobs")
        parameters = dict(_parse_parameter(word) for word in settings)
    except (ValueError, IndexError) as error:
        raise ModelError(f"{where}: want a layer of ncnn, got {' '.join(words)[:60]!r}") from error
    return Layer(
        where, kind, name, tuple(blobs[:num_inputs]), tuple(blobs[num_inputs:]), parameters
    )


def _parse_parameter(word: str) -> tuple[int, Number]:
    key, _, value = word.partition("=")
    number = int(key)
    values = tuple(float(part) for part in value.split(","))
    if not all(map(isfinite, values)):
        raise ValueError("a number that is not finite")
    if number > ARRAY_KEYS:
        return number, values[0] if len(values) == 1 else values
    if values[0] != len(values) - 1:
        raise ValueError("an array of another length than it says")
    return ARRAY_KEYS - number, values[1:]


__all__ = ["ARRAY_KEYS", "MAGIC", "Array", "Layer", "Number", "Weights", "parse_param"]
