"""Batch-norm statistics for averaged weights, which never saw a batch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

# images from which batch-norm statistics are estimated for averaged weights: more changes no third digit
STATISTICS_IMAGES = 4096
STATISTICS_PIXELS = 2_400_000  # per batch: 256 face crops of 96x96, 36 images of 256x256


def do_nothing() -> None:
    """The default check between batches."""


def estimate_batch_norm(
    model: keras.Model, images: npt.NDArray[np.uint8], check: Callable[[], None] = do_nothing
) -> None:
    """Estimates batch-norm statistics for the current weights; all batches weigh the same.

    Args:
        model: any network.
        images: without augmentation, in any order: uint8 (count, height, width, channels).
        check: called before each batch; an exception it raises ends the estimation.
    """
    layers = list(_trainable_batch_norms(model))
    if not layers:
        return
    moving = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
    momenta = [layer.momentum for layer in layers]
    together = min(256, max(16, STATISTICS_PIXELS // (images.shape[1] * images.shape[2])))
    parts = np.array_split(images, max(1, len(images) // together))
    try:
        for layer in layers:
            layer.momentum = 0.0  # the moving statistics are those of the last batch
        sums = [np.zeros(variable.shape, np.float64) for variable in moving]
        for part in parts:
            check()
            _forward(model, part)
            sums = [total + keras.ops.convert_to_numpy(value) for total, value in zip(sums, moving, strict=True)]
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    for total, variable in zip(sums, moving, strict=True):
        variable.assign((total / len(parts)).astype(np.float32))


def _forward(model: keras.Model, part: npt.NDArray[np.uint8]) -> None:
    """Runs a network in training mode; only its statistics change."""
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
    """The non-trainable variables after a forward pass, as one compiled program; eager JAX takes seconds.

    It keeps the momenta of its first call.
    """
    import jax

    program: Callable[..., list[Any]] = jax.jit(
        lambda trainable, other, part: model.stateless_call(trainable, other, part, training=True)[1]
    )
    return program


def _trainable_batch_norms(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    """The batch-norm layers that are not frozen, also in nested networks."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _trainable_batch_norms(layer)
        elif isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            yield layer


def _without_gradients() -> AbstractContextManager[Any]:
    """Turns off gradient recording, which only torch does by default."""
    if keras.backend.backend() != "torch":
        return nullcontext()
    import torch

    return torch.no_grad()  # type: ignore[no-any-return]  # torch is skipped by mypy
