"""``mien train --search``: several runs, and the best of them as a model."""

from __future__ import annotations

import csv
from importlib.util import find_spec

import numpy as np
import pytest

from mien.models.onnx_file import card_of
from mien.training.config import from_toml, read


@pytest.fixture
def digits(tmp_path):
    """A csv of 12x12 images of three classes, told by their shade."""
    dice = np.random.default_rng(0)
    rows = [f"{row % 3},{' '.join(map(str, dice.integers(20, 60, 144) + 60 * (row % 3)))}" for row in range(90)]
    (tmp_path / "digits.csv").write_text("\n".join(["label,pixels", *rows]) + "\n")


@pytest.mark.train
@pytest.mark.skipif(find_spec("keras") is None, reason="needs keras: pip install 'mien[train]'")
@pytest.mark.skipif(find_spec("optuna") is None, reason="needs Optuna: pip install 'mien[search]'")
def test_a_search_ends_with_the_best_of_its_models(here, digits, tmp_path):
    options = ["--arch", "dense-64-tanh", "--epochs", 2, "--batch", 16, "--precision", "float32"]
    first = here("train", "--data", "digits.csv", "--out", "found", "--search", 1, *options)
    assert first.code == 0, first.err
    done = here("train", "--data", "digits.csv", "--out", "found", "--search", 3, *options)
    assert done.code == 0, done.err
    assert "trial 1 of" not in done.err
    assert "trial 3 of 3: learning rate " in done.err
    assert len(done.out.splitlines()) == 4
    with (tmp_path / "found" / "trials.csv").open(newline="") as file:
        trials = list(csv.DictReader(file))
    assert [trial["trial"] for trial in trials] == ["1", "2", "3"]
    best = max(trials, key=lambda trial: float(trial["validation_score"]) * (trial["state"] == "finished"))
    run = tmp_path / "found" / f"trial-{int(best['trial']):04d}"
    config = read(tmp_path / "found" / "best.toml")
    assert read(run / "config.toml") == config
    assert from_toml(card_of((run / "model.onnx").read_bytes()).origin.config) == config
    other = here("train", "--data", "digits.csv", "--out", "found", "--search", 3, *options, "--seed", 9)
    assert other.code == 2
    assert "received another (seed)" in other.err


@pytest.mark.parametrize("option", ["--search", "--devices"])
def test_none_is_refused(mien, tmp_path, option):
    code, _, err = mien("train", "--data", "x", "--out", tmp_path / "run", option, 0)
    assert (code, option in err) == (2, True)
