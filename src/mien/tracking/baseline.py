"""A personal baseline: what the model says of somebody's neutral face is taken out of what it says afterwards.

Some faces at rest look sad or angry to a model. Their logits at rest, less those of a typical neutral face, are
subtracted from then on, so that what is told is how far the face has moved from its own rest.
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

AT_REST = 0.8
"""What a typical neutral face is read as neutral with; the others share the rest alike."""

MOST = 2.5
"""Largest correction of a logit: no expression is ruled out by how a face looks at rest."""


@dataclass(frozen=True)
class Neutral:
    """How somebody's face at rest is read, as a correction.

    Attributes:
        labels: of the model that read it.
        shift: added to the logits of later readings, one a label.
    """

    labels: tuple[str, ...]
    shift: tuple[float, ...]

    def corrected(self, prediction: Prediction) -> Prediction:
        """The prediction relative to the face at rest; as it is where another model made it."""
        if prediction.labels != self.labels:
            return prediction
        row = softmax((logits_of(prediction) + np.array(self.shift, np.float32))[None])[0].astype(float)
        return dataclasses.replace(prediction, probabilities=tuple((row / row.sum()).tolist()))


class Baseline:
    """Gathers readings of a face at rest until there are enough.

    Args:
        seconds: how long.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = seconds
        self._begun: float | None = None
        self._labels: tuple[str, ...] = ()
        self._logits: list[Logits] = []

    def see(self, prediction: Prediction, seconds: float) -> Neutral | None:
        """Takes a reading of the face; the correction once there are enough.

        Args:
            prediction: of the face, not smoothed and not corrected.
            seconds: its time.

        Raises:
            UsageError: the model does not know a neutral face.
        """
        if Emotion.NEUTRAL not in prediction.labels:
            raise UsageError(
                f"expected a model that knows {Emotion.NEUTRAL}, for a baseline; received one of {prediction.labels}"
            )
        if prediction.labels != self._labels:
            self._begun, self._labels, self._logits = seconds, prediction.labels, []
        self._logits.append(logits_of(prediction))
        if self._begun is None or seconds - self._begun < self.seconds:
            return None
        # the median: a blink or a word in between does not count
        seen = np.median(np.stack(self._logits), axis=0)
        shift = np.clip(_typical(self._labels) - seen, -MOST, MOST)
        return Neutral(self._labels, tuple(shift.tolist()))

    def share(self, seconds: float) -> float:
        """How much is done, 0 to 1."""
        return 0.0 if self._begun is None else min(max((seconds - self._begun) / self.seconds, 0.0), 1.0)


def _typical(labels: tuple[str, ...]) -> Logits:
    row = np.full(len(labels), (1 - AT_REST) / max(len(labels) - 1, 1), np.float32)
    row[labels.index(Emotion.NEUTRAL)] = AT_REST
    logits: Logits = np.log(row) - np.log(row).mean()
    return logits
