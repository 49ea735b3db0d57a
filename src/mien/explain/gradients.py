"""Grad-CAM and integrated gradients: explanations that look inside a network of Keras'."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from mien.explain.differentiation import gradient, log_odds
from mien.explain.network import array_of, both, channels_first, entry, halves, last_maps, load_network, unmirrored
from mien.models.card import FUSED

if TYPE_CHECKING:
    from pathlib import Path

    import keras

    from mien.explain.network import Network
    from mien.structures import Crops

    Values = npt.NDArray[np.float32]

STEPS = 32
"""Points on the way from the flat image to the face crop; the sum of a map is then within a few per cent of what it
should be."""

SMOOTHING = 1 / 32
"""Standard deviation of the blur over a map of single pixels, in sides of the face crop: neighbours share what they
say."""


def grad_cam(run: Path, head: str = FUSED) -> GradCam:
    """``GradCam`` of a run directory's network."""
    return GradCam(load_network(run), head)


def integrated_gradients(run: Path, head: str = FUSED) -> IntegratedGradients:
    """``IntegratedGradients`` of a run directory's network."""
    return IntegratedGradients(load_network(run), head)


class GradCam:
    """The last feature maps, each weighted by how much the answer grows with it.

    Selvaraju et al. 2017, "Grad-CAM" (arXiv:1610.02391).

    Args:
        network: with convolutions.
        labels: "fused", what users are told; or the name of one head.

    Raises:
        UsageError: the network has no feature maps.
        ModelError: the model has no such labels.
    """

    method = "grad-cam"

    def __init__(self, network: Network, head: str = FUSED) -> None:
        network.card.output(head)
        self._network, self._labels = network, head
        self._to_maps, self._to_logits = halves(network.model, last_maps(network.model))

    def heat(self, crop: Crops, label: int) -> Values:
        """As ``mien.explain.Explainer`` asks; never negative, since the method keeps what speaks for the label."""
        card = self._network.card
        maps = array_of(self._to_maps(both(crop, card)))
        slopes = gradient(
            lambda at: _total(log_odds(card, _mean(self._to_logits(at), len(maps)), self._labels, label)), maps
        )
        if channels_first():
            maps, slopes = np.moveaxis(maps, 1, -1), np.moveaxis(slopes, 1, -1)
        weighted = (maps * slopes.mean(axis=(1, 2), keepdims=True)).sum(axis=-1)
        size = (card.size, card.size)
        fine = [cv2.resize(np.maximum(one, 0.0), size, interpolation=cv2.INTER_LINEAR) for one in weighted]
        return unmirrored(np.stack(fine).astype(np.float32))

    def shuffled(self, share: float) -> GradCam:
        """As ``mien.explain.Explainer`` asks."""
        return GradCam(self._network.shuffled(share), self._labels)


class IntegratedGradients:
    """What each pixel adds on a straight way from a flat image to the face crop.

    Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks" (arXiv:1703.01365).

    The way goes through what the network's first layer makes of the face crop, so for most networks through
    standardised images. All values together are the log-odds of the label less those of the flat image.

    Args:
        network: any.
        labels: "fused", what users are told; or the name of one head.
        steps: points on the way.

    Raises:
        ModelError: the model has no such labels.
    """

    method = "integrated-gradients"

    def __init__(self, network: Network, head: str = FUSED, steps: int = STEPS) -> None:
        network.card.output(head)
        self._network, self._labels, self._steps = network, head, steps
        self._to_entry, self._to_logits = halves(network.model, entry(network.model))

    def heat(self, crop: Crops, label: int) -> Values:
        """As ``mien.explain.Explainer`` asks."""
        card = self._network.card
        crops = both(crop, card)
        flat = np.broadcast_to(np.rint(crops.mean(axis=(1, 2), keepdims=True)).astype(np.uint8), crops.shape)
        start, end = (array_of(self._to_entry(np.ascontiguousarray(ends))) for ends in (flat, crops))
        shares = (np.arange(self._steps, dtype=np.float32) + 0.5) / self._steps
        way = np.concatenate([start[[i]] + shares[:, None, None, None] * (end - start)[[i]] for i in range(len(crops))])
        slopes = gradient(
            lambda at: _total(log_odds(card, _mean(self._to_logits(at), len(crops)), self._labels, label)), way
        )
        mean = slopes.reshape(len(crops), self._steps, *end.shape[1:]).mean(axis=1)
        added = unmirrored(((end - start) * mean).sum(axis=-1))
        smooth = cv2.GaussianBlur(added, (0, 0), SMOOTHING * card.size, borderType=cv2.BORDER_REFLECT)
        return np.asarray(smooth, np.float32)

    def shuffled(self, share: float) -> IntegratedGradients:
        """As ``mien.explain.Explainer`` asks."""
        return IntegratedGradients(self._network.shuffled(share), self._labels, self._steps)


def _mean(logits: dict[str, keras.KerasTensor], images: int) -> dict[str, keras.KerasTensor]:
    """The mean over each face crop and its mirror image, as one row; unchanged where there are no mirror images."""
    from keras import ops

    return {head: ops.mean(ops.reshape(rows, (images, -1, rows.shape[-1])), axis=0) for head, rows in logits.items()}


def _total(values: keras.KerasTensor) -> keras.KerasTensor:
    from keras import ops

    return ops.sum(values)
