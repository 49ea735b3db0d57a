"""Evaluation of models: which rows count for which head, and detector and classifier together on photos."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mien.data.dataset import Dataset, Rejected, Truth
from mien.data.folders import LabelledPhotos
from mien.errors import DatasetError, ModelError, UsageError
from mien.evaluation.evaluate import evaluate_crops, evaluate_photos, targets_for
from mien.models.card import CropRule, FusedOutput, Head, ModelCard
from mien.structures import Box, Face, FrameResult, Prediction

CARD = ModelCard(
    name="drawn",
    size=8,
    channels=1,
    crop=CropRule(),
    heads=(Head("fer2013", ("happy", "sad")), Head("ferplus", ("sad", "contempt", "happy"))),
    fused=FusedOutput(("sad", "happy"), (("fer2013", 0.5), ("ferplus", 0.5))),
)
LABELS = ("happy", "sad", "fear")


class Speaks:
    """A classifier that gives, for every head, the label whose number the face crop's pixels have."""

    card = CARD

    def logits(self, crops):
        said = {0: "happy", 1: "sad", 2: "contempt"}
        return {
            head.name: np.array(
                [[8.0 * (label == said[int(face_crop[0, 0, 0])]) for label in head.labels] for face_crop in crops],
                np.float32,
            )
            for head in CARD.heads
        }


def truth(head, labels, targets, evaluated=None):
    count = len(targets)
    return Truth(
        head=head,
        labels=labels,
        targets=np.eye(len(labels), dtype=np.float32)[[labels.index(answer) for answer in targets]],
        weights=np.ones(count, np.float32),
        evaluated=np.ones(count, np.bool_) if evaluated is None else np.array(evaluated),
    )


def data_of(said, *truths):
    count = len(said)
    return Dataset(
        name="made",
        crops=np.tile(np.array(said, np.uint8)[:, None, None, None], (1, 8, 8, 1)),
        truths=truths,
        splits=np.full(count, "PublicTest"),
        rows=np.array([str(row) for row in range(count)]),
        digest="d" * 64,
        rejected=(Rejected("7", "torn"),),
    )


OWN = truth("fer2013", ("happy", "sad"), ["happy", "sad", "sad", "happy"])
VOTES = truth(
    "ferplus", ("happy", "sad", "contempt"), ["sad", "sad", "contempt", "happy"], evaluated=[True, True, True, False]
)


class TestCrops:
    def test_the_head_of_the_data_s_own_labels_is_evaluated_unless_told(self):
        report = evaluate_crops(Speaks(), data_of([0, 1, 0, 0], OWN, VOTES)).report
        assert (report.head, report.model, report.data, report.split) == ("fer2013", "drawn", "made", "PublicTest")
        assert (report.metrics.accuracy, report.metrics.n, report.excluded, report.rejected) == (0.75, 4, 0, 1)
        assert report.metrics.labels == ("happy", "sad")
        assert report.metrics.confusion.tolist() == [[2, 0], [1, 1]]

    def test_a_head_is_evaluated_on_its_own_truth_on_the_rows_that_count(self):
        report = evaluate_crops(Speaks(), data_of([1, 2, 2, 2], OWN, VOTES), "ferplus").report
        assert (report.metrics.n, report.excluded) == (3, 1)
        assert report.metrics.labels == ("sad", "contempt", "happy")
        assert report.metrics.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]

    def test_the_answer_is_evaluated_on_votes_on_the_labels_that_it_names(self):
        report = evaluate_crops(Speaks(), data_of([1, 0, 2, 0], OWN, VOTES), "fused").report
        assert (report.head, report.metrics.labels) == ("fused", ("sad", "happy"))
        assert (report.metrics.n, report.excluded) == (
            2,
            2,
        )  # the fused output lacks contempt; the last row is not evaluated
        assert report.metrics.confusion.tolist() == [[1, 1], [0, 0]]

    def test_the_rows_behind_the_report_are_kept(self):
        predictions = evaluate_crops(Speaks(), data_of([1, 2, 2, 2], OWN, VOTES), "ferplus")
        assert predictions.rows.tolist() == [0, 1, 2]
        assert predictions.places.tolist() == ["0", "1", "2"]
        assert [predictions.labels[at] for at in predictions.targets] == ["sad", "sad", "contempt"]
        assert [predictions.labels[at] for at in predictions.predicted] == ["sad", "contempt", "contempt"]
        assert (predictions.card, predictions.faces, predictions.found.all()) == (CARD, (), True)

    def test_without_votes_the_answer_is_evaluated_on_the_data_s_labels(self):
        assert evaluate_crops(Speaks(), data_of([0, 1, 1, 1], OWN), "fused").metrics.accuracy == 0.75

    def test_labels_that_the_model_does_not_know_are_left_out(self):
        data = data_of([0, 0, 0], truth("fer2013", LABELS, ["happy", "fear", "sad"]))
        targets, rows = targets_for(CARD, data, "fer2013")
        assert (targets.tolist(), rows.tolist()) == ([0, 1], [0, 2])

    @pytest.mark.parametrize(
        ("truths", "labels", "error", "words"),
        [
            ([OWN], "ferplus", DatasetError, r"\['fer2013'\] of made; received 'ferplus'"),
            ([OWN], "nope", ModelError, r"\['fused', 'fer2013', 'ferplus'\] of the model 'drawn'; received 'nope'"),
            ([truth("classes", ("cat",), ["cat"] * 4)], "", ModelError, "received 'classes'"),
            ([truth("fer2013", ("cat",), ["cat"] * 4)], "", UsageError, r"some of the labels .* received \['cat'\]"),
            ([truth("fer2013", LABELS, ["fear"] * 4)], "", UsageError, "rows to evaluate 'fer2013' on"),
            ([truth("fer2013", LABELS, ["sad"] * 4, [False] * 4)], "", UsageError, "rows to evaluate 'fer2013' on"),
        ],
    )
    def test_what_can_t_be_evaluated_is_refused(self, truths, labels, error, words):
        with pytest.raises(error, match=words):
            evaluate_crops(Speaks(), data_of([0, 0, 0, 0], *truths), labels)


def shows(happy, side=10.0):
    return Prediction(Face(Box(0, 0, side, side)), ("sad", "happy"), (1 - happy, happy))


class Recognises:
    """A recognizer that has its results by the photo's name, and reads no file."""

    labels = ("sad", "happy")
    head = "fused"
    classifier = SimpleNamespace(card=CARD)

    def __init__(self, **results):
        self.results = results

    def predict_many(self, images):
        for path in images:
            found = self.results[path.stem]
            unread = isinstance(found, str)
            yield FrameResult(str(path), predictions=() if unread else found, error=found if unread else None)


def photos(**targets):
    return LabelledPhotos(
        tuple(Path(f"{name}.jpg") for name in targets), tuple(targets.values()), (Rejected("2", "x"),)
    )


class TestPhotos:
    def test_missed_and_unreadable_photos_are_wrong_and_counted(self):
        recognizer = Recognises(a=(shows(0.9),), b=(), c="torn", d=(shows(0.2),))
        report = evaluate_photos(recognizer, photos(a="happy", b="happy", c="sad", d="sad")).report
        assert (report.metrics.n, report.metrics.accuracy, report.missed, report.rejected) == (4, 0.5, 2, 1)
        assert report.metrics.missed.tolist() == [1, 1]
        assert (report.model, report.head, report.data, report.split) == ("drawn", "fused", "4 photos", "all")

    @pytest.mark.parametrize("order", [1, -1])
    def test_the_largest_face_is_the_one_spoken_of(self, order):
        found = (shows(0.1, side=5), shows(0.9, side=50), shows(0.2, side=20))[::order]
        assert evaluate_photos(Recognises(a=found), photos(a="happy")).metrics.accuracy == 1

    def test_the_rows_behind_the_report_are_kept(self):
        found = shows(0.9)
        predictions = evaluate_photos(Recognises(b=(), c=(found,)), photos(a="sad", b="happy", c="happy"), ["sad"])
        assert predictions.rows.tolist() == [1, 2]
        assert predictions.places.tolist() == ["b.jpg", "c.jpg"]
        assert predictions.faces == (None, found.face)
        assert predictions.found.tolist() == [False, True]
        assert predictions.probabilities[1].tolist() == pytest.approx([0.1, 0.9])

    @pytest.mark.parametrize("word", ["sad", "Sadness"])
    def test_expressions_left_out_are_not_evaluated(self, word):
        recognizer = Recognises(a=(shows(0.9),))
        report = evaluate_photos(recognizer, photos(a="happy", b="sad"), [word]).report
        assert (report.metrics.n, report.metrics.accuracy, report.excluded) == (1, 1, 1)
        assert report.split == "without sad"

    @pytest.mark.parametrize(
        ("targets", "left_out", "words"),
        [
            ({"a": "happy", "b": "fear"}, [], r"labelled with some of \['sad', 'happy'\]; received \['fear'\]"),
            ({"a": "happy"}, ["happy"], "received none"),
            ({"a": "happy"}, ["hapy"], r"expressions to exclude \(angry, .*; received \['hapy'\]"),
        ],
    )
    def test_what_can_t_be_evaluated_is_refused_before_a_photo_is_read(self, targets, left_out, words):
        with pytest.raises(UsageError, match=words):
            evaluate_photos(Recognises(), photos(**targets), left_out)

    def test_progress_is_told_to_the_end(self):
        told = []
        evaluate_photos(Recognises(a=(), b=(shows(0.9),)), photos(a="sad", b="happy"), on_progress=told.append)
        assert told == [0.5, 1.0]
