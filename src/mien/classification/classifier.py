"""Classifies face crops with ONNX Runtime, preprocessed and calibrated as the model's card states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.classification.probabilities import geometric_mean, reorder, softmax
from mien.errors import ImageError, ModelError
from mien.models.card import FUSED, FusedOutput, Head, ModelCard
from mien.models.onnx_file import card_in, check_onnx, check_seal, open_session
from mien.structures import Crops, Probabilities, check_crops, describe

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BATCH = 128
"""Face crops in one call of the runtime: bounds the memory of feature maps; larger batches are no faster."""


class Classifier:
    """A loaded expression classifier; safe to call from several threads.

    Args:
        model: the bytes of an .onnx file written by mien.
        threads: of ONNX Runtime within one call; None: one per core.

    Attributes:
        card: how the model is used, and its origin.

    Raises:
        ModelError: the bytes are no model of mien's, or were changed since it was written.

    Example:
        >>> import numpy as np
        >>> from mien.classification.classifier import Classifier
        >>> from mien.models.store import ModelStore
        >>> classifier = Classifier(ModelStore().load("compact"))
        >>> size, channels = classifier.card.size, classifier.card.channels
        >>> probabilities = classifier.predict(np.zeros((2, size, size, channels), np.uint8))
        >>> probabilities.shape == (2, len(classifier.card.fused.labels))
        True
    """

    def __init__(self, model: bytes, threads: int | None = None) -> None:
        check_onnx(model)
        check_seal(model)
        self._session = open_session(model, threads or 0)
        self.card = card_in(self._session)
        self._inputs = [value.name for value in self._session.get_inputs()]
        # a graph that contradicts its card is refused here, not at the first face
        self._run(np.zeros((2, self.card.size, self.card.size, self.card.channels), np.uint8))

    def logits(self, crops: Crops) -> Mapping[str, npt.NDArray[np.float32]]:
        """Run the graph once on the face crops.

        Args:
            crops: uint8 (count, size, size, channels), as the card states.

        Returns:
            By head, float32 (count, labels of the head).

        Raises:
            ModelError: the graph's output contradicts its card, or is not finite.
            ImageError: the face crops have another shape or type.
        """
        card = self.card
        expected = (card.size, card.size, card.channels)
        crops = check_crops(crops)
        if crops.shape[1:] != expected:
            raise ImageError(
                f"expected face crops of {expected} for the model {card.name!r}; received {crops.shape[1:]}. "
                "Crop with mien.classification.face_crop.crop_faces and the card's size and channels"
            )
        parts = [self._run(crops[at : at + MAX_BATCH]) for at in range(0, len(crops), MAX_BATCH)]
        return {
            head.name: np.concatenate([np.zeros((0, len(head.labels)), np.float32), *(part[index] for part in parts)])
            for index, head in enumerate(card.heads)
        }

    def predict(self, crops: Crops, head: str = FUSED) -> Probabilities:
        """Calibrated probabilities of one output head, with test-time augmentation if the card states it.

        Args:
            crops: uint8 (count, size, size, channels), as the card states.
            head: "fused", the default output, or the name of one head.

        Returns:
            float32 (count, labels), rows sum to 1; the labels are ``card.output(head).labels``.

        Raises:
            ModelError: the model has no such head, or fails as under ``logits``.
            ImageError: the face crops have another shape or type.
        """
        return probabilities_of(self.card, self.augmented_logits(crops), head)

    def augmented_logits(self, crops: Crops) -> Mapping[str, npt.NDArray[np.float32]]:
        """As ``logits``, but the mean over face crops and their mirror images if the card states it."""
        if not self.card.mirrored:
            return self.logits(crops)
        crops = check_crops(crops)
        both = self.logits(np.concatenate([crops, crops[:, :, ::-1]]))
        return {head: np.float32(0.5) * (rows[: len(crops)] + rows[len(crops) :]) for head, rows in both.items()}

    def _run(self, crops: Crops) -> list[npt.NDArray[np.float32]]:
        """The graph's outputs, checked against the card: float32 (count, labels of the head) for each head."""
        heads = self.card.heads
        try:
            outputs: list[Any] = self._session.run(None, dict.fromkeys(self._inputs, crops))
        except Exception as error:  # onnxruntime raises a dozen kinds that share no base but this one
            raise ModelError(
                f"expected a graph that takes {describe(crops)}, as the model's card states; received one that fails "
                f"({error})"
            ) from error
        if len(outputs) != len(heads):
            raise ModelError(
                f"expected an output for each of the {len(heads)} heads in the model's card; received {len(outputs)}"
            )
        for head, output in zip(heads, outputs, strict=True):
            expected = (len(crops), len(head.labels))
            if np.shape(output) != expected or output.dtype != np.float32 or not np.isfinite(output).all():
                raise ModelError(
                    f"expected finite float32 {expected} from the head {head.name!r}; "
                    f"received {describe(output)}, or values not finite"
                )
        return outputs


def probabilities_of(
    card: ModelCard, logits: Mapping[str, npt.NDArray[np.float32]], head: str = FUSED
) -> Probabilities:
    """Convert logits to the calibrated probabilities of one output head.

    Args:
        card: of the model that gave the logits.
        logits: by head, float32 (count, labels of the head).
        head: "fused", or the name of one head.

    Returns:
        float32 (count, labels), rows sum to 1.
    """
    output = card.output(head)
    if isinstance(output, Head):
        return softmax(logits[output.name], output.temperature, output.offsets, output.scales)
    return fuse(card, logits, output)


def fuse(card: ModelCard, logits: Mapping[str, npt.NDArray[np.float32]], fused: FusedOutput) -> Probabilities:
    """Fuse the heads of a model: the weighted geometric mean of their probabilities over the labels they share."""
    parts = [
        (
            reorder(softmax(logits[name], card.head(name).temperature), card.head(name).labels, fused.labels),
            weight,
        )
        for name, weight in fused.weights
    ]
    return geometric_mean(parts, fused.temperature, fused.offsets)
