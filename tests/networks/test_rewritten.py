"""The rewritten tail and PReLU are the plain layers, in value and in gradient."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from fourfold.networks.srresnet import SRResNet


def plain(network, lr):
    """Figure 4 of the paper, layer by layer."""
    x = F.prelu(network.head(lr), network.head_act.weight)
    y = x
    for block in network.blocks:
        z = F.prelu(block.norm1(block.conv1(y)), block.act.weight)
        y = y + block.norm2(block.conv2(z))
    y = x + network.trunk_norm(network.trunk(y))
    for conv, act in zip(network.upsample, network.upsample_acts, strict=True):
        y = F.prelu(F.pixel_shuffle(conv(y), 2), act.weight)
    return (torch.tanh(network.tail(y)) + 1) / 2


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_function_and_gradients_equal_the_plain_network(scale, norm):
    torch.manual_seed(scale)
    network = SRResNet(scale=scale, num_blocks=2, width=6, norm=norm).double()
    for module in network.modules():
        if isinstance(module, torch.nn.PReLU):
            module.weight.data.uniform_(-0.3, 0.6)
    other = copy.deepcopy(network)
    lr = torch.rand(2, 3, 9, 7, dtype=torch.double)
    ours, theirs = network(lr), plain(other, lr)
    assert torch.allclose(ours, theirs, atol=1e-13)
    hr = torch.rand_like(ours)
    F.mse_loss(ours, hr).backward()
    F.mse_loss(theirs, hr).backward()
    for first, second in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.allclose(first.grad, second.grad, atol=1e-13)


def test_output_is_float32_under_bf16():
    network = SRResNet(num_blocks=1, width=4)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(torch.rand(1, 3, 4, 4)).dtype == torch.float32
