"""The small parts: average, schedule, health, journal, gradients of two processes."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from fourfold.metrics.protocol import Scores
from fourfold.training.config import HealthConfig, OptimizerConfig
from fourfold.training.ema import Ema
from fourfold.training.health import Health
from fourfold.training.schedule import learning_rate_at, set_rate
from fourfold.training.steps import _apply, _backward


def test_ema_keeps_decay_of_the_old_value():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)
    ema = Ema(network, decay=0.9)
    network.weight.data.fill_(0.0)
    ema.update(network)
    assert ema.network.weight.item() == pytest.approx(0.9)


def test_ema_forgets_the_start_sooner_when_told_the_step():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(1.0)
    ema = Ema(network, decay=0.999)
    network.weight.data.fill_(0.0)
    ema.update(network, step=0)
    assert ema.network.weight.item() == pytest.approx(0.1)


def test_cosine_warms_up_and_ends_at_the_final_rate():
    settings = OptimizerConfig(learning_rate=1.0, schedule="cosine", warmup=10, final_rate=0.1)
    rates = [learning_rate_at(step, settings, steps=110) for step in range(111)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1.0
    assert rates[60] == pytest.approx(0.55)
    assert rates[110] == pytest.approx(0.1)


def test_adam_takes_the_step_that_keras_takes():
    weight = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    adam = torch.optim.Adam([weight])
    m = v = 0.0
    expected = 1.0
    for t, gradient in enumerate([3e-6, -1e-6, 5e-7], start=1):
        set_rate(adam, 1e-2, epsilon=1e-7)
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        adam.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        alpha = 1e-2 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        expected -= alpha * m / (math.sqrt(v) + 1e-7)
        assert weight.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("d_hr", "d_sr", "said"),
    [(0.99, 0.01, "discriminator wins"), (0.5, 0.5, "collapsed"), (0.7, 0.3, None)],
)
def test_balance_of_the_discriminator(d_hr, d_sr, said):
    health = Health(HealthConfig(window=5))
    found = [w for _ in range(9) for w in health.after_step({"d_hr": d_hr, "d_sr": d_sr})]
    assert len(found) == (1 if said else 0)
    assert said is None or said in found[0]


def test_drift_and_psnr_below_bicubic_are_said():
    health = Health(HealthConfig())
    bad = Scores(20.0, 0.5, 19.0, 0.5, 4.2)
    bicubic = Scores(28.0, 0.8, 26.0, 0.8, 0.1)
    drift, psnr = health.after_validation({"Set5": bad}, {"Set5": bicubic})
    assert "colours drift by 4.2" in drift
    assert "PSNR 20.00 dB is below bicubic's 28.00" in psnr
    assert not health.after_validation({"Set5": bicubic}, {"Set5": bicubic})


def _one_weight(gradient: float, scaler):
    """A step of one weight through `_apply`, with a stand-in for Accelerate."""
    weight = nn.Parameter(torch.tensor([1.0]))
    adam = torch.optim.Adam([weight], lr=0.1)
    accelerator = SimpleNamespace(
        scaler=scaler,
        num_processes=1,
        backward=lambda loss, **rest: (scaler.scale(loss) if scaler else loss).backward(**rest),
    )
    _backward((weight * gradient).sum(), adam, accelerator)
    stepped = _apply([adam], accelerator, 0.0)
    return weight.item(), stepped


def test_scaled_step_equals_the_unscaled():
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    assert _one_weight(0.5, scaler)[0] == pytest.approx(_one_weight(0.5, None)[0])


@pytest.mark.parametrize("scaled", [True, False])
def test_a_gradient_that_is_not_finite_changes_nothing(scaled):
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0) if scaled else None
    weight, stepped = _one_weight(float("inf"), scaler)
    assert weight == 1.0
    assert stepped is scaled  # a scaler has dealt with it by lowering its scale
    assert scaler is None or scaler.get_scale() == 512.0


def test_gradients_are_clipped_to_the_norm():
    weight = nn.Parameter(torch.zeros(4))
    sgd = torch.optim.SGD([weight], lr=1.0)
    weight.grad = torch.full((4,), 3.0)
    _apply([sgd], SimpleNamespace(scaler=None), 1.0)
    assert weight.norm().item() == pytest.approx(1.0, rel=1e-4)
