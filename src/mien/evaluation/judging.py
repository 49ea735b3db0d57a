"""Judges the exported model, as users have it: on labelled chips, or on photos through the whole chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.classification import read_logits
from mien.emotions import Emotion, emotion_named
from mien.errors import UsageError
from mien.evaluation.metrics import judge
from mien.evaluation.report import Report
from mien.model_card import ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.classification import Classifier
    from mien.datasets.dataset import Dataset
    from mien.datasets.photos import LabelledPhotos
    from mien.faces import FrameResult
    from mien.model_card import ModelCard
    from mien.recognizer import Recognizer


def judge_chips(classifier: Classifier, data: Dataset, labels: str = "") -> Report:
    """Scores on labelled chips.

    Args:
        classifier: the exported model.
        data: one split.
        labels: the label set judged: a head's name, or "answer" for what users are told; "" takes the head that
            was taught on the data's own labels.

    Raises:
        ModelError: the model has no such label set.
        UsageError: the data does not know the truth under it, or leaves no row to judge.
    """
    card = classifier.card
    labels = labels or data.truths[0].head
    answers, rows = truth_under(card, data, labels)
    chosen = data.chips[rows]
    probabilities = read_logits(card, classifier.logits(chosen), labels)
    return Report(
        data=data.name,
        split=", ".join(data.split_names()),
        model=card.name,
        head=labels,
        metrics=judge(probabilities, answers, card.reading(labels).labels),
        excluded=len(data) - len(rows),
        rejected=len(data.rejected),
    )


def truth_under(card: ModelCard, data: Dataset, labels: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The truth of each row that can be judged under a label set of the model, and which rows those are.

    A head is judged by the truth of its own name. The answer is judged by votes where the data has any (its last
    truth), else by the data's own labels; rows whose truth the answer does not name are left out.

    Returns:
        Indexes into ``card.reading(labels).labels`` and the rows' indexes, both int64 (rows,).

    Raises:
        ModelError: the model has no such label set.
        UsageError: the data does not know the truth under it, or leaves no row to judge.
    """
    known = list(card.reading(labels).labels)
    truth = data.truths[-1] if labels == ANSWER else data.truth(labels)
    if not set(truth.labels) & set(known):
        raise UsageError(
            f"expected data with some of the labels {known} of the model {card.name!r}; received {list(truth.labels)}"
        )
    places = np.array([known.index(label) if label in known else -1 for label in truth.labels])
    rows = np.flatnonzero(truth.judged & (places[truth.answers] >= 0))
    if len(rows) == 0:
        raise UsageError(f"expected rows to judge {labels!r} by; {data.name} has none in {list(data.split_names())}")
    return places[truth.answers[rows]], rows


def judge_photos(
    recognizer: Recognizer,
    photos: LabelledPhotos,
    leave_out: Sequence[str] = (),
    tell: Callable[[float], None] = lambda _: None,
) -> Report:
    """Scores on photos through the whole chain: one without a face found, or that can't be read, counts as wrong.

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
    judged = [at for at, answer in enumerate(photos.answers) if answer not in left_out]
    unknown = sorted({photos.answers[at] for at in judged} - set(known))
    if unknown or not judged:
        raise UsageError(
            f"expected photos labelled with some of {known}; received {unknown or 'none'}: leave others out"
        )
    answers = np.array([known.index(photos.answers[at]) for at in judged])
    rows = np.full((len(judged), len(known)), 1.0 / len(known), np.float32)
    found = np.zeros(len(judged), np.bool_)
    results = recognizer.predict_many(photos.paths[at] for at in judged)
    for place, result in enumerate(results):
        found[place] = bool(result.predictions)
        if result.predictions:
            rows[place] = _largest(result)
        tell((place + 1) / len(judged))
    return Report(
        data=f"{len(judged)} photos",
        split=f"without {', '.join(left_out)}" if left_out else "all",
        model=recognizer.classifier.card.name,
        head=recognizer.label_set,
        metrics=judge(rows, answers, known, found),
        excluded=len(photos) - len(judged),
        rejected=len(photos.rejected),
    )


def _expressions(words: Sequence[str]) -> list[str]:
    named = [emotion_named(word) for word in words]
    if None in named:
        raise UsageError(f"expected expressions to leave out ({', '.join(Emotion)}); received {list(words)}")
    return [str(emotion) for emotion in named]


def _largest(result: FrameResult) -> tuple[float, ...]:
    return max(result.predictions, key=lambda prediction: prediction.face.box.area).probabilities
