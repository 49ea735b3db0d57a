"""Evaluate the exported model as users run it: on labelled face crops, or on photos through detector and classifier.

``evaluate_crops`` and ``evaluate_photos`` take one model; ``evaluate_models_on_crops`` and
``evaluate_models_on_photos`` take several, compare them on the same rows, and return the input of the reports.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.classification.classifier import probabilities_of
from mien.classification.face_crop import crop
from mien.emotions import Emotion, emotion_named
from mien.errors import ImageError, UsageError
from mien.evaluation.comparison import Comparison, compare
from mien.evaluation.metrics import compute_metrics
from mien.evaluation.predictions import Report, SplitPredictions
from mien.media.image import read
from mien.models.card import FUSED, CropRule
from mien.models.legacy import head_named
from mien.structures import Box, Face

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mien.classification.classifier import Classifier
    from mien.data.dataset import Dataset, Rejected
    from mien.data.folders import LabelledPhotos
    from mien.models.card import ModelCard
    from mien.recognizer import Recognizer
    from mien.structures import Prediction

THUMBNAIL_PX = 120
"""Side of the faces cut from photos for a report."""

THUMBNAIL_RULE = CropRule(factor=1.5)
"""A face with its surroundings, so that people can assess it too."""


@dataclass(frozen=True)
class Evaluation:
    """Predictions of one or several models on the same rows.

    Attributes:
        models: the first is the baseline of the comparison; all have distinct names.
        shown: the image of a row, by its index among the rows evaluated: uint8 (height, width, 1 or 3), RGB; None if
            it can't be read.
        rejected: rows of the data that could not be read.
        comparison: the first model against each other one; None for a single model.
    """

    models: tuple[SplitPredictions, ...]
    shown: Callable[[int], npt.NDArray[np.uint8] | None]
    rejected: tuple[Rejected, ...] = ()
    comparison: Comparison | None = None

    def to_dict(self, copied: npt.NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """Plain values, ready for JSON: one model's report, or ``models`` and their ``comparison``.

        Args:
            copied: bool (n,), rows with a duplicate in the training data. It adds the metrics ``without_copies`` to
                each model (None where every row is a duplicate). None: not searched.
        """
        reports = [{**model.report.to_dict(), **_without_copies(model, copied)} for model in self.models]
        if self.comparison is None:
            return reports[0]
        return {"models": reports, "comparison": self.comparison.to_dict()}

    def to_json(self, copied: npt.NDArray[np.bool_] | None = None) -> str:
        """``to_dict`` on one line."""
        return json.dumps(self.to_dict(copied), ensure_ascii=False, allow_nan=False)


def evaluate_crops(classifier: Classifier, data: Dataset, head: str = "") -> SplitPredictions:
    """Predictions and metrics of a model on labelled face crops.

    Args:
        classifier: the exported model.
        data: one split.
        head: the output head: "fused" for what users see, or a head's own name; "" takes the head that was trained on
            the data's own labels.

    Raises:
        ModelError: the model has no such head.
        UsageError: the data has no targets for the head, or no row to evaluate.

    Example:
        On FER2013::

            classifier = Classifier(ModelStore().load("compact"))
            result = evaluate_crops(classifier, load(Path("fer2013.csv")).split("PrivateTest"))
            print(f"accuracy {result.metrics.accuracy:.3f}")
    """
    card = classifier.card
    head = head_named(head or data.truths[0].head)
    targets, rows = targets_for(card, data, head)
    probabilities = probabilities_of(card, classifier.logits(data.crops[rows]), head)
    report = Report(
        data=data.name,
        split=", ".join(data.split_names()),
        model=card.name,
        head=head,
        metrics=compute_metrics(probabilities, targets, card.output(head).labels),
        excluded=len(data) - len(rows),
        rejected=len(data.rejected),
    )
    return SplitPredictions(report, card, probabilities, targets, np.ones(len(rows), np.bool_), rows, data.rows[rows])


def targets_for(card: ModelCard, data: Dataset, head: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The targets of one output head, and the rows that have one.

    A head is evaluated on the labels of its own name. The fused prediction is evaluated on the votes if the data has
    any (its last truth), else on the data's own labels. Rows whose label the head lacks are left out.

    Returns:
        Class indices into ``card.output(head).labels``, and indices of the rows, both int64 (rows,).

    Raises:
        ModelError: the model has no such head.
        UsageError: the data has no targets for the head, or no row to evaluate.
    """
    known = list(card.output(head).labels)
    truth = data.truths[-1] if head == FUSED else data.truth(head)
    if not set(truth.labels) & set(known):
        raise UsageError(
            f"expected data with some of the labels {known} of the model {card.name!r}; received {list(truth.labels)}"
        )
    column = np.array([known.index(label) if label in known else -1 for label in truth.labels])
    rows = np.flatnonzero(truth.evaluated & (column[truth.class_ids] >= 0))
    if len(rows) == 0:
        raise UsageError(f"expected rows to evaluate {head!r} on; {data.name} has none in {list(data.split_names())}")
    return column[truth.class_ids[rows]], rows


def evaluate_photos(
    recognizer: Recognizer,
    photos: LabelledPhotos,
    exclude_labels: Sequence[str] = (),
    on_progress: Callable[[float], None] = lambda _: None,
) -> SplitPredictions:
    """Predictions and metrics of detector and classifier together on photos.

    The label of a photo belongs to its largest face. A photo without a detected face, or that can't be read, counts as
    wrong.

    Args:
        recognizer: detector and model.
        photos: paths with their labels.
        exclude_labels: names of expressions whose photos are left out, if their labels can't be trusted.
        on_progress: called with the share done, 0 to 1.

    Raises:
        UsageError: no photo is left, the model lacks a label, or a name to exclude is no expression.
    """
    labels = list(recognizer.labels)
    excluded = _expressions(exclude_labels)
    rows = np.array([at for at, label in enumerate(photos.labels) if label not in excluded], np.int64)
    targets = _photo_targets(photos, rows, labels)
    paths = [photos.paths[at] for at in rows]
    largest = _largest_faces(recognizer, paths, on_progress)
    uniform = (1.0 / len(labels),) * len(labels)
    probabilities = np.array([face.probabilities if face else uniform for face in largest], np.float32)
    found = np.array([face is not None for face in largest])
    card = recognizer.classifier.card
    report = Report(
        data=f"{len(rows)} photos",
        split=f"without {', '.join(excluded)}" if excluded else "all",
        model=card.name,
        head=recognizer.head,
        metrics=compute_metrics(probabilities, targets, labels, found),
        excluded=len(photos) - len(rows),
        rejected=len(photos.rejected),
    )
    faces = tuple(prediction.face if prediction else None for prediction in largest)
    places = np.array([str(path) for path in paths])
    return SplitPredictions(report, card, probabilities, targets, found, rows, places, faces)


def evaluate_models_on_crops(models: Mapping[str, Classifier], data: Dataset, head: str = "") -> Evaluation:
    """Evaluate one or several models on the face crops of one split.

    Args:
        models: by the user's name for them; a report shows the name on the card if it is unique.
        data: one split.
        head: as in ``evaluate_crops``.

    Raises:
        ModelError: a model has no such head.
        UsageError: no row can be evaluated, or the models have different labels.
    """
    results = _named({name: evaluate_crops(classifier, data, head) for name, classifier in models.items()})
    rows = results[0].rows
    return Evaluation(results, lambda row: data.crops[rows[row]], data.rejected, _comparison(results))


def evaluate_models_on_photos(
    models: Mapping[str, Recognizer],
    photos: LabelledPhotos,
    exclude_labels: Sequence[str] = (),
    on_progress: Callable[[float], None] = lambda _: None,
) -> Evaluation:
    """Evaluate one or several models on photos, detector included.

    Args:
        models: by the user's name for them; a report shows the name on the card if it is unique.
        photos: paths with their labels.
        exclude_labels: names of expressions whose photos are left out.
        on_progress: called with the share done, 0 to 1.

    Raises:
        UsageError: as ``evaluate_photos`` does, or the models have different labels.
    """
    results = _named(
        {
            name: evaluate_photos(recognizer, photos, exclude_labels, _part(on_progress, at, len(models)))
            for at, (name, recognizer) in enumerate(models.items())
        }
    )
    return Evaluation(results, lambda row: _thumbnail(results[0], row), photos.rejected, _comparison(results))


def _largest_faces(
    recognizer: Recognizer, paths: Sequence[Path], on_progress: Callable[[float], None]
) -> list[Prediction | None]:
    """The prediction for the largest face of each photo; None without a face, or for a photo that can't be read."""
    largest: list[Prediction | None] = []
    for result in recognizer.predict_many(paths):
        largest.append(max(result.predictions, key=lambda prediction: prediction.face.box.area, default=None))
        on_progress(len(largest) / len(paths))
    return largest


def _photo_targets(photos: LabelledPhotos, rows: npt.NDArray[np.int64], known: list[str]) -> npt.NDArray[np.int64]:
    """The class index of each photo evaluated, int64 (rows,)."""
    names = [photos.labels[at] for at in rows]
    unknown = sorted(set(names) - set(known))
    if unknown or not names:
        raise UsageError(
            f"expected photos labelled with some of {known}; received {unknown or 'none'}: exclude the others"
        )
    return np.array([known.index(name) for name in names])


def _expressions(names: Sequence[str]) -> list[str]:
    emotions = [emotion_named(name) for name in names]
    if None in emotions:
        raise UsageError(f"expected expressions to exclude ({', '.join(Emotion)}); received {list(names)}")
    return [str(emotion) for emotion in emotions]


def _part(on_progress: Callable[[float], None], at: int, count: int) -> Callable[[float], None]:
    """Map the progress of one of several parts to the progress of the whole."""
    return lambda share: on_progress((at + share) / count)


def _named(results: Mapping[str, SplitPredictions]) -> tuple[SplitPredictions, ...]:
    cards = [result.report.model for result in results.values()]
    return tuple(
        result if cards.count(result.report.model) == 1 else replace(result, report=replace(result.report, model=name))
        for name, result in results.items()
    )


def _comparison(results: tuple[SplitPredictions, ...]) -> Comparison | None:
    return compare(results) if len(results) > 1 else None


def _thumbnail(result: SplitPredictions, row: int) -> npt.NDArray[np.uint8] | None:
    """The face that was evaluated; the middle of the photo if none was detected."""
    try:
        frame = read(str(result.places[row]))
    except ImageError:
        return None
    face = result.faces[row]
    if face is not None:
        return crop(frame, face, THUMBNAIL_RULE, THUMBNAIL_PX, 3)
    height, width = frame.shape[:2]
    return crop(frame, Face(Box(0, 0, width, height)), CropRule(), THUMBNAIL_PX, 3)


def _without_copies(result: SplitPredictions, copied: npt.NDArray[np.bool_] | None) -> dict[str, Any]:
    if copied is None:
        return {}
    return {"without_copies": None if copied.all() else result.report_on(~copied).to_dict()}
