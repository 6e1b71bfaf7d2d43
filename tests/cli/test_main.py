"""The command alone greets; a mistyped word is answered with the right one."""

from __future__ import annotations

import pytest

from fourfold.cli.main import run


def test_alone_it_shows_three_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    said = capsys.readouterr().out
    assert said.count("\n  fourfold ") == 3
    assert "fourfold --help" in said
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("upscal a.png", "Did you mean 'upscale'?"),
        ("models serch", "Did you mean 'search'?"),
        ("upscale a.png --overwrit", "Did you mean --overwrite?"),
        ("upscale a.png -n srgan-x5", "no such model; did you mean 'srgan-x4'? Else want srgan-x4"),
        ("train tinny", "did you mean 'tiny'?"),
    ],
)
def test_typos_are_answered(line: str, question: str, capsys: pytest.CaptureFixture[str]) -> None:
    if line.startswith("train"):
        pytest.importorskip("torch")
    assert run(line.split()) == 2
    said = capsys.readouterr().err
    assert question in said
    assert said.count("\n") == 1
