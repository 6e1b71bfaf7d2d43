"""Each term by its meaning, and their sum."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fourfold.imaging.consistency import back_project as reference  # noqa: E402
from fourfold.losses import PIXEL_LOSSES, HighFrequencyLoss  # noqa: E402
from fourfold.losses.settings import TERMS, PixelTerm, term_names  # noqa: E402
from fourfold.networks.back_projection import back_project  # noqa: E402
from fourfold.training.steps import Objective, WeightedTerm, generator_losses  # noqa: E402


def test_high_frequency_does_not_see_a_slope_or_a_shift():
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(8.0), indexing="ij")
    slope = (0.03 * x + 0.02 * y).expand(1, 3, 9, 8)
    loss = HighFrequencyLoss(PIXEL_LOSSES["l1"])
    assert loss(slope + 0.1, torch.zeros_like(slope)).item() == pytest.approx(0, abs=1e-4)


def test_high_frequency_of_one_bright_pixel():
    point = torch.zeros(1, 1, 9, 9)
    point[..., 4, 4] = 9 / 255
    # The mean takes 1 from the pixel and puts -1 around it: 8 and eight times 1, over 7x7 pixels.
    loss = HighFrequencyLoss(PIXEL_LOSSES["l1"])
    assert loss(point, torch.zeros_like(point)).item() == pytest.approx(16 / 49, rel=1e-5)


def test_the_sum_weighs_each_term_and_its_target():
    sr = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    targets = {"hr": torch.zeros(1, 3, 4, 4), "teacher": torch.ones(1, 3, 4, 4)}
    l1 = PIXEL_LOSSES["l1"]
    terms = (
        WeightedTerm("pixel", 2.0, "hr", l1),
        WeightedTerm("pixel_teacher", 0.5, "teacher", l1),
        WeightedTerm("adversarial", 3.0, "hr", None),
    )
    losses = generator_losses(sr, targets, torch.zeros(1), Objective(terms))
    parts = {name: value.item() for name, value in losses.terms.items()}
    ln2 = float(np.log(2))
    assert parts == pytest.approx({"pixel": 127.5, "pixel_teacher": 127.5, "adversarial": ln2})
    assert losses.total.item() == pytest.approx(2.5 * 127.5 + 3 * ln2)


def test_every_kind_has_a_name_of_its_own():
    assert {kind: term().kind for kind, term in TERMS.items()} == {k: k for k in TERMS}
    assert term_names([PixelTerm()] * 3) == ["pixel", "pixel_2", "pixel_3"]


@pytest.mark.parametrize(
    ("height", "width", "scale"), [(8, 8, 4), (7, 13, 2), (5, 6, 3), (6, 5, 8)]
)
def test_back_projection_equals_the_one_in_numpy(height, width, scale):
    rng = np.random.default_rng(0)
    lr = rng.random((height, width, 3), np.float32)
    sr = rng.random((height * scale, width * scale, 3), np.float32)
    found = back_project(*(torch.from_numpy(x.transpose(2, 0, 1)[None].copy()) for x in (sr, lr)))
    assert np.abs(found[0].numpy().transpose(1, 2, 0) - reference(sr, lr)).max() < 1e-5


def test_back_projection_lets_the_gradient_through():
    sr = torch.rand(1, 3, 12, 12, dtype=torch.float64, requires_grad=True)
    lr = torch.rand(1, 3, 6, 6, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: back_project(x, lr), (sr,))
