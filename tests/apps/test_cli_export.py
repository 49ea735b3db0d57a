"""``mien export``: a run's model file again, and its int8 form where that passes its gate."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest

from mien.models.onnx_file import card_of
from mien.models.store import ModelStore

trained = pytest.mark.skipif(find_spec("keras") is None, reason="needs keras: pip install 'mien[train]'")


@pytest.fixture
def run(here, tmp_path):
    """A short run of a network too small to gain by int8, on images whose shade tells their class."""
    dice = np.random.default_rng(0)
    rows = [
        f"{row % 7},{' '.join(map(str, dice.integers(20, 50, 256) + 30 * (row % 7)))},{split}"
        for row, split in enumerate(["Training"] * 84 + ["PublicTest"] * 42)
    ]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    options = ["--arch", "dense-64-tanh", "--epochs", 2, "--batch", 16, "--precision", "float32"]
    done = here("train", "--data", "fer2013.csv", "--out", "run", *options)
    assert done.code == 0, done.err
    return tmp_path / "run"


@trained
@pytest.mark.train
def test_the_data_is_found_where_the_run_read_it(here, run, tmp_path):
    card = card_of(ModelStore().load(run / "model.onnx"))
    (run / "model.onnx").unlink()
    done = here("export", "run")
    assert done.code == 0, done.err
    again = card_of(ModelStore().load(run / "model.onnx"))
    assert (again.heads, again.fused, again.scores) == (card.heads, card.fused, card.scores)

    (tmp_path / "fer2013.csv").rename(tmp_path / "moved.csv")
    gone = here("export", "run")
    assert gone.code == 2
    assert "fer2013.csv, where the run read it" in gone.err
    assert "--data" in gone.err
    assert here("export", "run", "--data", "moved.csv").code == 0


@trained
@pytest.mark.train
def test_int8_that_is_not_faster_is_not_written(here, run):
    before = (run / "model.onnx").read_bytes()
    done = here("export", "run", "--int8")
    assert done.code == 2
    assert "at least 1.3 times as fast; received: macro F1 of " in done.err
    assert "x at batch 64. No int8 file is written" in done.err
    assert not (run / "model.int8.onnx").exists()
    assert (run / "model.onnx").read_bytes() == before


@pytest.mark.long
@pytest.mark.shared
def test_int8_of_the_shipped_model_is_written_and_used(*, ran, mien, paint, portrait, shipped_model, shared, tmp_path):
    pytest.importorskip("onnx", reason="needs onnx: pip install 'mien[train]'")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text('network = "compact"\n')
    (tmp_path / "run" / "model.onnx").write_bytes(shipped_model)
    done = ran("export", "run", "--int8", "--data", shared / "data" / "fer2013")
    assert done.code == 0, done.err
    assert "int8 compared with float32: macro F1 of " in done.err
    int8 = tmp_path / "run" / "model.int8.onnx"
    assert card_of(ModelStore().load(int8)).name == "compact-int8"
    answers = [
        json.loads(mien("predict", paint("a.png", portrait), "--model", model, "--json").out)["faces"][0]
        for model in ("compact", int8)
    ]
    assert answers[0]["emotion"] == answers[1]["emotion"] == "happy"
    assert answers[1]["probability"] == pytest.approx(answers[0]["probability"], abs=0.05)


def test_a_run_without_a_data_source_needs_the_option(mien, tmp_path):
    (tmp_path / "config.toml").write_text('network = "two-conv"\n')
    code, _, err = mien("export", tmp_path)
    assert (code, "expected --data" in err) == (2, True)
