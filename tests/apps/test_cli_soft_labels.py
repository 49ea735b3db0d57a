"""``mien train --fold``, ``mien soft-labels`` and ``mien train --soft-labels``: distillation end to end."""

from __future__ import annotations

import json
import tomllib
from importlib.util import find_spec

import numpy as np
import pytest

from mien.training.distillation.soft_labels import read

trained = pytest.mark.skipif(find_spec("keras") is None, reason="needs keras: pip install 'mien[train]'")
SIDE, TRAINING_ROWS = 16, 126
TINY = ["--arch", "two-conv", "--epochs", 1, "--batch", 32]


@pytest.fixture
def fer2013(tmp_path):
    """A folder with a FER2013 csv of 16x16 pixels, in which the shade tells the label."""
    dice = np.random.default_rng(0)
    shade = 30 * (np.arange(168) % 7) + 30
    crops = np.clip(dice.normal(shade[:, None], 5, (168, SIDE * SIDE)), 0, 255).astype(np.uint8)
    splits = ("Training", "Training", "Training", "PublicTest")
    lines = [f"{row % 7},{' '.join(map(str, crop))},{splits[row // 7 % 4]}" for row, crop in enumerate(crops)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *lines]) + "\n")
    return tmp_path / "data"


def run_info(run):
    return json.loads((run / "run.json").read_text())


def soft_labels_of(run):
    return tomllib.loads((run / "config.toml").read_text())["soft_labels"]


def train_teachers(here, fer2013):
    """Trains a teacher per fold of two, ``t0`` and ``t1``."""
    for fold in ("0/2", "1/2"):
        done = here("train", "--data", fer2013, "--out", f"t{fold[0]}", *TINY, "--fold", fold)
        assert done.code == 0, done.err


@trained
@pytest.mark.train
def test_distillation_by_cross_fitting(here, fer2013, tmp_path):
    train_teachers(here, fer2013)
    told = [run_info(tmp_path / run) for run in ("t0", "t1")]
    assert [one["source"]["fold"] for one in told] == ["0/2", "1/2"]
    assert [one["training_rows"] for one in told] == [63, 63]
    assert told[0]["digest"] != told[1]["digest"]

    again = here("train", "--out", "t0", "--resume")
    assert (again.code, "nothing is left to train" in again.err) == (0, True), again.err
    other = here("train", "--out", "t0", "--resume", "--fold", "1/2")
    assert (other.code, "expected the data that the run" in other.err) == (2, True)

    lacking = here("soft-labels", "t0", "--out", "soft.npz")
    assert (lacking.code, "received none for 1/2" in lacking.err) == (2, True), lacking.err
    done = here("soft-labels", "t0", "t1", "t1", "--out", "soft.npz", "--views", 3)
    assert (done.code, done.out) == (0, ""), done.err
    assert "fer2013: " in done.err
    assert "of the soft labels agree with the data's own labels; mean NLL" in done.err
    soft = read(tmp_path / "soft.npz")
    assert (len(soft.keys), [head.head for head in soft.heads]) == (TRAINING_ROWS, ["fer2013"])
    provenance = json.loads(soft.provenance)
    assert [(run["network"], run["fold"]) for run in provenance["runs"]] == [
        ("two-conv", "0/2"), ("two-conv", "1/2"), ("two-conv", "1/2"),
    ]  # fmt: skip
    assert str(tmp_path) not in soft.provenance

    done = here(
        "train", "--data", fer2013, "--out", "student", *TINY, "--soft-labels", "soft.npz", "--distillation-weight", 0.7
    )
    assert done.code == 0, done.err
    config = tomllib.loads((tmp_path / "student" / "config.toml").read_text())
    assert (config["soft_labels"], config["distillation_weight"]) == (str(tmp_path / "soft.npz"), 0.7)
    refused = here("soft-labels", "student", "--out", "b.npz")
    assert (refused.code, "which held out no fold" in refused.err) == (2, True)


@trained
@pytest.mark.train
@pytest.mark.long
def test_teachers_that_have_seen_a_fold_do_not_teach_it(here, fer2013, tmp_path):
    """Six runs more."""
    train_teachers(here, fer2013)
    assert here("soft-labels", "t0", "t1", "--out", "soft.npz").code == 0
    student = ["train", "--data", fer2013, "--out", "student", *TINY, "--soft-labels", "soft.npz"]
    assert here(*student, "--distillation-weight", 0.7).code == 0
    (tmp_path / "my.toml").write_text((tmp_path / "student" / "config.toml").read_text())
    asked = ["train", "--data", fer2013, "--config", "my.toml", "--fold", "0/3"]
    left = here(*asked, "--out", "left")
    assert (left.code, "are not used: their teachers have seen the fold" in left.err) == (0, True), left.err
    assert soft_labels_of(tmp_path / "left") == ""
    again = here(*asked, "--out", "left", "--resume")
    assert (again.code, "nothing is left to train" in again.err) == (0, True), again.err
    assert here(*asked, "--out", "kept", "--soft-labels", "soft.npz").code == 0
    assert soft_labels_of(tmp_path / "kept") == str(tmp_path / "soft.npz")

    begun = ["train", "--data", fer2013, *TINY, "--fold", "1/2", "--weights", "t0", "--out", "begun"]
    assert here(*begun).code == 0
    assert run_info(tmp_path / "begun")["source"]["weights"].startswith("t0, a run, sha256:")
    seen = here("soft-labels", "t0", "begun", "--out", "b.npz")
    assert (seen.code, "may have seen its fold" in seen.err) == (2, True), seen.err

    mixed = here("soft-labels", "t0", "t1", "left", "--out", "b.npz")
    assert (mixed.code, "runs of the same number of folds" in mixed.err) == (2, True)
    listed = fer2013.parent / "out.txt"
    listed.write_text("2\n")
    assert here("train", "--data", fer2013, "--out", "u1", *TINY, "--fold", "1/2", "--exclude", listed).code == 0
    unlike = here("soft-labels", "t0", "u1", "--out", "b.npz")
    assert (unlike.code, "u1, which used others" in unlike.err) == (2, True), unlike.err
    assert not (tmp_path / "b.npz").exists()


@trained
@pytest.mark.train
def test_a_student_learns_from_the_file_of_a_teacher(here, fer2013, tmp_path):
    assert here("train", "--data", fer2013, "--out", "t0", *TINY).code == 0
    done = here("train", "--data", fer2013, "--out", "student", *TINY, "--teacher", "t0/model.onnx")
    assert done.code == 0, done.err
    assert run_info(tmp_path / "student")["source"]["teacher"].startswith("model.onnx sha256:")
    for name, words in (("nano", "expected teachers of face crops of 16 px"), ("nobody", "'nobody'")):
        refused = here("train", "--data", fer2013, "--out", "b", *TINY, "--teacher", name)
        assert (refused.code, words in refused.err) == (2, True), refused.err
    assert not (tmp_path / "b").exists()


@trained
@pytest.mark.train
@pytest.mark.long
def test_online_distillation(here, fer2013, tmp_path):
    for seed in (0, 1):
        assert here("train", "--data", fer2013, "--out", f"t{seed}", *TINY, "--seed", seed).code == 0
    asked = ["--teacher", "t0/model.onnx, t1/model.onnx"]
    done = here("train", "--data", fer2013, "--out", "student", *TINY, *asked, "--distillation-weight", 0.7)
    assert done.code == 0, done.err
    told = run_info(tmp_path / "student")["source"]["teacher"]
    assert [part.split(" ")[0] for part in told.split(", ")] == ["model.onnx", "model.onnx"]
    card = json.loads(here("models", "show", "student/model.onnx", "--json").out)["card"]
    assert f"Distilled online from {told}." in card["origin"]["notes"]
    assert str(tmp_path) not in json.dumps(card)
    alone = here("train", "--data", fer2013, "--out", "alone", *TINY)
    assert alone.code == 0, alone.err
    losses = [json.loads((tmp_path / run / "history.jsonl").read_text())["loss"] for run in ("student", "alone")]
    assert losses[0] != losses[1]

    again = here("train", "--out", "student", "--resume")
    assert (again.code, "nothing is left to train" in again.err) == (0, True), again.err
    (tmp_path / "t1" / "model.onnx").write_bytes((tmp_path / "t0" / "model.onnx").read_bytes())
    other = here("train", "--out", "student", "--resume")
    assert (other.code, "expected teacher = model.onnx sha256:" in other.err) == (2, True), other.err

    left = here("train", "--data", fer2013, "--config", "student/config.toml", "--fold", "0/3", "--out", "left")
    assert (left.code, "is not used: it has seen the fold" in left.err) == (0, True), left.err
    assert run_info(tmp_path / "left")["source"]["teacher"] == ""


@trained
@pytest.mark.train
def test_soft_labels_that_are_not_there_leave_no_run(here, fer2013, tmp_path):
    done = here("train", "--data", fer2013, "--out", "run", *TINY, "--soft-labels", "gone.npz")
    assert (done.code, "expected a file of soft labels at" in done.err) == (2, True)
    assert not (tmp_path / "run" / "config.toml").exists()


def test_soft_labels_of_no_run(mien, tmp_path):
    code, _, err = mien("soft-labels", tmp_path, "--out", tmp_path / "soft.npz")
    assert (code, "expected a run directory" in err) == (2, True)
