"""The score that explanations are of: the log-odds of what users are told, exact however sure an answer is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.classification.probabilities import log_softmax, log_sum_exp, vector_scaled
from mien.models.card import Head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mien.classification.classifier import Classifier
    from mien.models.card import ModelCard
    from mien.structures import Crops

    Values = npt.NDArray[np.float64]


def odds_of_crops(classifier: Classifier, crops: Crops, head: str, label: int) -> Values:
    """log(p / (1 - p)) of a label for each face crop, of both mirror images where the card says so: (count,)."""
    return log_odds(classifier.card, classifier.augmented_logits(crops), head, label)


def log_odds(card: ModelCard, logits: Mapping[str, npt.NDArray[Any]], head: str, label: int) -> Values:
    """log(p / (1 - p)) of a label, (count,), with p as ``classifier.probabilities_of`` makes it of the logits.

    It is taken from the logits, since p itself is 1 or 0 to float32 where an answer is very sure.

    Args:
        card: how they are read.
        logits: of each head, (count, labels of the head).
        head: "fused", or the name of a head.
        label: place in that label set.
    """
    scores = _scores(card, logits, head)
    odds: Values = scores[:, label] - log_sum_exp(np.delete(scores, label, axis=1))[:, 0]
    return odds


def _scores(card: ModelCard, logits: Mapping[str, npt.NDArray[Any]], head: str) -> Values:
    """Numbers whose softmax are the probabilities."""
    output = card.output(head)
    if isinstance(output, Head):
        own = vector_scaled(logits[output.name], output.offsets, output.scales)
        return np.asarray(own / output.temperature, np.float64)
    total = sum(weight for _, weight in output.weights)
    mean = np.array(output.offsets or [0.0] * len(output.labels))[None]
    for name, weight in output.weights:
        part = card.head(name)
        picked = logits[name][:, [part.labels.index(word) for word in output.labels]] / part.temperature
        mean = mean + weight / total * log_softmax(picked)
    return np.asarray(mean / output.temperature, np.float64)
