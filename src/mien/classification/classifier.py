"""From face crops to probabilities, on ONNX Runtime, as the model's own card says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.classification.probabilities import geometric_mean, reorder, softmax
from mien.errors import ImageError, ModelError
from mien.models.card import FUSED, FusedOutput, Head, ModelCard
from mien.models.onnx_file import card_in, check_onnx, open_session
from mien.models.seal import check_seal
from mien.structures import Crops, Probabilities, check_crops, describe

if TYPE_CHECKING:
    from collections.abc import Mapping

# face crops a call of the runtime: bounds the memory of feature maps; more makes no face crop faster
LARGEST_BATCH = 128


class Classifier:
    """A model of mien's, ready to read face crops. Safe to call from several threads.

    Args:
        model: the bytes of an .onnx file written by mien.
        threads: that one call may use; None leaves it to ONNX Runtime (all cores).

    Attributes:
        card: how the model is used and where it came from.

    Raises:
        ModelError: the bytes are no model of mien's, or were changed since it was written.
    """

    def __init__(self, model: bytes, threads: int | None = None) -> None:
        check_onnx(model)
        check_seal(model)
        self._session = open_session(model, threads or 0)
        self.card = card_in(self._session)
        self._inputs = [value.name for value in self._session.get_inputs()]
        # a graph that can't do what its card says is refused here, not at the first face
        self._run(np.zeros((2, self.card.size, self.card.size, self.card.channels), np.uint8))

    def logits(self, crops: Crops) -> Mapping[str, npt.NDArray[np.float32]]:
        """What the graph says of the face crops as they are, by head: float32 (count, labels of the head).

        Args:
            crops: uint8 (count, size, size, channels), as the card says.

        Raises:
            ModelError: the graph gives what its card does not say, or values that are not finite.
            ImageError: the face crops are of another kind.
        """
        card = self.card
        expected = (card.size, card.size, card.channels)
        crops = check_crops(crops)
        if crops.shape[1:] != expected:
            raise ImageError(
                f"expected face crops of {expected} for the model {card.name!r}; received {crops.shape[1:]}. "
                "Crop with mien.classification.face_crop.crop_faces and the card's size and channels"
            )
        parts = [self._run(crops[at : at + LARGEST_BATCH]) for at in range(0, len(crops), LARGEST_BATCH)]
        return {
            head.name: np.concatenate([np.zeros((0, len(head.labels)), np.float32), *(part[index] for part in parts)])
            for index, head in enumerate(card.heads)
        }

    def predict(self, crops: Crops, head: str = FUSED) -> Probabilities:
        """Calibrated probabilities under one label set, of both mirror images where the card says so.

        Args:
            crops: uint8 (count, size, size, channels), as the card says.
            head: "fused", what users are told; or the name of one head.

        Returns:
            float32 (count, labels), rows sum to 1; the labels are ``card.output(head).labels``.

        Raises:
            ModelError: the model has no such label set, or fails as under ``logits``.
            ImageError: the face crops are of another kind.
        """
        return read_logits(self.card, self.told_logits(crops), head)

    def told_logits(self, crops: Crops) -> Mapping[str, npt.NDArray[np.float32]]:
        """As ``logits``; where the card says so, the mean over face crops and their mirror images."""
        if not self.card.mirrored:
            return self.logits(crops)
        crops = check_crops(crops)
        both = self.logits(np.concatenate([crops, crops[:, :, ::-1]]))
        return {head: np.float32(0.5) * (rows[: len(crops)] + rows[len(crops) :]) for head, rows in both.items()}

    def _run(self, crops: Crops) -> list[npt.NDArray[np.float32]]:
        """What the graph gives, checked against the card: float32 (count, labels of the head) for each head."""
        heads = self.card.heads
        try:
            outputs: list[Any] = self._session.run(None, dict.fromkeys(self._inputs, crops))
        except Exception as error:  # onnxruntime raises a dozen kinds that share no base but this one
            raise ModelError(
                f"expected a graph that reads {describe(crops)}, as the model's card says; received one that can't "
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


def read_logits(card: ModelCard, logits: Mapping[str, npt.NDArray[np.float32]], head: str = FUSED) -> Probabilities:
    """Logits by head to calibrated probabilities under one label set, as the card says."""
    reading = card.output(head)
    if isinstance(reading, Head):
        return softmax(logits[reading.name], reading.temperature, reading.offsets, reading.scales)
    return blend(card, logits, reading)


def blend(card: ModelCard, logits: Mapping[str, npt.NDArray[np.float32]], answer: FusedOutput) -> Probabilities:
    """The answer of several heads: the geometric mean of what each says of the answer's labels."""
    parts = [
        (
            reorder(softmax(logits[name], card.head(name).temperature), card.head(name).labels, answer.labels),
            weight,
        )
        for name, weight in answer.weights
    ]
    return geometric_mean(parts, answer.temperature, answer.offsets)
