"""Occlusion attribution for any model file: how much hiding a region lowers the prediction.

After Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks" (arXiv:1311.2901). The score is the
log-odds of the explained label, which still moves where the probability itself is 1 or 0 to float32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.classification.classifier import Classifier
from mien.classification.probabilities import log_softmax, log_sum_exp, vector_scaled
from mien.explain.faithfulness import blend, blurred, gaussian_patches, randomized_model
from mien.models.card import FUSED, Head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mien.models.card import ModelCard
    from mien.structures import Crops

    Plane = npt.NDArray[np.float32]
    Values = npt.NDArray[np.float64]

PATCH_SIGMAS = (1 / 16, 1 / 11, 1 / 7)
"""Standard deviations of the patches, in sides of the face crop: from about the corner of an eye to about a mouth."""

RIDGE_PENALTY = 3.0
"""Weight of the map's own norm against its fit, in mean eigenvalues; chosen on photos that the figures are not of."""


class Occlusion:
    """Occludes one region of the face crop after another and measures the drop in log-odds.

    Patches are Gaussian, since the edge of a hard patch is itself a shape that the network reacts to; they are spaced
    one standard deviation apart. Occluded pixels are blurred rather than painted over, so the crop still shows a face.

    Example:
        >>> from mien.models.store import ModelStore
        >>> occlusion = Occlusion(ModelStore().load("compact"))
        >>> size = occlusion.classifier.card.size
        >>> occlusion.attribute(np.full((size, size, 1), 128, np.uint8), label=3).shape
        (48, 48)

    Args:
        model: the bytes of an .onnx file written by mien.
        head: "fused" for the fused prediction, or the name of one head.
        threads: for ONNX Runtime; None uses all cores.
        sigmas: standard deviations of the patches, in sides of the face crop.

    Raises:
        ModelError: the bytes are no mien model, or the model has no such head.
    """

    method = "occlusion"

    def __init__(
        self, model: bytes, head: str = FUSED, threads: int | None = None, sigmas: Sequence[float] = PATCH_SIGMAS
    ) -> None:
        self._model, self._head, self._threads, self._sigmas = model, head, threads, tuple(sigmas)
        self.classifier = Classifier(model, threads)
        self.classifier.card.output(head)

    def attribute(self, crop: Crops, label: int) -> Plane:
        """The contribution of each pixel to the log-odds of a label.

        Args:
            crop: uint8 (size, size, channels), as the model card requires.
            label: index of the explained label.

        Returns:
            float32 (size, size): positive where a pixel supports the label, negative where it opposes it. Ridge
            regression fits the map so that its sum under each patch comes close to the drop which that patch caused.
        """
        hidden = blurred(crop)
        patches, solution = _ridge_solution(len(crop), self._sigmas)
        crops = np.stack([crop, *(blend(crop, hidden, patch) for patch in patches)])
        original, *occluded = crop_log_odds(self.classifier, crops, self._head, label)
        attribution = solution @ (original - np.array(occluded))
        return np.asarray(attribution, np.float32).reshape(len(crop), len(crop))

    def randomized(self, share: float) -> Occlusion:
        """The same method for the model with a share of its last layers randomised; see ``randomized_model``."""
        return Occlusion(randomized_model(self._model, share), self._head, self._threads, self._sigmas)


def crop_log_odds(classifier: Classifier, crops: Crops, head: str, label: int) -> Values:
    """log(p / (1 - p)) of a label for each face crop, averaged over the mirror image where the card says so: (count,).

    Args:
        classifier: of the model.
        crops: uint8 (count, size, size, channels).
        head: "fused", or the name of a head.
        label: index of the label in that head.
    """
    return log_odds(classifier.card, classifier.augmented_logits(crops), head, label)


def log_odds(card: ModelCard, logits: Mapping[str, npt.NDArray[Any]], head: str, label: int) -> Values:
    """log(p / (1 - p)) of a label, float64 (count,), p as ``classifier.probabilities_of`` has it.

    Args:
        card: says how logits become probabilities.
        logits: of each head, (count, labels of the head).
        head: "fused", or the name of a head.
        label: index of the label in that head.
    """
    scores = _scores(card, logits, head)
    odds: Values = scores[:, label] - log_sum_exp(np.delete(scores, label, axis=1))[:, 0]
    return odds


def _scores(card: ModelCard, logits: Mapping[str, npt.NDArray[Any]], head: str) -> Values:
    """Scores whose softmax gives the probabilities."""
    output = card.output(head)
    if isinstance(output, Head):
        own = vector_scaled(logits[output.name], output.offsets, output.scales)
        return np.asarray(own / output.temperature, np.float64)
    total = sum(weight for _, weight in output.weights)
    mean = np.array(output.offsets or [0.0] * len(output.labels))[None]
    for name, weight in output.weights:
        part = card.head(name)
        picked = logits[name][:, [part.labels.index(label) for label in output.labels]] / part.temperature
        mean = mean + weight / total * log_softmax(picked)
    return np.asarray(mean / output.temperature, np.float64)


@lru_cache(maxsize=4)
def _ridge_solution(size: int, sigmas: tuple[float, ...]) -> tuple[Plane, Values]:
    """All patches, and the matrix (pixels, patches) that maps drops in log-odds to an attribution map."""
    patches: Plane = np.concatenate([gaussian_patches(size, sigma * size) for sigma in sigmas])
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    gram = flat @ flat.T
    gram[np.diag_indices(len(gram))] += RIDGE_PENALTY * np.trace(gram) / len(gram)
    return patches, np.asarray(np.linalg.solve(gram, flat).T, np.float64)
