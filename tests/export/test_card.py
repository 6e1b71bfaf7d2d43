"""OpenModelDB cards say what is true of the file beside them."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from fourfold.cli.main import run
from fourfold.weights.catalogue import read_entries
from fourfold.weights.format import save_model
from tests.models import tiny_model

AUTHOR = ["--author", "ann"]


@pytest.fixture
def model(tmp_path: Path) -> str:
    pytest.importorskip("torch")
    training = {"step": 7000, "scores": {"Set5": {"psnr_y": 31.5}}}
    path = tmp_path / "mine.safetensors"
    save_model(replace(tiny_model(), training=training, source="here"), path)
    return str(path)


def test_the_card_is_one_our_own_catalogue_can_read(model: str, tmp_path: Path, capsys) -> None:
    out, card = tmp_path / "4x.onnx", tmp_path / "4x-mine.json"
    address = ["--url", "https://example.org/4x.onnx"]
    arguments = ["models", "export", model, "-o", str(out), "--card", str(card), *AUTHOR, *address]
    assert run(arguments) == 0
    assert str(card) in capsys.readouterr().out
    written = json.loads(card.read_text())
    content = out.read_bytes()
    assert written["resources"] == [
        {
            "platform": "onnx",
            "type": "onnx",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "urls": ["https://example.org/4x.onnx"],
        }
    ]
    datetime.date.fromisoformat(written["date"])
    assert "psnr_y 31.5" in written["description"]
    known = ("name", "author", "license", "architecture", "size", "scale", "trainingIterations")
    assert [written[key] for key in known] == [
        "tiny",
        "ann",
        "Apache-2.0",
        "sr-res-net",
        ["8nf", "2nb"],
        4,
        7000,
    ]
    (entry,) = read_entries({"4x-mine": written}, source="card")
    assert entry.offers[0].direct == ("https://example.org/4x.onnx",)


@pytest.mark.parametrize(
    ("out", "more", "message"),
    [
        ("m.param", ["--card", "c.json", *AUTHOR], r"lists \.pth, \.safetensors, \.onnx"),
        ("m.onnx", ["--card", "c.json"], "want --author"),
        ("m.onnx", ["--card", "c.md", *AUTHOR], r"--card .*\.json"),
        ("m.onnx", AUTHOR, "are for the card"),
        ("m.txt", [], r"ending in \.onnx, \.param, \.pth, \.safetensors"),
    ],
)
def test_what_makes_no_card_is_one_line_and_writes_nothing(
    model: str, tmp_path: Path, capsys, monkeypatch, out, more, message
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["models", "export", model, "-o", out, *more]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert re.search(message, told)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.safetensors"]
