"""From models and data to what is told: names, JSON, and the images of the rows."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from mien.data.dataset import Dataset, Rejected, Truth
from mien.data.folders import LabelledPhotos
from mien.errors import UsageError
from mien.evaluation.evaluate import THUMBNAIL_PX, evaluate_models_on_crops, evaluate_models_on_photos
from mien.models.card import CropRule, FusedOutput, Head, ModelCard
from mien.structures import Box, Face, FrameResult, Prediction

LABELS = ("happy", "sad")
CARD = ModelCard("drawn", 8, 1, CropRule(), (Head("classes", LABELS),), FusedOutput(LABELS, (("classes", 1.0),)))


class Guesses:
    """A classifier with random predictions."""

    def __init__(self, seed, name="drawn", labels=LABELS):
        heads = (Head("classes", labels),)
        self.card = dataclasses.replace(CARD, name=name, heads=heads, fused=FusedOutput(labels, (("classes", 1.0),)))
        self.seed = seed

    def logits(self, crops):
        shape = (len(crops), len(self.card.fused.labels))
        return {"classes": np.random.default_rng(self.seed).normal(size=shape).astype(np.float32)}


@pytest.fixture
def data():
    """Forty face crops, of which every fourth is not predictions."""
    dice = np.random.default_rng(0)
    truth = Truth(
        "classes",
        LABELS,
        np.eye(2, dtype=np.float32)[dice.integers(0, 2, 40)],
        np.ones(40, np.float32),
        np.arange(40) % 4 != 0,
    )
    crops = dice.integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
    places = np.array([str(row + 2) for row in range(40)])
    return Dataset("made", crops, (truth,), np.full(40, "test"), places, "0" * 64, (Rejected("9", "torn"),))


def test_one_model_s_json_is_its_report(data):
    evaluation = evaluate_models_on_crops({"a": Guesses(0)}, data)
    assert evaluation.comparison is None
    assert evaluation.to_json() == evaluation.models[0].report.to_json()
    assert evaluation.rejected == data.rejected


def test_several_models_json_has_each_and_their_comparison(data):
    values = json.loads(evaluate_models_on_crops({"a": Guesses(0, "x"), "b": Guesses(1, "y")}, data).to_json())
    assert set(values) == {"models", "comparison"}
    assert [report["model"] for report in values["models"]] == ["x", "y"]
    assert (values["comparison"]["baseline"], values["comparison"]["n"]) == ("x", 30)


def test_models_of_one_name_are_called_as_the_user_does(data):
    models = {"runs/1": Guesses(0), "runs/2": Guesses(1), "runs/3": Guesses(2, "other")}
    reports = [model.report.model for model in evaluate_models_on_crops(models, data).models]
    assert reports == ["runs/1", "runs/2", "other"]


def test_scores_without_copies_stand_beside_the_others(data):
    evaluation = evaluate_models_on_crops({"a": Guesses(0)}, data)
    copied = np.arange(30) < 10
    values = evaluation.to_dict(copied)
    without = values.pop("without_copies")
    assert values == evaluation.to_dict()
    assert (without["n"], without["excluded"]) == (20, 20)
    assert without["accuracy"] == evaluation.models[0].correct[10:].mean()
    assert evaluation.to_dict(np.ones(30, bool))["without_copies"] is None


def test_rows_are_shown_by_their_crops(data):
    evaluation = evaluate_models_on_crops({"a": Guesses(0)}, data)
    assert np.array_equal(evaluation.shown(3), data.crops[5])  # rows 0 and 4 of the data are not evaluated


def test_models_of_other_labels_are_not_compared(data):
    with pytest.raises(UsageError, match="with the same labels"):
        evaluate_models_on_crops({"a": Guesses(0), "b": Guesses(1, "wide", (*LABELS, "fear"))}, data)


class Finds:
    """A recognizer that finds the same face in every photo but those whose names say otherwise."""

    labels = LABELS
    head = "fused"

    def __init__(self, name="drawn"):
        self.classifier = SimpleNamespace(card=dataclasses.replace(CARD, name=name))

    def predict_many(self, images):
        for path in images:
            shown = Prediction(Face(Box(60, 20, 180, 160)), LABELS, (0.7, 0.3))
            yield FrameResult(str(path), predictions=() if "none" in path.stem else (shown,))


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / f"{name}.png" for name in ("face", "none", "torn-none")]
    for path in paths[:2]:
        Image.fromarray(astronaut()[:256, 96:352]).save(path)
    paths[2].write_bytes(b"no image")
    return LabelledPhotos(tuple(paths), ("happy", "sad", "sad"))


def test_photos_are_shown_by_the_face_that_was_evaluated(photos):
    evaluation = evaluate_models_on_photos({"a": Finds()}, photos)
    face, whole = evaluation.shown(0), evaluation.shown(1)
    assert face.shape == whole.shape == (THUMBNAIL_PX, THUMBNAIL_PX, 3)
    assert not np.array_equal(face, whole)
    assert evaluation.shown(2) is None
    assert evaluation.models[0].faces == (Face(Box(60, 20, 180, 160)), None, None)


def test_progress_over_several_models_is_one(photos):
    told = []
    evaluate_models_on_photos({"a": Finds("a"), "b": Finds("b")}, photos, on_progress=told.append)
    assert told == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
