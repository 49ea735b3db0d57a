"""Predictions of one model on the rows of a split, with their targets and metrics: the input of plots and reports."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.evaluation.metrics import Metrics, check_predictions, compute_metrics

if TYPE_CHECKING:
    from mien.models.card import ModelCard
    from mien.structures import Face, Probabilities


@dataclass(frozen=True)
class Report:
    """The metrics of one model on one split.

    Attributes:
        data: name of the data set.
        split: "PublicTest", ...
        model: name of the model or path of its file.
        head: the output head evaluated: "fer2013", "ferplus", "classes", or "fused" for what users see.
        metrics: the metrics.
        excluded: rows of the split that the protocol leaves out.
        rejected: rows of the data that could not be read.
    """

    data: str
    split: str
    model: str
    head: str
    metrics: Metrics
    excluded: int = 0
    rejected: int = 0

    @property
    def missed(self) -> int:
        """Number of faces that the detector missed; 0 for face crops."""
        return int(self.metrics.missed.sum())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; None for a metric without rows."""
        metrics = self.metrics
        return {
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "head": self.head,
            "n": metrics.n,
            "missed": self.missed,
            "excluded": self.excluded,
            "rejected": self.rejected,
            "accuracy": metrics.accuracy,
            "accuracy_interval": list(metrics.accuracy_interval),
            "macro_f1": metrics.macro_f1,
            "balanced_accuracy": metrics.balanced_accuracy,
            "ece": _finite_or_none(metrics.ece),
            "nll": _finite_or_none(metrics.nll),
            "brier": _finite_or_none(metrics.brier),
            "labels": list(metrics.labels),
            "per_class": {
                score.label: {
                    "precision": score.precision,
                    "recall": score.recall,
                    "f1": score.f1,
                    "count": score.count,
                    "missed": missed,
                }
                for score, missed in zip(metrics.per_class, metrics.missed.tolist(), strict=True)
            },
            "confusion": metrics.confusion.tolist(),
        }

    def to_json(self) -> str:
        """``to_dict`` on one line."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class SplitPredictions:
    """The rows behind a report.

    Attributes:
        report: their metrics.
        card: of the model.
        probabilities: float32 (n, labels), rows sum to 1; the columns are ``report.metrics.labels``.
        targets: int64 (n,), the class index of each row.
        found: bool (n,), rows with a prediction; a photo in which no face was detected has none.
        rows: int64 (n,), the index of each row in the data that was evaluated.
        places: str (n,), where each row came from: line number of a csv, path of an image.
        faces: the face evaluated in each photo, None where none was detected; empty for face crops.
    """

    report: Report
    card: ModelCard
    probabilities: Probabilities
    targets: npt.NDArray[np.int64]
    found: npt.NDArray[np.bool_]
    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.str_]
    faces: tuple[Face | None, ...] = ()

    def __post_init__(self) -> None:
        check_predictions(self.probabilities, self.targets, self.found)
        lengths = {len(self.rows), len(self.places), len(self.faces or self.rows)}
        if lengths != {len(self.targets)}:
            raise UsageError(f"expected a row, a place and a face for each of {len(self.targets)} targets")

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def metrics(self) -> Metrics:
        """The metrics of all rows."""
        return self.report.metrics

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.report.metrics.labels

    @property
    def unsure_below(self) -> float:
        """The model's confidence threshold for this head: a lower top probability means "unsure"."""
        return self.card.output(self.report.head).unsure_below

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The predicted class index of each row, (n,); -1 for a row without a prediction."""
        return np.where(self.found, self.probabilities.argmax(axis=1), -1)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Rows predicted correctly, (n,)."""
        correct: npt.NDArray[np.bool_] = self.predicted == self.targets
        return correct

    def most_confident_errors(self, limit: int) -> npt.NDArray[np.int64]:
        """Indices of wrong predictions, the most confident first; at most ``limit``."""
        wrong = np.flatnonzero(self.found & ~self.correct)
        order = np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")
        return wrong[order[:limit]]

    def report_on(self, chosen: npt.NDArray[np.bool_]) -> Report:
        """The metrics of some of the rows, by a mask (n,); the others count as excluded.

        Raises:
            UsageError: the mask selects no row.
        """
        metrics = compute_metrics(self.probabilities[chosen], self.targets[chosen], self.labels, self.found[chosen])
        left_out = len(self) - int(chosen.sum())
        return dataclasses.replace(self.report, metrics=metrics, excluded=self.report.excluded + left_out)


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
