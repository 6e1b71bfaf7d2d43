"""The text of a graph gives it back, and damage is named."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from fourfold.errors import ModelError
from fourfold.weights import graph as operations
from fourfold.weights.graph import Add, Affine, Concat, Conv, Graph, LeakyRelu, Node, Resize, Tanh
from fourfold.weights.graph_text import read_graph, write_graph
from fourfold.weights.inference_form import msrresnet_graph, srresnet_graph

SMALL = Graph(
    ("lr",),
    ("sr",),
    (
        Conv(("lr",), "a", "head"),
        Resize(("lr",), "b", "nearest", Fraction(2)),
        Resize(("a",), "c", "linear", Fraction(3, 2)),
        Add(("b", "c"), "d", (1.0, 0.5)),
        LeakyRelu(("d",), "f", 0.1),
        Concat(("f", "b"), "g"),
        Tanh(("d",), "e"),
        Affine(("e",), "sr", 0.5, 1),
    ),
)


@pytest.mark.parametrize(
    "graph",
    [SMALL, srresnet_graph(scale=8, num_blocks=2), msrresnet_graph(scale=4, num_blocks=1)],
)
def test_a_graph_survives_as_text(graph):
    assert read_graph(write_graph(graph), source="x") == graph


def test_every_operation_has_a_text():
    from fourfold.weights.graph_text import _OPERATIONS

    kinds = {k for k in vars(operations).values() if isinstance(k, type) and issubclass(k, Node)}
    assert set(_OPERATIONS.values()) == kinds - {Node}


def _changed(change):
    values = json.loads(write_graph(SMALL))
    change(values)
    return json.dumps(values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "unreadable description"),
        ("[]", "unreadable description"),
        ("{}", "'inputs'"),
        (_changed(lambda v: v["nodes"].append(["Attention", ["a"], "z"])), "this version knows Co"),
        (_changed(lambda v: v["nodes"].append(["Add", ["a", "q"], "z"])), r"Add reads \['q'\]"),
        (_changed(lambda v: v["nodes"].append(["Add", ["a", "b"], "a"])), "makes 'a' again"),
        (_changed(lambda v: v["nodes"].append(["Tanh", [], "z"])), "Tanh without inputs"),
        (_changed(lambda v: v["nodes"].append(["Tanh"])), "Tanh without inputs"),
        (_changed(lambda v: v["nodes"].append(["Tanh", ["a"]])), "Tanh with 1 fields, want 2"),
        (_changed(lambda v: v["nodes"].append(["Tanh", "a", "z"])), "'a' where tuple"),
        (_changed(lambda v: v["nodes"][1].__setitem__(4, "1000000000")), "factor of at most 16"),
        (_changed(lambda v: v["nodes"][1].__setitem__(4, "1/0")), "unreadable description"),
        (_changed(lambda v: v["nodes"].append(["Shuffle", ["a"], "z", "2"])), "'2' where int is"),
        (_changed(lambda v: v["outputs"].append("zz")), "inputs or outputs do not fit"),
        (_changed(lambda v: v["channels"].append(3)), "inputs or outputs do not fit"),
    ],
)
def test_a_damaged_text_is_named(text, said):
    with pytest.raises(ModelError, match=f"^m.safetensors: .*{said}"):
        read_graph(text, source="m.safetensors")
