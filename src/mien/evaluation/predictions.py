"""One model's answers to the rows of a split, beside the truth: what every score, plot and comparison is made of."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.errors import UsageError
from mien.evaluation.metrics import check_judged, judge

if TYPE_CHECKING:
    from mien.evaluation.metrics import Metrics
    from mien.evaluation.report import Report
    from mien.models.card import ModelCard
    from mien.structures import Face, Probabilities


@dataclass(frozen=True)
class Judged:
    """The rows behind a report.

    Attributes:
        report: their scores.
        card: of the model that answered.
        probabilities: float32 (n, labels), rows sum to 1; the columns are ``report.metrics.labels``.
        answers: int64 (n,), the true label of each row.
        found: bool (n,), the rows that have an answer; a photo in which no face was found has none.
        rows: int64 (n,), the place of each row in the data that was judged.
        places: str (n,), where each row came from: line number of a csv, path of an image.
        faces: the face that each photo was judged by, None where none was found; empty where face crops were judged.
    """

    report: Report
    card: ModelCard
    probabilities: Probabilities
    answers: npt.NDArray[np.int64]
    found: npt.NDArray[np.bool_]
    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.str_]
    faces: tuple[Face | None, ...] = ()

    def __post_init__(self) -> None:
        check_judged(self.probabilities, self.answers, self.found)
        lengths = {len(self.rows), len(self.places), len(self.faces or self.rows)}
        if lengths != {len(self.answers)}:
            raise UsageError(f"expected a row, a place and a face for each of {len(self.answers)} answers")

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def metrics(self) -> Metrics:
        """The scores of all rows."""
        return self.report.metrics

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.report.metrics.labels

    @property
    def unsure_below(self) -> float:
        """The model's threshold under the label set judged: a best probability under it means "unsure"."""
        return self.card.output(self.report.head).unsure_below

    @property
    def said(self) -> npt.NDArray[np.int64]:
        """The label that the model gives each row, (n,); -1 where it gives none."""
        return np.where(self.found, self.probabilities.argmax(axis=1), -1)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """The rows that are answered, and right, (n,)."""
        right: npt.NDArray[np.bool_] = self.said == self.answers
        return right

    def surest_mistakes(self, most: int) -> npt.NDArray[np.int64]:
        """The rows answered wrong, the most probable answer first; at most so many."""
        wrong = np.flatnonzero(self.found & ~self.right)
        order = np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")
        return wrong[order[:most]]

    def report_on(self, chosen: npt.NDArray[np.bool_]) -> Report:
        """The scores of some of the rows, by a mask (n,); the others count as excluded.

        Raises:
            UsageError: none is chosen.
        """
        metrics = judge(self.probabilities[chosen], self.answers[chosen], self.labels, self.found[chosen])
        left_out = len(self) - int(chosen.sum())
        return dataclasses.replace(self.report, metrics=metrics, excluded=self.report.excluded + left_out)
