"""A graph as text and back, so that a model file can be run without knowing its architecture.

The text is JSON: inputs, outputs, channels, and one list per node, its operation's name and then
its fields in order: `["Conv", ["lr"], "x", "head"]`.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, astuple, fields
from fractions import Fraction
from typing import Any, Final

from fourfold.errors import ModelError
from fourfold.weights import graph as operations
from fourfold.weights.graph import Graph, Node

_OPERATIONS: Final[dict[str, type[Node]]] = {
    name: kind
    for name, kind in vars(operations).items()
    if isinstance(kind, type) and issubclass(kind, Node) and kind is not Node
}

_LARGEST_FACTOR: Final = 16
"""Of one enlargement: a damaged file must not ask for a result beyond all memory."""


def write_graph(graph: Graph) -> str:
    """The graph as text."""
    return json.dumps(
        {
            "inputs": graph.inputs,
            "outputs": graph.outputs,
            "channels": graph.channels,
            "nodes": [[type(node).__name__, *astuple(node)] for node in graph.nodes],
        },
        default=str,  # fractions, as "2" or "1/2"
    )


def read_graph(text: str, *, source: str) -> Graph:
    """The graph in `text`; `ModelError` naming `source` and the line that is wrong.

    Each value must be made before it is read, and once.
    """
    try:
        values = json.loads(text)
        inputs, outputs = (tuple(map(str, values[key])) for key in ("inputs", "outputs"))
        channels = tuple(map(int, values["channels"]))
        nodes = tuple(_node(entry) for entry in values["nodes"])
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        raise ModelError(f"{source}: unreadable description of the network ({error})") from error
    graph = Graph(inputs, outputs, nodes, channels)
    made = set(graph.inputs)
    for node in nodes:
        missing = set(node.inputs) - made
        if missing or node.output in made:
            what = f"reads {sorted(missing)}" if missing else f"makes {node.output!r} again"
            raise ModelError(f"{source}: the network's {type(node).__name__} {what}")
        made.add(node.output)
    if len(channels) != len(graph.inputs) or not graph.outputs or set(graph.outputs) - made:
        raise ModelError(f"{source}: the network's inputs or outputs do not fit its operations")
    return graph


def _node(entry: Any) -> Node:
    name, *values = entry
    if name not in _OPERATIONS:
        raise ValueError(f"operation {name!r}; this version knows {', '.join(_OPERATIONS)}")
    kind = _OPERATIONS[name]
    wanted = fields(kind)
    if not values or not values[0]:
        raise ValueError(f"{name} without inputs")
    required = sum(f.default is MISSING for f in wanted)
    if not required <= len(values) <= len(wanted):
        raise ValueError(f"{name} with {len(values)} fields, want {len(wanted)}")
    return kind(*(_field(str(f.type), value) for f, value in zip(wanted, values, strict=False)))


def _field(kind: str, value: Any) -> Any:
    """The value of a field declared as `kind`."""
    wanted: dict[str, Any] = {"str": str, "int": int, "float": (int, float), "Fraction": str}
    if kind.startswith("tuple") and isinstance(value, list):
        return tuple(_field(kind[6:-6], item) for item in value)
    if kind not in wanted or not isinstance(value, wanted[kind]) or isinstance(value, bool):
        raise ValueError(f"{value!r} where {kind} is wanted")
    if kind == "float":
        return float(value)
    if kind in ("int", "Fraction"):
        factor = Fraction(value)
        if not Fraction(1, _LARGEST_FACTOR) <= factor <= _LARGEST_FACTOR:
            raise ValueError(f"{value!r} where a factor of at most {_LARGEST_FACTOR} is wanted")
        return int(value) if kind == "int" else factor
    return value


__all__ = ["read_graph", "write_graph"]
