"""Other people's ONNX files: what tiling needs is read off their shapes and operations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, lcm, prod
from pathlib import Path
from typing import Any, Final

from fourfold.errors import BackendError, ModelError
from fourfold.runtimes.program import OnnxProgram, SizeRule, Traits
from fourfold.weights.tensor_file import refuse_absurd

_POINTWISE_NAMES: Final = """
Add Sub Mul Div Neg Abs Pow Sqrt Exp Log Min Max Clip Relu LeakyRelu PRelu Elu Selu Gelu
Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Erf Concat Split Slice Cast Identity
Dropout BatchNormalization Mish Where Sum Mean Gather Unsqueeze Squeeze Constant Shape
ConstantOfShape Floor Ceil Round QuantizeLinear DequantizeLinear Expand
"""
_POINTWISE: Final = frozenset(_POINTWISE_NAMES.split())
"""Operations that read no neighbours (or handle shapes only)."""

_WEIGHT_AT: Final = {"Conv": 1, "ConvTranspose": 1, "QLinearConv": 3, "ConvInteger": 1}
"""Which input of a convolution is its kernel."""

_SIDE: Final = 192
"""Of the picture whose shapes are inferred: a multiple of every usual window and stride."""

_MULTIPLES: Final = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A single-input, single-output upscaler of RGB or grey pictures.

    `parts` compute the same as `whole` one after another, the cut being in front of the first
    enlargement; they are `(whole,)` where there is no such place.
    """

    whole: OnnxProgram
    parts: tuple[OnnxProgram, ...]
    sha256: str


def read_onnx(path: Path, *, content: bytes | None = None) -> OnnxFile:
    """Read an ONNX upscaler: float NCHW, 3 channels or 1, height and width free.

    With `content` nothing is read and `path` is what errors name.

    `ModelError` says what does not fit. An operation of unbounded reach (attention, global
    pooling) leaves the radius unknown.
    """
    import onnx

    if content is None:
        refuse_absurd(path, safetensors=False)
    try:
        content = path.read_bytes() if content is None else content
        model = onnx.load_from_string(content)
        apart = any(map(onnx.external_data_helper.uses_external_data, model.graph.initializer))
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
        content = model.SerializeToString() if apart else content
    except Exception as error:  # protobuf and onnx raise several unrelated types
        raise ModelError(
            f"{path}: want an ONNX model, got an unreadable file ({_first_line(error)})"
        ) from error
    constants = {t.name for t in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in constants]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ModelError(
            f"{path}: want one input and one output, got {len(inputs)} and "
            f"{len(model.graph.output)}"
        )
    dims = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
    if len(dims) != 4 or dims[1] not in (0, 1, 3) or dims[2] or dims[3]:
        raise ModelError(
            f"{path}: want input (N, 3 or 1, height, width) with free height and width, got {dims} "
            "(0 is free)"
        )
    channels = dims[1] or 3
    walk = _Walk(_infer(model, channels), (inputs[0].name,))
    whole = OnnxProgram(content, _traits(path, walk, content, channels))
    return OnnxFile(whole, _cut(model, walk, whole), hashlib.sha256(content).hexdigest())


def _infer(model: Any, channels: int) -> Any:
    """A copy of the model with the shapes of all values for one picture of `_SIDE`."""
    import onnx

    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    given = {t.name for t in fixed.graph.initializer}
    (start,) = (i for i in fixed.graph.input if i.name not in given)
    dims = start.type.tensor_type.shape.dim
    for dim, size in zip(dims, (1, channels, _SIDE, _SIDE), strict=True):
        dim.Clear()
        dim.dim_value = size
    return onnx.shape_inference.infer_shapes(fixed, data_prop=True)


@dataclass(slots=True)
class _Walk:
    """What every value depends on, following the operations from the `starts`."""

    model: Any
    starts: tuple[str, ...]
    nodes: list[Any] = field(default_factory=list)
    """Those to follow; all by default."""
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    radii: dict[str, Fraction] = field(default_factory=dict)
    """Of the values that depend on the input; missing where no bound is known."""
    moving: set[str] = field(default_factory=set)
    """All values that depend on the starts."""

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.shapes = {t.name: tuple(t.dims) for t in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            dims = value.type.tensor_type.shape.dim
            if dims and all(d.HasField("dim_value") for d in dims):
                self.shapes[value.name] = tuple(d.dim_value for d in dims)
        self.nodes = self.nodes or list(graph.node)
        self.radii, self.moving = dict.fromkeys(self.starts, Fraction(0)), set(self.starts)
        for node in self.nodes:
            sources = [name for name in node.input if name in self.moving]
            if not sources:
                continue
            self.moving.update(node.output)
            reach = self._reach(node, sources[0])
            if reach is not None and all(name in self.radii for name in sources):
                widest = max(self.radii[name] for name in sources) + reach
                self.radii.update(dict.fromkeys(node.output, widest))

    def scale(self, name: str) -> Fraction | None:
        """Enlargement of a value of four dimensions; None where its shape is unknown."""
        shape = self.shapes.get(name, ())
        same = len(shape) == 4 and shape[2] == shape[3]
        return Fraction(shape[2], _SIDE) if same else None

    def floats(self, name: str) -> float:
        """Numbers of a value for each input pixel."""
        return prod(self.shapes.get(name, (0,))) / _SIDE**2 if name in self.moving else 0.0

    def _reach(self, node: Any, source: str) -> Fraction | None:
        """Input pixels of the network that one operation looks to each side, at most."""
        kind = node.op_type
        if kind in _POINTWISE:
            return Fraction(0)
        scale = self.scale(source)
        if not scale:
            return None
        if kind in _WEIGHT_AT or kind in ("MaxPool", "AveragePool"):
            return self._kernel_reach(node) / scale
        if kind == "DepthToSpace":
            return Fraction(0)
        if kind in ("ReduceMean", "ReduceSum", "ReduceMax"):  # over channels, as layer norms do
            axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), [])
            return Fraction(0) if axes == [1] else None
        if kind == "SpaceToDepth":
            return Fraction(next(a.i for a in node.attribute if a.name == "blocksize")) / scale
        if kind in ("Resize", "Upsample"):
            return Fraction(2) / scale  # cubic, the widest there is, reads two to each side
        return None

    def _kernel_reach(self, node: Any) -> Fraction:
        lists = {a.name: list(a.ints) for a in node.attribute if a.ints}
        weight = node.input[_WEIGHT_AT[node.op_type]] if node.op_type in _WEIGHT_AT else ""
        kernel = lists.get("kernel_shape") or self.shapes.get(weight, (1, 1, 1, 1))[2:]
        axes = len(kernel)
        dilations = lists.get("dilations", [1] * axes)
        extents = [(k - 1) * d for k, d in zip(kernel, dilations, strict=True)]
        pads = lists.get("pads", [ceil(extent / 2) for extent in extents] * 2)
        reach = max(max(pads[i], extents[i] - pads[i]) for i in range(axes))
        if node.op_type == "ConvTranspose":
            # Output o reads the inputs whose stamps of `extent` cover it: one in `stride` pixels.
            return Fraction(ceil(reach / min(lists.get("strides", [1]))))
        return Fraction(reach)

    def flops(self) -> int:
        """Floating-point operations of all convolutions for each input pixel."""
        total = 0.0
        for node in self.nodes:
            if node.op_type in _WEIGHT_AT:
                weight = prod(self.shapes.get(node.input[_WEIGHT_AT[node.op_type]], (0,)))
                grid = node.input[0] if node.op_type == "ConvTranspose" else node.output[0]
                total += 2 * weight * prod(self.shapes.get(grid, (0, 0))[2:]) / _SIDE**2
        return round(total)

    def live_floats(self, outputs: tuple[str, ...]) -> int:
        """Most numbers alive at once for each input pixel, when values go after their last use."""
        last_use = {name: i for i, node in enumerate(self.nodes) for name in node.input}
        alive = set(self.starts)
        most = 0.0
        for i, node in enumerate(self.nodes):
            alive.update(node.output)
            most = max(most, sum(self.floats(name) for name in alive))
            alive -= {name for name in node.input if last_use[name] == i and name not in outputs}
        return ceil(most)


def _traits(path: Path, walk: _Walk, content: bytes, channels: int) -> Traits:
    graph = walk.model.graph
    output = graph.output[0].name
    shape = walk.shapes.get(output) or _output_shape(content, channels, _SIDE, _SIDE)
    if shape is None or len(shape) != 4 or shape[2] % _SIDE or shape[2] != shape[3]:
        raise ModelError(f"{path}: want a whole enlargement of 1 to 16, got {_found(shape)}")
    scale = shape[2] // _SIDE
    if not 1 <= scale <= 16 or shape[1] != channels:
        raise ModelError(
            f"{path}: want a whole enlargement of 1 to 16 and {channels} channels out as in, got "
            f"{_found(shape)}"
        )
    radius = walk.radii.get(output)
    return Traits(
        scale=scale,
        radius=None if radius is None else ceil(radius),
        floats_per_pixel=walk.live_floats((output,)),
        channels=channels,
        sizes=_sizes(walk, content, channels, scale, exact=radius is not None),
        flops_per_pixel=walk.flops(),
    )


def _found(shape: tuple[int, ...] | None) -> str:
    return "an unknown size" if shape is None else f"{shape} for a side of {_SIDE}"


def _sizes(walk: _Walk, content: bytes, channels: int, scale: int, *, exact: bool) -> SizeRule:
    """What sizes the file takes.

    Where every operation is known, values smaller than the picture say the multiple. Else sizes
    are tried, without running anything, since windows and reshapes leave no other trace.
    """
    if exact:
        scales = [walk.scale(name) for name in walk.radii]
        multiple = lcm(*(s.denominator for s in scales if s), 1)
        return SizeRule(multiple=multiple, minimum=multiple)

    def takes(height: int, width: int) -> bool:
        shape = _output_shape(content, channels, height, width)
        return shape is not None and shape[2:] == (height * scale, width * scale)

    steps = _first(_MULTIPLES, lambda m: takes(m * (64 // m + 1), m * (64 // m + 2)))
    square = steps is None
    if square:
        steps = _first(_MULTIPLES, lambda m: takes(*(m * (64 // m + 1),) * 2))
    multiple = steps or _MULTIPLES[-1]
    least = [m for m in _MULTIPLES if m % multiple == 0]
    return SizeRule(
        multiple=multiple,
        minimum=_first(least, lambda n: takes(n, n)) or _MULTIPLES[-1],
        square=square,
    )


def _first(values: Iterable[int], wanted: Callable[[int], bool]) -> int | None:
    return next((value for value in values if wanted(value)), None)


def _output_shape(content: bytes, channels: int, height: int, width: int) -> tuple[int, ...] | None:
    """Shape of the output as OpenVINO works it out; None where it cannot."""
    from fourfold.runtimes.openvino import output_shape

    try:
        return output_shape(content, (1, channels, height, width))
    except BackendError:
        return None


def _cut(model: Any, walk: _Walk, whole: OnnxProgram) -> tuple[OnnxProgram, ...]:
    """Trunk and upsampler where everything that crosses between them has the size of the input."""
    (start,), nodes = walk.starts, walk.nodes
    at = next((i for i, n in enumerate(nodes) if (walk.scale(n.output[0]) or 0) > 1), 0)
    while at and nodes[at].op_type not in _WEIGHT_AT:
        at -= 1
    read = {name for node in nodes[at:] for name in node.input} & walk.moving
    crossing = tuple(sorted(name for node in nodes[:at] for name in node.output if name in read))
    local = all(walk.scale(name) == 1 and name in walk.radii for name in crossing)
    if not at or not crossing or not local or whole.traits.radius is None:
        return (whole,)
    straight = (start,) if start in read else ()
    (output,) = (value.name for value in model.graph.output)
    names = {start: "lr", output: "sr"}
    parts = []
    for inputs, outputs, inner in (
        ((start,), crossing, nodes[:at]),
        ((*crossing, *straight), (output,), nodes[at:]),
    ):
        part = _Walk(walk.model, inputs, inner)
        traits = replace(
            whole.traits,
            scale=int(part.scale(outputs[0]) or 1),
            radius=ceil(max(part.radii[name] for name in outputs)),
            floats_per_pixel=part.live_floats(outputs),
            flops_per_pixel=part.flops(),
        )
        content = _extract(model, part, inputs, outputs)
        ends = (tuple(names.get(name, name) for name in end) for end in (inputs, outputs))
        parts.append(OnnxProgram(content, traits, *ends))
    return tuple(parts)


def _extract(model: Any, part: _Walk, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> bytes:
    """The operations between some values as a file of its own, height and width free."""
    import onnx
    from onnx import TensorProto, helper

    free = onnx.ModelProto()
    free.CopyFrom(model)
    known = {v.name for v in (*model.graph.input, *model.graph.output, *model.graph.value_info)}
    for name in sorted({*inputs, *outputs} - known):
        shape = ["n", part.shapes[name][1], "h", "w"]
        free.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    extractor = onnx.utils.Extractor(free)
    content: bytes = extractor.extract_model(list(inputs), list(outputs)).SerializeToString()
    return content


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


__all__ = ["OnnxFile", "read_onnx"]
