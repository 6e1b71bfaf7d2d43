"""The rewritings are identities: they change the form, not the function."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold.weights.inference_form import restore_tail, rewrite_tail

torch = pytest.importorskip("torch")

from fourfold.errors import ModelError  # noqa: E402
from fourfold.networks.srresnet import SRResNet  # noqa: E402
from fourfold.weights.format import Model  # noqa: E402


def _trained(scale: int) -> SRResNet:
    """A network whose BatchNorms have seen data, so that folding has something to fold."""
    torch.manual_seed(0)
    network = SRResNet(scale=scale, num_blocks=2, width=8)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
        if isinstance(module, torch.nn.PReLU):
            torch.nn.init.uniform_(module.weight, -0.2, 0.6)
    return network.eval()


def _run_inference_form(network: SRResNet, lr: torch.Tensor) -> torch.Tensor:
    from fourfold.runtimes.torch import run_graph

    model = Model(
        name="x",
        architecture="srresnet",
        scale=network.scale,
        hyperparameters=network.hyperparameters(),
        tensors=network.inference_tensors(),
    )
    tensors = {name: torch.from_numpy(t.copy()) for name, t in model.tensors.items()}
    return run_graph(model.graph, tensors, [lr])[0]


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (16, 12)])
def test_inference_form_equals_the_trained_network(scale: int, size: tuple[int, int]) -> None:
    network = _trained(scale)
    lr = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(_run_inference_form(network, lr), network(lr), rtol=0, atol=2e-6)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_training_can_go_on_from_the_inference_form(scale: int) -> None:
    network = _trained(scale)
    again = SRResNet.from_inference_tensors(
        network.inference_tensors(), scale=scale, **network.hyperparameters()
    ).eval()
    lr = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(again(lr), network(lr), rtol=0, atol=2e-6)
    first, second = network.inference_tensors(), again.inference_tensors()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_tail_rewriting_is_undone_exactly(rng: np.random.Generator) -> None:
    weight = rng.normal(size=(3, 5, 9, 9)).astype(np.float32)
    bias = rng.normal(size=3).astype(np.float32)
    back = restore_tail(*rewrite_tail(weight, bias))
    assert np.array_equal(back[0], weight)
    assert np.array_equal(back[1], bias)


def test_left_over_and_missing_weights_are_named() -> None:
    from fourfold.weights.inference_form import fold_srresnet

    state = {k: v.numpy() for k, v in SRResNet(num_blocks=1, width=4).state_dict().items()}
    with pytest.raises(ModelError, match="left-over tensors"):
        fold_srresnet({**state, "extra": state["head.bias"]}, scale=4, num_blocks=1, epsilon=1e-3)
    state.pop("trunk.bias")
    with pytest.raises(ModelError, match=r"missing trunk\.bias"):
        fold_srresnet(state, scale=4, num_blocks=1, epsilon=1e-3)


@pytest.mark.parametrize("scale", [0, 1, 3, 16])
def test_other_scales_are_a_clear_error(scale: int) -> None:
    with pytest.raises(ModelError, match="want one of"):
        SRResNet(scale=scale)
