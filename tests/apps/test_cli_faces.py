"""``mien train --arch face-detector`` and what takes the file that it writes."""

from __future__ import annotations

import json
import tomllib
from importlib.util import find_spec

import pytest
from PIL import Image
from skimage.data import astronaut

from drawn_scenes import write_scenes
from mien.models.store import ModelStore

pytestmark = pytest.mark.train
trained = pytest.mark.skipif(find_spec("keras") is None, reason="needs keras: pip install 'mien[train]'")
STATISTICS_IMAGES = 512
QUICK = ["--arch", "face-detector", "--epochs", 1, "--batch", 8, "--precision", "float32"]


@pytest.fixture(params=[32, pytest.param(STATISTICS_IMAGES, marks=pytest.mark.long)])
def statistics_images(request, monkeypatch):
    """How many images batch normalisation is estimated from: most of the time of so short a run."""
    monkeypatch.setattr("mien.training.tasks.detection.task.STATISTICS_IMAGES", request.param)


@trained
@pytest.mark.usefixtures("statistics_images")
def test_a_detector_is_taught_exported_judged_and_used(here, tmp_path):
    folder, run = write_scenes(tmp_path / "drawn"), tmp_path / "run"
    done = here("train", "--data", "drawn", "--out", "run", *QUICK, "--teacher", "none")
    assert (done.code, done.out) == (0, ""), done.err
    assert "score threshold of a face: " in done.err
    assert tomllib.loads((run / "config.toml").read_text())["teacher"] == ""
    assert ModelStore().describe(run / "model.onnx").kind == "detector"

    (run / "model.onnx").unlink()
    assert here("export", "run").code == 0

    judged = here("bench", "detectors", "drawn", "-d", "run/model.onnx", "-d", "haar", "--json")
    assert judged.code == 0, judged.err
    assert [one["detector"] for one in json.loads(judged.out)] == ["run/model.onnx", "haar"]

    read = here("predict", folder / "1.png", "--detector", "run/model.onnx", "--json")
    assert read.code == 0, read.err
    assert json.loads(read.out)["error"] is None


@trained
@pytest.mark.usefixtures("statistics_images")
@pytest.mark.long
def test_crops_are_pasted_and_remembered(here, tmp_path):
    write_scenes(tmp_path / "drawn")
    for name in ("happy", "sad"):
        (tmp_path / "crops" / name).mkdir(parents=True)
        face = Image.fromarray(astronaut()[66:166, 172:272]).convert("L").resize((48, 48))
        face.save(tmp_path / "crops" / name / "1.png")
    done = here("train", "--data", "drawn", "--out", "run", *QUICK, "--teacher", "faces", "--copy-paste", "crops")
    assert done.code == 0, done.err
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert (config["teacher"], config["copy_paste"]) == ("faces", str(tmp_path / "crops"))


@trained
def test_the_teacher_is_asked_for_by_name(here, tmp_path):
    write_scenes(tmp_path / "drawn")
    done = here("train", "--data", "drawn", "--out", "run", *QUICK)
    assert (done.code, "mien models pull yunet" in done.err) == (2, True), done.err
    assert not (tmp_path / "run" / "model.onnx").exists()


@trained
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--teacher", "haar"], "expected yunet, or the .onnx file of a detector, as teacher; received 'haar'"),
        (["--teacher", "gone.onnx"], "gone.onnx"),
        (
            ["--teacher", "none", "--copy-paste", "crops"],
            "expected face crops to paste with the face detector",
        ),
        (["--teacher", "faces", "--copy-paste", "gone"], "expected a data set at"),
        (["--search", "2"], "received the face detector"),
    ],
    ids=" ".join,
)
def test_what_no_detector_comes_of_is_refused(here, tmp_path, options, words):
    write_scenes(tmp_path / "drawn")
    done = here("train", "--data", "drawn", "--out", "run", *QUICK, *options)
    assert done.code == 2, done.err
    assert words in done.err
    assert not (tmp_path / "run" / "model.onnx").exists()
