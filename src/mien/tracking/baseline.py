"""A personal baseline: predictions relative to the neutral face of one person.

Some faces at rest look sad or angry to a model. The logits of such a face, minus those of a typical neutral face, are
subtracted from all later predictions, which then show how far the face has moved from its own rest.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.classification.probabilities import softmax
from mien.emotions import Emotion
from mien.errors import UsageError
from mien.tracking.tracker import logits_of

if TYPE_CHECKING:
    from mien.structures import Prediction
    from mien.tracking.tracker import Logits

TYPICAL_NEUTRAL = 0.8
"""Probability of "neutral" for a typical neutral face; the other expressions share the rest equally."""

MAX_LOGIT_SHIFT = 2.5
"""Largest correction of a logit, so that a face at rest rules no expression out."""


@dataclass(frozen=True)
class Baseline:
    """The correction for one person's neutral face.

    Attributes:
        labels: of the model that it was estimated with.
        logit_shift: added to the logits of later predictions, one per label.
    """

    labels: tuple[str, ...]
    logit_shift: tuple[float, ...]

    def apply(self, prediction: Prediction) -> Prediction:
        """The prediction relative to the face at rest; unchanged if another model made it."""
        if prediction.labels != self.labels:
            return prediction
        row = softmax((logits_of(prediction) + np.array(self.logit_shift, np.float32))[None])[0].astype(float)
        return dataclasses.replace(prediction, probabilities=tuple((row / row.sum()).tolist()))


class BaselineEstimator:
    """Collects predictions of a face at rest for some seconds.

    Args:
        seconds: for how long.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = seconds
        self._start: float | None = None
        self._labels: tuple[str, ...] = ()
        self._logits: list[Logits] = []

    def add(self, prediction: Prediction, seconds: float) -> Baseline | None:
        """Add a prediction; return the baseline once enough time has passed, None before.

        Args:
            prediction: of the face, neither smoothed nor corrected.
            seconds: its time.

        Raises:
            UsageError: the model has no "neutral" label.
        """
        if Emotion.NEUTRAL not in prediction.labels:
            raise UsageError(
                f"expected a model that knows {Emotion.NEUTRAL}, for a baseline; received one of {prediction.labels}"
            )
        if prediction.labels != self._labels:
            self._start, self._labels, self._logits = seconds, prediction.labels, []
        self._logits.append(logits_of(prediction))
        if self._start is None or seconds - self._start < self.seconds:
            return None
        # the median ignores a blink or a spoken word
        at_rest = np.median(np.stack(self._logits), axis=0)
        shift = np.clip(_typical_logits(self._labels) - at_rest, -MAX_LOGIT_SHIFT, MAX_LOGIT_SHIFT)
        return Baseline(self._labels, tuple(shift.tolist()))

    def progress(self, seconds: float) -> float:
        """The share of the time that has passed, 0 to 1."""
        return 0.0 if self._start is None else min(max((seconds - self._start) / self.seconds, 0.0), 1.0)


def _typical_logits(labels: tuple[str, ...]) -> Logits:
    row = np.full(len(labels), (1 - TYPICAL_NEUTRAL) / max(len(labels) - 1, 1), np.float32)
    row[labels.index(Emotion.NEUTRAL)] = TYPICAL_NEUTRAL
    logits: Logits = np.log(row) - np.log(row).mean()
    return logits
