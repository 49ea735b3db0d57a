"""Gradients on whichever backend Keras runs on, and the score of an answer that they are taken of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.explain.network import array_of
from mien.models.card import Head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import keras

    from mien.models.card import ModelCard

    Values = npt.NDArray[np.float32]


def gradient(function: Callable[[keras.KerasTensor], keras.KerasTensor], x: Values) -> Values:
    """The gradient of a function that gives one number, at a point: float32 of the point's shape.

    Args:
        function: made of Keras' operations.
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
    """log(p / (1 - p)) of a label as the card reads the logits, in Keras' operations: (count,).

    Args:
        card: of the network.
        logits: of each head, (count, labels of the head).
        head: "fused", or the name of a head.
        label: place in that label set.
    """
    from keras import ops

    scores = _scores(card, logits, head)
    others = [place for place in range(scores.shape[1]) if place != label]
    return scores[:, label] - ops.logsumexp(ops.take(scores, others, axis=1), axis=1)


def _scores(card: ModelCard, logits: Mapping[str, Any], head: str) -> keras.KerasTensor:
    """Numbers whose softmax are the probabilities that ``mien.classification.classifier.probabilities_of`` gives."""
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
        columns = [part.labels.index(word) for word in output.labels]
        picked = ops.take(logits[name] / part.temperature, columns, axis=1)
        mean = mean + weight / total * ops.log_softmax(picked, axis=1)
    return mean / output.temperature
