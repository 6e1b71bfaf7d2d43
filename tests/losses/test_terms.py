"""Each term by its meaning, and their sum."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fourfold.imaging.consistency import back_project as reference  # noqa: E402
from fourfold.losses import PIXEL_LOSSES, HighFrequencyLoss  # noqa: E402
from fourfold.losses.settings import TERMS, PixelTerm, term_names  # noqa: E402
from fourfold.losses.steady import SteadyLoss  # noqa: E402
from fourfold.networks.back_projection import back_project  # noqa: E402
from fourfold.training.steps import Objective, WeightedTerm, enlarge, generator_losses  # noqa: E402


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


def test_what_moves_with_its_picture_is_steady():
    torch.manual_seed(0)
    loss = SteadyLoss(PIXEL_LOSSES["l1"], noise=0)
    y, x = torch.meshgrid(torch.linspace(0, 1, 24), torch.linspace(0, 1, 32), indexing="ij")
    slope = (0.2 + 0.3 * x + 0.2 * y).expand(2, 3, 24, 32)

    def flicker(enlarge):
        sr = enlarge(slope)
        return [loss(sr, enlarge(loss.next_frame(slope, scale=4))).item() for _ in range(8)]

    def enlarge(lr):
        return torch.nn.functional.interpolate(lr, scale_factor=4, mode="bilinear")

    pattern = torch.rand(1, 3, 96, 128)
    steady, restless = flicker(enlarge), flicker(lambda lr: enlarge(lr) + 0.1 * pattern)
    assert max(steady) < 0.3  # steps of 255
    assert min(restless) > 3


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


@pytest.mark.parametrize("consistency", [True, False])
def test_drift_is_what_the_consistency_step_puts_right(consistency):
    lr = torch.rand(1, 3, 8, 8)
    brighter = torch.nn.functional.interpolate(lr, scale_factor=4, mode="nearest") + 0.1
    state = SimpleNamespace(generator=lambda _: brighter)
    l1 = PIXEL_LOSSES["l1"]
    terms = (WeightedTerm("drift", 1.0, "counterpart", l1),)
    sr, counterpart = enlarge(state, lr, Objective(terms, consistency=consistency))
    assert torch.equal(counterpart if consistency else sr, brighter)
    drift = l1(sr, counterpart).item()
    correction = torch.from_numpy(reference(_numpy(brighter), _numpy(lr))) - brighter[0].movedim(
        0, 2
    )
    assert drift == pytest.approx(255 * correction.abs().mean().item(), rel=1e-4)
    assert drift > 20


def _numpy(picture):
    return picture[0].movedim(0, 2).numpy()


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


def test_lpips_under_autocast_is_nearly_that_of_fp32(tmp_path, monkeypatch):
    from fourfold.losses.lpips import LpipsLoss
    from tests.made_metrics import write_lpips_files

    write_lpips_files(tmp_path, "vgg")
    monkeypatch.setenv("FOURFOLD_METRICS", str(tmp_path))
    loss = LpipsLoss()
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 3, 32, 32, generator=generator)
    near = (target + 0.1 * torch.rand(2, 3, 32, 32, generator=generator)).clamp(0, 1)
    wide = loss(near, target)
    for dtype, tolerance in ((torch.bfloat16, 0.05), (torch.float16, 1e-6)):
        with torch.autocast("cpu", dtype):
            narrow = loss(near, target)
        assert narrow.dtype == torch.float32
        assert narrow.item() == pytest.approx(wide.item(), rel=tolerance)
    assert loss(target, target).item() == pytest.approx(0, abs=1e-6)


def test_the_patch_discriminator_judges_patches_and_stays_bounded():
    from fourfold.networks.patch_discriminator import PatchDiscriminator

    torch.manual_seed(0)
    judge = PatchDiscriminator(width=4)
    for _ in range(20):
        logits = judge(torch.rand(2, 3, 32, 40))
    assert logits.shape == (2, 8, 10)
    with torch.no_grad():
        for layer in (*judge.layers, judge.logit):
            norm = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
            assert norm.item() == pytest.approx(1, rel=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        assert judge(torch.rand(1, 3, 16, 16)).dtype == torch.float32
