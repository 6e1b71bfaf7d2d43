"""Torch's files: what claims to be large, packed, endless or a program is refused before it is built."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fourfold.engine.network import load_network  # noqa: E402
from fourfold.errors import ModelError, ModelNotFound  # noqa: E402
from fourfold.weights.importing import import_torch  # noqa: E402
from fourfold.weights.readers.state_dict import read_state_dict  # noqa: E402

MSRRESNET = {
    "conv_first.weight": torch.zeros(4, 3, 3, 3),
    "body.0.conv1.weight": torch.zeros(4, 4, 3, 3),
    "upconv1.weight": torch.zeros(16, 4, 3, 3),
    "conv_hr.weight": torch.zeros(4, 4, 3, 3),
}
SRRESNET = {
    "head.weight": torch.zeros(4, 3, 9, 9),
    "head_act.weight": torch.zeros(4),
    "blocks.0.act.weight": torch.zeros(4),
    "upsample_acts.0.weight": torch.zeros(4),
}


def packed(path: Path) -> None:
    torch.save({"a": torch.zeros(1 << 20)}, path)
    plain = path.rename(path.with_suffix(".zip"))
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in source.namelist():
            file.writestr(name, source.read(name))
    plain.unlink()


def endless(path: Path) -> None:
    state: dict = {"a": torch.zeros(1)}
    state["params"] = state
    torch.save(state, path)


def program(path: Path) -> None:
    traced = torch.jit.trace(torch.nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 4, 4))
    torch.jit.save(traced, str(path))


HOSTILE = {
    "packed zip": (packed, "packed zip"),
    "dict in itself": (endless, "net"),
    "TorchScript": (program, "or a program"),
    "a number for a million": (
        lambda p: torch.save({"a": torch.zeros(1).expand(1 << 20, 1 << 12)}, p),
        "claim more than",
    ),
    "a side of 10^9": (
        lambda p: torch.save({"a": torch.zeros(1).expand(1 << 30)}, p),
        "of shape",
    ),
    "layer 10^12": (
        lambda p: torch.save({**MSRRESNET, "body.999999999999.conv1.bias": torch.zeros(4)}, p),
        r"body\.999999999999",
    ),
    "numbers for names": (lambda p: torch.save({1: torch.zeros(1)}, p), "net"),
    "a list": (lambda p: torch.save([torch.zeros(1)], p), "want a state dict"),
    "words for tensors": (lambda p: torch.save({"a": "b"}, p), "want only tensors"),
    "a flat kernel": (
        lambda p: torch.save({**MSRRESNET, "conv_first.weight": torch.zeros(())}, p),
        "net",
    ),
    "half a network": (lambda p: torch.save(SRRESNET, p), "missing"),
    "flat slopes": (lambda p: torch.save({**SRRESNET, "head.weight": torch.zeros(3)}, p), "net"),
}


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # torch's own, where it writes TorchScript
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused_in_one_line(tmp_path, what):
    path = tmp_path / "net.pth"
    write, message = HOSTILE[what]
    write(path)
    with pytest.raises(ModelError, match=message) as caught:
        import_torch(path)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["net.pth"]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".onnx", ".param"])
def test_what_is_no_file_is_not_waited_for(tmp_path, suffix):
    os.mkfifo(tmp_path / f"net{suffix}")
    with pytest.raises(ModelNotFound, match="no such model"):
        load_network(tmp_path / f"net{suffix}")


def test_a_link_to_a_file_is_that_file(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "there.pth")
    (tmp_path / "net.pth").symlink_to(tmp_path / "there.pth")
    assert np.array_equal(read_state_dict(tmp_path / "net.pth")["a"], np.ones(2))
