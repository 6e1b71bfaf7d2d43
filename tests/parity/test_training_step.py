"""One SRGAN step equals the published recipe as TensorFlow computes it in float64."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from fourfold.losses import ContentLoss
from fourfold.losses.pixel import mse
from fourfold.networks.discriminator import Discriminator
from fourfold.networks.srresnet import SRResNet
from fourfold.networks.vgg import VggFeatures
from fourfold.training.schedule import set_rate
from fourfold.training.state import TrainState
from fourfold.training.steps import Objective, WeightedTerm, adversarial_step

GOLDEN = Path(__file__).parents[1] / "golden"
RELATIVE = 1e-5


@pytest.fixture(scope="module")
def reference():
    return json.loads((GOLDEN / "training_reference.json").read_text())


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("maker", GOLDEN / "make_training_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fill(network, weights):
    state = network.state_dict()
    assert {k for k in state if "running" not in k and "tracked" not in k} == set(weights)
    network.load_state_dict(state | {k: torch.from_numpy(v.copy()) for k, v in weights.items()})
    return network


def pictures(nhwc):
    return torch.from_numpy(nhwc).permute(0, 3, 1, 2) / 255


@pytest.fixture(scope="module")
def stepped(maker):
    """The state after one step, the losses it reported, and the weights before."""
    inputs = maker.make_inputs()
    generator = SRResNet(num_blocks=maker.BLOCKS, width=maker.WIDTH).double()
    discriminator = Discriminator(crop=maker.CROP, width=maker.WIDTH).double()
    features = VggFeatures(network="vgg19", layer="vgg54", width=maker.VGG_WIDTHS[0]).double()
    features.means.copy_(torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1).double())
    fill(generator, inputs["generator"])
    fill(discriminator, inputs["discriminator"])
    fill(features, inputs["vgg"])
    adams = [torch.optim.Adam(n.parameters(), fused=True) for n in (generator, discriminator)]
    for adam in adams:
        set_rate(adam, 1e-4, epsilon=1e-7)
    state = TrainState(generator, adams[0], discriminator, adams[1])
    objective = Objective(
        (
            WeightedTerm("content", 1.0, "hr", ContentLoss(features)),
            WeightedTerm("adversarial", 1e-3, "hr", None),
        )
    )
    report = adversarial_step(
        state,
        pictures(inputs["lr"]),
        {"hr": pictures(inputs["hr"])},
        objective=objective,
        accelerator=Accelerator(cpu=True),
    )
    return state, report, inputs


@pytest.mark.parametrize(
    "name", ["content", "adversarial", "generator", "discriminator", "d_hr", "d_sr"]
)
def test_loss_equals_the_reference(stepped, reference, name):
    _, report, _ = stepped
    assert report.losses[name] == pytest.approx(reference["losses"][name], rel=RELATIVE)


def test_pixel_loss_equals_the_reference(maker, reference):
    inputs = maker.make_inputs()
    generator = SRResNet(num_blocks=maker.BLOCKS, width=maker.WIDTH).double().train()
    fill(generator, inputs["generator"])
    found = mse(generator(pictures(inputs["lr"])), pictures(inputs["hr"]))
    assert found.item() == pytest.approx(reference["losses"]["pixel"], rel=RELATIVE)


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_adam_step_equals_the_reference(stepped, reference, network):
    state, _, inputs = stepped
    after = getattr(state, network).state_dict()
    for name, (norm, projection) in reference[network].items():
        change = after[name].numpy() - inputs[network][name]
        if norm < 1e-12:
            continue  # a bias before BatchNorm has no gradient but rounding
        direction = np.cos(np.arange(change.size)).reshape(change.shape)
        if _before_norm(name, network):
            continue
        assert np.linalg.norm(change) == pytest.approx(norm, rel=RELATIVE), name
        found = float((change * direction).sum())
        assert found == pytest.approx(projection, rel=RELATIVE, abs=RELATIVE * norm), name


def _before_norm(name, network):
    """Biases of convolutions that BatchNorm follows: their gradient is 0 but for rounding."""
    if not name.endswith("bias"):
        return False
    if network == "generator":
        return ".conv" in name or name == "trunk.bias"
    layer = name.split(".")[1]
    return name.startswith("features.") and layer not in ("0",) and int(layer) % 3 == 2
