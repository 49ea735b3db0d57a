"""``mien bench``: detectors side by side, and a model under corruptions, on drawn images."""

from __future__ import annotations

import json

import numpy as np
import pytest

from drawn_scenes import write_scenes


@pytest.fixture
def fer2013(tmp_path):
    """A csv of noise, ten rows in each of two splits."""
    dice = np.random.default_rng(0)
    lines = [
        f"{row % 7},{' '.join(map(str, dice.integers(0, 256, 48 * 48)))},{('Training', 'PublicTest')[row % 2]}"
        for row in range(20)
    ]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    return tmp_path / "fer2013.csv"


def test_robustness_tells_each_change_their_mean_and_the_worst(mien, fer2013):
    code, out, _ = mien("bench", "robustness", fer2013, "--json")
    assert code == 0
    told = json.loads(out)
    accuracies = [row["accuracy"] for row in told["rows"]]
    assert (told["rows"][0]["corruption"], len(accuracies)) == ("none", 28)
    assert told["mean"] == pytest.approx(np.mean(accuracies[1:]))
    table = mien("bench", "robustness", fer2013).out
    assert f"{told['mean']:.3f}" in table
    assert f"{min(accuracies[1:]):.3f}" in table
    assert "sunglasses" in table


def test_detectors_stand_side_by_side(mien, tmp_path):
    write_scenes(tmp_path / "drawn", 8)
    code, out, err = mien("bench", "detectors", tmp_path / "drawn", "-d", "auto", "-d", "haar")
    assert code == 0, err
    assert {"auto", "haar"} <= {line.split()[0] for line in out.splitlines() if line.strip()}
    told = json.loads(mien("bench", "detectors", tmp_path / "drawn", "-d", "auto", "--json").out)
    assert list(told[0]["recall"]) == ["20 to 40 px", "40 px and more"]
    assert told[0]["recall"]["40 px and more"]["faces"] == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["detectors", "gone"], "labels.jsonl"),
        (["robustness", "gone.csv"], "gone.csv"),
        (["robustness", "fer2013.csv", "--head", "affectnet"], "affectnet"),
        (["robustness", "fer2013.csv", "--split", "None"], "None"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_t_be_judged_is_refused(mien, fer2013, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = mien("bench", *arguments)
    assert (code, out) == (2, "")
    assert words in err
