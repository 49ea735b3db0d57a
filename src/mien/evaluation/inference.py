"""Judges the exported model, as users have it: on labelled face crops, or on photos through the whole chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.classification.classifier import probabilities_of
from mien.emotions import Emotion, emotion_named
from mien.errors import UsageError
from mien.evaluation.metrics import judge
from mien.evaluation.predictions import Judged
from mien.evaluation.report import Report
from mien.models.card import FUSED
from mien.models.legacy import head_named

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mien.classification.classifier import Classifier
    from mien.data.dataset import Dataset
    from mien.data.photos import LabelledPhotos
    from mien.models.card import ModelCard
    from mien.recognizer import Recognizer
    from mien.structures import Prediction


def judge_crops(classifier: Classifier, data: Dataset, head: str = "") -> Judged:
    """What a model answers to labelled face crops, and its scores.

    Args:
        classifier: the exported model.
        data: one split.
        head: the label set judged: a head's name, or "fused" for what users are told; "" takes the head that
            was taught on the data's own labels.

    Raises:
        ModelError: the model has no such label set.
        UsageError: the data does not know the truth under it, or leaves no row to judge.
    """
    card = classifier.card
    head = head_named(head or data.truths[0].head)
    answers, rows = truth_under(card, data, head)
    probabilities = probabilities_of(card, classifier.logits(data.crops[rows]), head)
    report = Report(
        data=data.name,
        split=", ".join(data.split_names()),
        model=card.name,
        head=head,
        metrics=judge(probabilities, answers, card.output(head).labels),
        excluded=len(data) - len(rows),
        rejected=len(data.rejected),
    )
    return Judged(report, card, probabilities, answers, np.ones(len(rows), np.bool_), rows, data.rows[rows])


def truth_under(card: ModelCard, data: Dataset, head: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The truth of each row that can be judged under a label set of the model, and which rows those are.

    A head is judged by the truth of its own name. The answer is judged by votes where the data has any (its last
    truth), else by the data's own labels; rows whose truth the answer does not name are left out.

    Returns:
        Indexes into ``card.output(head).labels`` and the rows' indexes, both int64 (rows,).

    Raises:
        ModelError: the model has no such label set.
        UsageError: the data does not know the truth under it, or leaves no row to judge.
    """
    known = list(card.output(head).labels)
    truth = data.truths[-1] if head == FUSED else data.truth(head)
    if not set(truth.labels) & set(known):
        raise UsageError(
            f"expected data with some of the labels {known} of the model {card.name!r}; received {list(truth.labels)}"
        )
    places = np.array([known.index(label) if label in known else -1 for label in truth.labels])
    rows = np.flatnonzero(truth.judged & (places[truth.answers] >= 0))
    if len(rows) == 0:
        raise UsageError(f"expected rows to judge {head!r} by; {data.name} has none in {list(data.split_names())}")
    return places[truth.answers[rows]], rows


def judge_photos(
    recognizer: Recognizer,
    photos: LabelledPhotos,
    leave_out: Sequence[str] = (),
    tell: Callable[[float], None] = lambda _: None,
) -> Judged:
    """What the whole chain answers to photos: one without a face found, or that can't be read, counts as wrong.

    The largest face of a photo is the one that its label speaks of.

    Args:
        recognizer: detector and model.
        photos: paths with the expression shown.
        leave_out: words for expressions whose photos are not judged, where their labels can't be trusted.
        tell: called with the share that is done.

    Raises:
        UsageError: no photo is left, a label is none of the model's, or a word to leave out names no expression.
    """
    known = list(recognizer.labels)
    left_out = _expressions(leave_out)
    rows = np.array([at for at, answer in enumerate(photos.answers) if answer not in left_out], np.int64)
    answers = _answers(photos, rows, known)
    paths = [photos.paths[at] for at in rows]
    largest = _largest(recognizer, paths, tell)
    even = (1.0 / len(known),) * len(known)
    probabilities = np.array([even if one is None else one.probabilities for one in largest], np.float32)
    found = np.array([one is not None for one in largest])
    card = recognizer.classifier.card
    report = Report(
        data=f"{len(rows)} photos",
        split=f"without {', '.join(left_out)}" if left_out else "all",
        model=card.name,
        head=recognizer.head,
        metrics=judge(probabilities, answers, known, found),
        excluded=len(photos) - len(rows),
        rejected=len(photos.rejected),
    )
    faces = tuple(None if one is None else one.face for one in largest)
    return Judged(report, card, probabilities, answers, found, rows, np.array([str(path) for path in paths]), faces)


def _largest(recognizer: Recognizer, paths: Sequence[Path], tell: Callable[[float], None]) -> list[Prediction | None]:
    """What the largest face of each photo shows; None where no face was found, or the photo can't be read."""
    largest: list[Prediction | None] = []
    for result in recognizer.predict_many(paths):
        largest.append(max(result.predictions, key=lambda prediction: prediction.face.box.area, default=None))
        tell(len(largest) / len(paths))
    return largest


def _answers(photos: LabelledPhotos, rows: npt.NDArray[np.int64], known: list[str]) -> npt.NDArray[np.int64]:
    """The true label of each photo judged, as an index into the model's, int64 (rows,)."""
    names = [photos.answers[at] for at in rows]
    unknown = sorted(set(names) - set(known))
    if unknown or not names:
        raise UsageError(
            f"expected photos labelled with some of {known}; received {unknown or 'none'}: leave others out"
        )
    return np.array([known.index(name) for name in names])


def _expressions(words: Sequence[str]) -> list[str]:
    named = [emotion_named(word) for word in words]
    if None in named:
        raise UsageError(f"expected expressions to leave out ({', '.join(Emotion)}); received {list(words)}")
    return [str(emotion) for emotion in named]
