"""The whole path with contestants made in the test, in seconds and without a network."""

from __future__ import annotations

import csv
import io
import json
from math import inf

import numpy as np
import pytest

from fourfold.errors import DataError, UsageError
from fourfold.evaluation import (
    Contestant,
    bicubic,
    build_rows,
    evaluate,
    load_contestants,
    open_dataset,
    to_csv,
    to_json,
)
from fourfold.evaluation.published import published_rows
from fourfold.evaluation.rows import bootstrap
from fourfold.imaging.resize import imresize
from fourfold.metrics import score_pair
from fourfold.pictures.images import write_pixels

CONTRACT_KEYS = {
    "model", "weights_sha256", "dataset", "images", "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb",
    "drift", "consistency_psnr", "seconds", "megapixels_per_second",
}  # fmt: skip


@pytest.fixture
def dataset(tmp_path, draw):
    for seed in range(3):
        write_pixels(draw(45, 50 + seed, seed), tmp_path / "Tiny" / f"p{seed}.png")
    return open_dataset(tmp_path / "Tiny", scale=4)


def redder(scale=4):
    def upscale(lr):
        sr = imresize(lr, scale).astype(int)
        sr[..., 0] += 4
        return np.clip(sr, 0, 255).astype(np.uint8)

    return Contestant(
        name="redder", scale=scale, upscale=upscale, weights_sha256="ab" * 32, parameters=7,
        flops_per_output_pixel=12.5, settings={"precision": "fp32"},
    )  # fmt: skip


def test_rows_hold_the_means_of_the_scores(dataset):
    contestants = [bicubic(4), redder()]
    scored = evaluate(contestants, [dataset])
    rows = build_rows(scored, contestants, [dataset])
    assert [row["model"] for row in rows] == ["bicubic", "redder"]
    assert all(set(row) >= CONTRACT_KEYS for row in rows)
    assert "published" not in rows[0]
    plain = [s for s in scored if s.model == "bicubic"]
    assert rows[0]["psnr_y"] == pytest.approx(np.mean([s.scores.psnr_y for s in plain]), abs=1e-4)
    assert rows[0]["images"] == 3
    low, high = rows[0]["psnr_y_interval"]
    assert low <= rows[0]["psnr_y"] <= high
    assert rows[1]["drift"] == pytest.approx(4, abs=0.3)
    assert rows[1]["consistency_psnr"] < rows[0]["consistency_psnr"]
    assert rows[1]["weights_sha256"] == "ab" * 32


def test_scenes_show_what_was_scored(dataset):
    scenes = []
    evaluate([bicubic(4)], [dataset], on_scene=scenes.append)
    assert [scene.image for scene in scenes] == ["p0", "p1", "p2"]
    for scene in scenes:
        want = score_pair(imresize(scene.lr, 4), scene.hr, scale=4)
        assert scene.scores["bicubic"].scores == want


def test_two_runs_give_the_same_bytes_apart_from_times(dataset):
    def run():
        contestants = [bicubic(4), redder()]
        document = json.loads(
            to_json(build_rows(evaluate(contestants, [dataset]), contestants, [dataset]))
        )
        assert set(document) == {"protocol", "rows"}
        for row in document["rows"]:
            del row["seconds"], row["megapixels_per_second"]
        return json.dumps(document)

    assert run() == run()


def test_csv_has_a_line_for_each_picture_and_contestant(dataset):
    scored = evaluate([bicubic(4), redder()], [dataset])
    lines = list(csv.DictReader(io.StringIO(to_csv(scored))))
    assert [(line["image"], line["model"]) for line in lines[:3]] == [
        ("p0", "bicubic"), ("p0", "redder"), ("p1", "bicubic"),
    ]  # fmt: skip
    assert float(lines[0]["psnr_y"]) == pytest.approx(scored[0].scores.psnr_y, abs=1e-4)


def test_perfect_results_are_null_in_json_not_infinity(tmp_path):
    write_pixels(np.full((40, 40, 3), 90, np.uint8), tmp_path / "flat.png")
    dataset = open_dataset(tmp_path, scale=4)
    scored = evaluate([bicubic(4)], [dataset])
    assert scored[0].scores.psnr_y == inf
    (row,) = json.loads(to_json(build_rows(scored, [bicubic(4)], [dataset])))["rows"]
    assert row["psnr_y"] is None
    assert row["psnr_y_interval"] is None
    assert row["ssim_y"] == 1


def test_contestants_meet_only_datasets_of_their_scale(dataset, tmp_path):
    double = open_dataset(tmp_path / "Tiny", scale=2)
    contestants = [bicubic(2), bicubic(4)]
    rows = build_rows(evaluate(contestants, [double, dataset]), contestants, [double, dataset])
    assert [(row["scale"], row["images"]) for row in rows] == [(2, 3), (4, 3)]
    with pytest.raises(DataError, match="bicubic enlarges 2 times, the data is of scale"):
        evaluate([bicubic(2)], [dataset])


def test_further_metrics_become_columns(dataset):
    scored = evaluate([bicubic(4)], [dataset], metrics={"lpips_x": lambda sr, hr: sr.shape[0] / 2})
    (row,) = build_rows(scored, [bicubic(4)], [dataset])
    assert row["lpips_x"] == 18  # (44 - 2 * 4) / 2
    assert "lpips_x" in to_csv(scored).splitlines()[0]


def test_intervals_are_reproducible_and_narrow_with_agreement():
    values = [30.0, 31.0, 33.0, 29.0]
    assert bootstrap(values) == bootstrap(values)
    low, high = bootstrap(values)
    assert 29 <= low < np.mean(values) < high <= 33
    assert bootstrap([30.0, 30.0]) == [30, 30]
    assert bootstrap([30.0]) is None
    assert bootstrap([30.0, inf]) is None


def test_published_rows_need_the_whole_set_at_scale_4():
    rows = published_rows("Set5", images=5, scale=4)
    paper = next(row for row in rows if row["model"] == "SRResNet (paper)")
    assert (paper["psnr_y"], paper["published"]) == (32.05, True)
    assert "2017" in paper["source"]
    assert all(set(row) >= CONTRACT_KEYS for row in rows)
    assert published_rows("BSD100", images=100, scale=4)
    assert not published_rows("Set5", images=4, scale=4)
    assert not published_rows("Set5", images=5, scale=2)
    assert not published_rows("mine", images=5, scale=4)


def test_a_model_named_twice_is_refused():
    with pytest.raises(UsageError, match="srgan-x4 more than once"):
        load_contestants(["srgan-x4", "srgan-x4"])
