"""``mien train`` and ``mien evaluate`` never train on a row that is marked as validation or test."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(find_spec("keras") is None, reason="needs keras: pip install 'mien[train]'"),
]
COUNTS = {"train": 28, "validation": 7, "test": 7}
OPTIONS = ["--arch", "dense-64-tanh", "--epochs", 1, "--batch", 16, "--precision", "float32"]


@pytest.fixture
def write(tmp_path):
    """A csv of 28, 7 and 7 rows whose splits have other names."""

    def make(column, words, side=16):
        dice = np.random.default_rng(0)
        splits = [words[at] for at, count in enumerate(COUNTS.values()) for _ in range(count)]
        rows = [
            f"{at % 7},{' '.join(map(str, dice.integers(0, 255, side * side)))},{split}"
            for at, split in enumerate(splits)
        ]
        (tmp_path / "faces.csv").write_text("\n".join([f"emotion,pixels,{column}", *rows]) + "\n")

    return make


@pytest.mark.parametrize(
    ("column", "words"),
    [("Usage", ("train", "val", "test")), ("set", ("Training Set", "dev", "eval"))],
)
def test_rows_train_validate_or_are_left_as_they_are_marked(here, write, tmp_path, column, words):
    write(column, words)
    info = json.loads(here("data", "info", "faces.csv", "--json").out)
    assert info["splits"] == {"Training": 28, "PublicTest": 7, "PrivateTest": 7}
    done = here("train", "--data", "faces.csv", "--out", "run", *OPTIONS)
    assert done.code == 0, done.err
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (run["training_rows"], run["validation_rows"]) == (28, 7)


def test_rows_of_an_unknown_split_are_left_and_said(here, write, tmp_path):
    write("Usage", ("train", "val", "weird"))
    done = here("train", "--data", "faces.csv", "--out", "run", *OPTIONS)
    assert done.code == 0, done.err
    assert "7 rows of the split 'weird' are neither trained on nor validated on" in done.err
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (run["training_rows"], run["validation_rows"]) == (28, 7)


@pytest.mark.parametrize(("split", "count"), [("test", 7), ("val", 7), ("Training", 28), ("PrivateTest", 7)])
def test_evaluate_takes_any_name_of_a_split(here, write, split, count):
    write("split", ("train", "val", "test"), 48)
    done = here("evaluate", "--data", "faces.csv", "--split", split, "--model", "nano", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["n"] == count


@pytest.mark.parametrize("words", [("test", "test", "test"), ("mine", "val", "test")])
def test_without_training_rows_nothing_is_trained(here, write, words):
    write("split", words)
    done = here("train", "--data", "faces.csv", "--out", "run", *OPTIONS)
    assert done.code == 2
    assert "expected rows of the split Training" in done.err


@pytest.mark.shared
@pytest.mark.parametrize("name", ["usage_train.csv", "split_col.csv"])
def test_the_cases_of_the_issue(here, shared, tmp_path, name):
    done = here("train", "--data", shared / "cases" / name, "--model", "two-conv", "--epochs", 1, "--out", "run")
    assert done.code == 0, done.err
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (run["training_rows"], run["validation_rows"]) == (28, 7)
