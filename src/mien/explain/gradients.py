"""Gradient-based attribution for Keras networks: Grad-CAM and integrated gradients, on any Keras backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.explain.network import (
    array_of,
    channels_first,
    first_float_tensor,
    last_feature_maps,
    load_network,
    merge_mirrored,
    split_at,
    with_mirrored,
)
from mien.media.resampling import Span, blur, resample
from mien.models.card import FUSED, Head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import keras

    from mien.explain.network import Network
    from mien.models.card import ModelCard
    from mien.structures import Crops

    Values = npt.NDArray[np.float32]

PATH_STEPS = 32
"""Points on the path from the baseline to the face crop; the sum of a map is then within a few per cent of the exact
value."""

SMOOTHING_SIGMA = 1 / 32
"""Standard deviation of the blur over a map of single pixels, in sides of the face crop."""


def grad_cam(run: Path, head: str = FUSED) -> GradCam:
    """``GradCam`` for the network of a run directory."""
    return GradCam(load_network(run), head)


def integrated_gradients(run: Path, head: str = FUSED) -> IntegratedGradients:
    """``IntegratedGradients`` for the network of a run directory."""
    return IntegratedGradients(load_network(run), head)


class GradCam:
    """Grad-CAM: the last feature maps, each weighted by its mean gradient.

    Selvaraju et al. 2017, "Grad-CAM" (arXiv:1610.02391). The gradient is that of the label's log-odds.

    Args:
        network: with convolutions.
        head: "fused" for the fused prediction, or the name of one head.

    Raises:
        UsageError: the network has no feature maps.
        ModelError: the model has no such head.
    """

    method = "grad-cam"

    def __init__(self, network: Network, head: str = FUSED) -> None:
        network.card.output(head)
        self._network, self._head = network, head
        self._to_maps, self._to_logits = split_at(network.model, last_feature_maps(network.model))

    def attribute(self, crop: Crops, label: int) -> Values:
        """Implements ``Explainer``; never negative, since Grad-CAM keeps only what supports the label."""
        card = self._network.card
        maps = array_of(self._to_maps(with_mirrored(crop, card)))
        slopes = gradient(
            lambda at: _total(log_odds(card, _mean(self._to_logits(at), len(maps)), self._head, label)), maps
        )
        if channels_first():
            maps, slopes = np.moveaxis(maps, 1, -1), np.moveaxis(slopes, 1, -1)
        weighted = (maps * slopes.mean(axis=(1, 2), keepdims=True)).sum(axis=-1)
        down, across = (Span(0, length / card.size, card.size) for length in weighted.shape[1:])
        return merge_mirrored(np.stack([resample(values, across, down) for values in weighted.clip(0)]))

    def randomized(self, share: float) -> GradCam:
        """Implements ``Explainer``."""
        return GradCam(self._network.randomized(share), self._head)


class IntegratedGradients:
    """Integrated gradients along a straight path from a uniform grey baseline to the face crop.

    Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks" (arXiv:1703.01365).

    The path runs through the output of the network's first layer, so for most networks through standardised images. All
    values sum to the log-odds of the label minus those of the baseline (completeness).

    Args:
        network: any.
        head: "fused" for the fused prediction, or the name of one head.
        steps: points on the path.

    Raises:
        ModelError: the model has no such head.
    """

    method = "integrated-gradients"

    def __init__(self, network: Network, head: str = FUSED, steps: int = PATH_STEPS) -> None:
        network.card.output(head)
        self._network, self._head, self._steps = network, head, steps
        self._to_input, self._to_logits = split_at(network.model, first_float_tensor(network.model))

    def attribute(self, crop: Crops, label: int) -> Values:
        """Implements ``Explainer``."""
        card = self._network.card
        crops = with_mirrored(crop, card)
        baseline = np.broadcast_to(np.rint(crops.mean(axis=(1, 2), keepdims=True)).astype(np.uint8), crops.shape)
        start, end = (array_of(self._to_input(np.ascontiguousarray(ends))) for ends in (baseline, crops))
        shares = (np.arange(self._steps, dtype=np.float32) + 0.5) / self._steps
        path = np.concatenate(
            [start[[i]] + shares[:, None, None, None] * (end - start)[[i]] for i in range(len(crops))]
        )
        slopes = gradient(
            lambda at: _total(log_odds(card, _mean(self._to_logits(at), len(crops)), self._head, label)), path
        )
        mean = slopes.reshape(len(crops), self._steps, *end.shape[1:]).mean(axis=1)
        attribution = merge_mirrored(((end - start) * mean).sum(axis=-1))
        return blur(attribution, SMOOTHING_SIGMA * card.size, "symmetric")

    def randomized(self, share: float) -> IntegratedGradients:
        """Implements ``Explainer``."""
        return IntegratedGradients(self._network.randomized(share), self._head, self._steps)


def gradient(function: Callable[[keras.KerasTensor], keras.KerasTensor], x: Values) -> Values:
    """The gradient of a scalar function at a point: float32 of the point's shape.

    Args:
        function: built from Keras operations.
        x: the point.
    """
    import keras

    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        point = keras.ops.convert_to_tensor(x).requires_grad_(True)  # noqa: FBT003 - torch's own signature
        return array_of(torch.autograd.grad(function(point), point)[0])
    if backend == "tensorflow":
        import tensorflow as tf

        point = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(point)
            value = function(point)
        return array_of(tape.gradient(value, point))
    import jax

    return array_of(jax.grad(function)(keras.ops.convert_to_tensor(x)))


def log_odds(card: ModelCard, logits: Mapping[str, Any], head: str, label: int) -> keras.KerasTensor:
    """``mien.explain.occlusion.log_odds`` in Keras operations, so that it can be differentiated: (count,).

    Args:
        card: of the network.
        logits: of each head, (count, labels of the head).
        head: "fused", or the name of a head.
        label: index of the label in that head.
    """
    from keras import ops

    scores = _scores(card, logits, head)
    others = [index for index in range(scores.shape[1]) if index != label]
    return scores[:, label] - ops.logsumexp(ops.take(scores, others, axis=1), axis=1)


def _scores(card: ModelCard, logits: Mapping[str, Any], head: str) -> keras.KerasTensor:
    """Scores whose softmax gives the probabilities of ``mien.classification.classifier.probabilities_of``."""
    from keras import ops

    output = card.output(head)
    offsets = ops.convert_to_tensor(np.array(output.offsets or [0.0] * len(output.labels), np.float32)[None])
    if isinstance(output, Head):
        own = logits[output.name]
        if output.scales:
            scales = ops.convert_to_tensor(np.array(output.scales, np.float32)[None])
            own = (own - ops.mean(own, axis=1, keepdims=True)) * scales
        return (own + offsets) / output.temperature
    total = sum(weight for _, weight in output.weights)
    mean = offsets
    for name, weight in output.weights:
        part = card.head(name)
        columns = [part.labels.index(label) for label in output.labels]
        picked = ops.take(logits[name] / part.temperature, columns, axis=1)
        mean = mean + weight / total * ops.log_softmax(picked, axis=1)
    return mean / output.temperature


def _mean(logits: dict[str, keras.KerasTensor], images: int) -> dict[str, keras.KerasTensor]:
    """Logits averaged over each face crop and its mirror image; unchanged where there are no mirror images."""
    from keras import ops

    return {head: ops.mean(ops.reshape(rows, (images, -1, rows.shape[-1])), axis=0) for head, rows in logits.items()}


def _total(values: keras.KerasTensor) -> keras.KerasTensor:
    from keras import ops

    return ops.sum(values)
