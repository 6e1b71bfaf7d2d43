"""The graph: halo, cost and cut are computed from the operations."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold.errors import ModelError
from fourfold.runtimes.torch import run_graph
from fourfold.weights.graph import check_tensors
from fourfold.weights.inference_form import build_graph, srresnet_graph
from fourfold.weights.zoo import get_model
from tests.models import tiny_model


def test_halo_of_the_published_network_is_the_receptive_radius() -> None:
    model = get_model("srresnet-x4")
    assert model.graph.halo(model.tensors) == 40  # 4 + 32 + 1 + 1 + 0.5 + 1 = 39.5


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_changing_one_pixel_changes_nothing_beyond_the_halo(scale: int) -> None:
    torch = pytest.importorskip("torch")
    model = tiny_model(scale=scale)
    halo = model.graph.halo(model.tensors)
    tensors = {name: torch.from_numpy(t) for name, t in model.tensors.items()}
    size = 2 * halo + 5
    lr = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    changed = lr.clone()
    changed[..., size // 2, size // 2] += 1
    (a,), (b,) = (run_graph(model.graph, tensors, [x]) for x in (lr, changed))
    rows = np.flatnonzero((a != b).any(dim=1).any(dim=2)[0].numpy()) // scale
    assert rows.max() - size // 2 in (halo, halo - 1)  # reached, never passed
    assert size // 2 - rows.min() in (halo, halo - 1)


def test_parts_compute_what_the_whole_computes() -> None:
    torch = pytest.importorskip("torch")
    model = tiny_model()
    tensors = {name: torch.from_numpy(t) for name, t in model.tensors.items()}
    values = {"lr": torch.rand(1, 3, 9, 14, generator=torch.Generator().manual_seed(0))}
    (whole,) = run_graph(model.graph, tensors, [values["lr"]])
    parts = model.graph.split()
    for part in parts:
        outputs = run_graph(part, tensors, [values[name] for name in part.inputs])
        values.update(zip(part.outputs, outputs, strict=True))
    assert [part.scale for part in parts] == [1, 4]
    torch.testing.assert_close(values["sr"], whole, rtol=0, atol=0)
    assert sum(len(part.nodes) for part in parts) == len(model.graph.nodes)
    assert sum(part.halo(model.tensors) for part in parts) >= model.graph.halo(model.tensors)


def test_missing_left_over_and_infinite_tensors_are_named() -> None:
    model = tiny_model()
    tensors = dict(model.tensors)
    tensors["surplus"] = tensors.pop("head.bias")
    with pytest.raises(ModelError, match=r"f: .*missing \['head.bias'\], left over \['surplus'\]"):
        check_tensors(model.graph, tensors, source="f")
    broken = {**model.tensors, "tail.bias": np.full(12, np.nan, np.float32)}
    with pytest.raises(ModelError, match=r"finite.*tail\.bias"):
        check_tensors(model.graph, broken, source="f")


def test_unknown_architecture_scale_and_hyperparameters_are_clear_errors() -> None:
    with pytest.raises(ModelError, match="architecture: want one of"):
        build_graph("unet", scale=4, hyperparameters={})
    with pytest.raises(ModelError, match="want one of"):
        srresnet_graph(scale=3, num_blocks=1)
    with pytest.raises(ModelError, match="do not fit"):
        build_graph("srresnet", scale=4, hyperparameters={"blocks": 3})
