"""What mien 0.1.0 wrote stays readable: a model file, a run directory that goes on, a line of JSON.

The files in this folder were written by mien 0.1.0: ``run-0.1.0`` and ``model-0.1.0.onnx`` by an interrupted and a
finished run of mini-xception on drawn faces (``drawn.csv.xz``), ``result-0.1.0.jsonl`` by ``mien predict --json``.
"""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest

from mien.classification.classifier import Classifier
from mien.models.legacy import head_named
from mien.outputs import from_dict, to_dict
from mien.training.run.directory import is_run, read_run

HERE = Path(__file__).parent


@pytest.fixture
def run(tmp_path):
    """A copy of the run, and the data that it was trained on."""
    shutil.copytree(HERE / "run-0.1.0", tmp_path / "run")
    (tmp_path / "drawn.csv").write_bytes(lzma.decompress((HERE / "drawn.csv.xz").read_bytes()))
    return tmp_path / "run"


def test_a_model_file_loads_and_its_outputs_have_todays_names():
    classifier = Classifier((HERE / "model-0.1.0.onnx").read_bytes())
    card = classifier.card
    assert card.output("answer") is card.output("fused") is card.fused
    assert "fused" in {score.head for score in card.scores}
    assert 'network = "mini-xception"' in card.origin.config
    crops = np.zeros((2, card.size, card.size, card.channels), np.uint8)
    assert classifier.predict(crops, "answer").tolist() == classifier.predict(crops, "fused").tolist()


def test_a_run_directory_is_read_with_its_recipe_and_history(run):
    assert is_run(run)
    record = read_run(run)
    assert (record.config.learning_rate, record.config.clipnorm, record.config.ema_decay) == (0.1, 5.0, 0.999)
    assert record.config.augmentation.brightness == 0.2
    (epoch,) = record.history
    assert epoch.learning_rate == pytest.approx(0.0812, abs=1e-4)
    assert epoch.images_per_second > 0


@pytest.mark.train
def test_an_interrupted_run_goes_on_to_its_end(run, mien):
    before = read_run(run).history
    done = mien("train", "--out", run, "--resume", "--data", run.parent / "drawn.csv")
    assert done.code == 0, done.err
    record = read_run(run)
    assert record.finished
    assert record.history[:1] == before
    assert (run / "model.onnx").is_file()


def test_a_json_line_gives_its_result_back():
    (line,) = (HERE / "result-0.1.0.jsonl").read_text().splitlines()
    values = json.loads(line)
    assert values["schema"] == 1
    result = from_dict(values)
    (prediction,) = result.predictions
    assert (prediction.emotion, prediction.unsure) == ("happy", False)
    again = to_dict(result)["faces"][0]
    assert {name: again[name] for name in values["faces"][0]} == values["faces"][0]


@pytest.mark.parametrize(("old", "new"), [("answer", "fused"), ("fused", "fused"), ("ferplus", "ferplus")])
def test_heads_have_one_name(old, new):
    assert head_named(old) == new
