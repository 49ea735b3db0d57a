"""How a network does between epochs: its averaged weights, judged on the validation split."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from mien.classification.probabilities import softmax
from mien.errors import DivergedError, TrainingError
from mien.evaluation.metrics import compute_metrics
from mien.training.run.directory import HeadScore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from mien.data.dataset import Dataset

# images from which batch-norm statistics are estimated for averaged weights: more changes no third digit
STATISTICS_IMAGES = 4096
STATISTICS_PIXELS = 2_400_000  # at once: 256 face crops of 96x96, 36 images of 256x256
EVALUATION_BATCH = 512

Logits = dict[str, "npt.NDArray[np.float32]"]


def _always() -> None:
    """Lets the work go on."""


def predict_logits(model: keras.Model, crops: npt.NDArray[np.uint8], check: Callable[[], None] = _always) -> Logits:
    """The logits of each head, float32 (count, labels), in batches.

    Args:
        model: a network of the architectures.
        crops: uint8 (count, size, size, channels).
        check: called before each batch; what it raises ends the work.
    """
    parts = []
    for at in range(0, len(crops), EVALUATION_BATCH):
        check()
        parts.append(model.predict_on_batch(_whole(crops[at : at + EVALUATION_BATCH], len(crops))))
    return {head: np.concatenate([part[head] for part in parts])[: len(crops)].astype(np.float32) for head in parts[0]}


def _whole(part: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    """On JAX the last part of many made as long as the others: it would be compiled for once more."""
    short = EVALUATION_BATCH - len(part)
    if keras.backend.backend() != "jax" or short == 0 or count < EVALUATION_BATCH:
        return part
    return np.concatenate([part, np.zeros((short, *part.shape[1:]), np.uint8)])


def judge_heads(logits: Logits, data: Dataset) -> tuple[HeadScore, ...]:
    """The scores of each head on its judged rows.

    Raises:
        TrainingError: a head has no such rows, or logits that are not finite.
    """
    scores = []
    for truth in data.truths:
        rows = np.flatnonzero(truth.evaluated)
        if len(rows) == 0:
            raise TrainingError(
                f"expected rows to judge the head {truth.head!r} by in the validation split; there are none"
            )
        if not np.isfinite(logits[truth.head]).all():
            raise DivergedError(
                f"expected finite logits of the head {truth.head!r}; received others: the weights have diverged, "
                "so lower the rate, or use float32 precision"
            )
        metrics = compute_metrics(softmax(logits[truth.head][rows]), truth.class_ids[rows], truth.labels)
        scores.append(HeadScore(truth.head, metrics.accuracy, metrics.macro_f1, metrics.nll))
    return tuple(scores)


def estimate_batch_norm(model: keras.Model, images: npt.NDArray[np.uint8], check: Callable[[], None] = _always) -> None:
    """Statistics of batch normalisation for the weights that stand now: averaged weights never saw any.

    Each batch counts the same.

    Args:
        model: a network of the architectures.
        images: plain ones, as in use, in any order: uint8 (count, height, width, channels).
        check: called before each batch; what it raises ends the work.
    """
    layers = list(_learning_norms(model))
    if not layers:
        return
    moving = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
    momenta = [layer.momentum for layer in layers]
    together = min(256, max(16, STATISTICS_PIXELS // (images.shape[1] * images.shape[2])))
    parts = np.array_split(images, max(1, len(images) // together))
    try:
        for layer in layers:
            layer.momentum = 0.0  # each batch leaves its own statistics
        sums = [np.zeros(variable.shape, np.float64) for variable in moving]
        for part in parts:
            check()
            _pass_through(model, part)
            sums = [total + keras.ops.convert_to_numpy(one) for total, one in zip(sums, moving, strict=True)]
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    for total, variable in zip(sums, moving, strict=True):
        variable.assign((total / len(parts)).astype(np.float32))


def _pass_through(model: keras.Model, part: npt.NDArray[np.uint8]) -> None:
    """Shows a network images as while learning; only its statistics change."""
    if keras.backend.backend() != "jax":
        with _without_gradients():
            model(part, training=True)
        return
    trainable = [variable.value for variable in model.trainable_variables]
    other = [variable.value for variable in model.non_trainable_variables]
    for variable, value in zip(model.non_trainable_variables, _compiled(model)(trainable, other, part), strict=True):
        variable.assign(value)


@lru_cache(maxsize=1)
def _compiled(model: keras.Model) -> Callable[..., list[Any]]:
    """The network's other variables after a look at images, as one program; step by step JAX takes seconds.

    It keeps the momenta that it was first called with.
    """
    import jax

    program: Callable[..., list[Any]] = jax.jit(
        lambda trainable, other, part: model.stateless_call(trainable, other, part, training=True)[1]
    )
    return program


def _learning_norms(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    """Batch normalisation that is not frozen, in the network and in networks inside it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _learning_norms(layer)
        elif isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            yield layer


def _without_gradients() -> AbstractContextManager[Any]:
    """Only torch records every step for a gradient that nobody asks for."""
    if keras.backend.backend() != "torch":
        return nullcontext()
    import torch

    return torch.no_grad()  # type: ignore[no-any-return]  # torch is not read by mypy here
