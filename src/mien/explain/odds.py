"""The score that explanations are of: the log-odds of what users are told, exact however sure an answer is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.classification.probabilities import log_softmax, log_sum_exp, rescaled
from mien.models.card import Head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mien.classification.classifier import Classifier
    from mien.models.card import ModelCard
    from mien.structures import Chips

    Values = npt.NDArray[np.float64]


def odds_of_chips(classifier: Classifier, chips: Chips, labels: str, label: int) -> Values:
    """log(p / (1 - p)) of a label for each chip, of both mirror images where the card says so: (count,)."""
    return log_odds(classifier.card, classifier.told_logits(chips), labels, label)


def log_odds(card: ModelCard, logits: Mapping[str, npt.NDArray[Any]], labels: str, label: int) -> Values:
    """log(p / (1 - p)) of a label, (count,), with p as ``classifier.read_logits`` makes it of the logits.

    It is taken from the logits, since p itself is 1 or 0 to float32 where an answer is very sure.

    Args:
        card: how they are read.
        logits: of each head, (count, labels of the head).
        labels: "answer", or the name of a head.
        label: place in that label set.
    """
    scores = _scores(card, logits, labels)
    odds: Values = scores[:, label] - log_sum_exp(np.delete(scores, label, axis=1))[:, 0]
    return odds


def _scores(card: ModelCard, logits: Mapping[str, npt.NDArray[Any]], labels: str) -> Values:
    """Numbers whose softmax are the probabilities."""
    reading = card.reading(labels)
    if isinstance(reading, Head):
        own = rescaled(logits[reading.name], reading.offsets, reading.scales)
        return np.asarray(own / reading.temperature, np.float64)
    total = sum(weight for _, weight in reading.weights)
    mean = np.array(reading.offsets or [0.0] * len(reading.labels))[None]
    for name, weight in reading.weights:
        head = card.head(name)
        picked = logits[name][:, [head.labels.index(word) for word in reading.labels]] / head.temperature
        mean = mean + weight / total * log_softmax(picked)
    return np.asarray(mean / reading.temperature, np.float64)
