"""Augmentation on the accelerator: ``mien.training.engine.augmentation`` in JAX, with the same random numbers.

The images are the same except for rounding: OpenCV warps in steps of a 32nd of a pixel and rounds between the stages.
JPEG compression is left out, since it runs on the CPU only: with ``--on-device`` the setting ``jpeg`` has no effect.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from mien.training.engine.augmentation import MIN_SHRUNK_PX, Draw, warp_matrices

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.training.config import Augmentation

BLUR_RADIUS = 4
"""Radius of the widest blur kernel in pixels."""


def inverse_maps(table: npt.NDArray[np.float32], strength: Augmentation, size: int) -> npt.NDArray[np.float32]:
    """Affine maps from pixels of the augmented image to those of the original: float32 (count, 2, 3)."""
    matrices = warp_matrices(table, strength, size)
    linear = np.linalg.inv(matrices[:, :, :2])
    offset = -linear @ matrices[:, :, 2:]
    return np.concatenate([linear, offset], axis=2).astype(np.float32)


class Strengths(NamedTuple):
    """The parts of an ``Augmentation`` that the device needs besides the maps; None removes a stage from the program.

    They are arguments, so that epochs of the fine-tune phase run the same compiled program.
    """

    brightness: float | None
    blur: float | None
    shrink: float | None
    random_erasing: float | None


def strengths_of(augmentation: Augmentation) -> Strengths:
    """The strengths of an augmentation, without JPEG compression."""
    return Strengths(*(getattr(augmentation, name) or None for name in Strengths._fields))


def augmented(crops: jax.Array, maps: jax.Array, table: jax.Array, strengths: Strengths) -> jax.Array:
    """Augment face crops; to be compiled with ``jax.jit``.

    Args:
        crops: uint8 (count, size, size, channels).
        maps: from ``inverse_maps``.
        table: rows of ``mien.training.engine.augmentation.draws``, float32 (count, draws).
        strengths: from ``strengths_of``.

    Returns:
        uint8 of the same shape.
    """
    x = _warped(crops.astype(jnp.float32), maps)
    if strengths.brightness is not None:
        x = _adjusted_brightness(x, table, strengths.brightness)
    stages = (
        (strengths.blur, Draw.BLUR, _blurred),
        (strengths.shrink, Draw.SHRINK, _rescaled),
        (strengths.random_erasing, Draw.ERASE, _erased),
    )
    for share, draw, stage in stages:
        if share is not None:
            x = jnp.where((table[:, draw] < share)[:, None, None, None], stage(x, table), x)
    return jnp.clip(jnp.round(x), 0, 255).astype(jnp.uint8)


def _warped(x: jax.Array, maps: jax.Array) -> jax.Array:
    """Bilinear warp with a replicated border."""
    count, size, _, channels = x.shape
    down, across = jnp.mgrid[:size, :size]
    places = jnp.stack([across, down, jnp.ones_like(down)]).reshape(3, -1).astype(jnp.float32)
    # element-wise products, since a matrix product on GPUs would round to ten bits
    at = jnp.clip((maps[:, :, :, None] * places[None, None]).sum(axis=2), 0, size - 1)
    low = jnp.minimum(jnp.floor(at), size - 2)
    part = (at - low)[..., None]
    left, top = low[:, 0].astype(jnp.int32), low[:, 1].astype(jnp.int32)
    flat = x.reshape(count, size * size, channels)

    def pixel(right: int, below: int) -> jax.Array:
        index = (top + below) * size + left + right
        return jnp.take_along_axis(flat, index[..., None], axis=1)

    upper = pixel(0, 0) * (1 - part[:, 0]) + pixel(1, 0) * part[:, 0]
    lower = pixel(0, 1) * (1 - part[:, 0]) + pixel(1, 1) * part[:, 0]
    return jnp.round(upper * (1 - part[:, 1]) + lower * part[:, 1]).reshape(x.shape)


def _adjusted_brightness(x: jax.Array, table: jax.Array, brightness: float) -> jax.Array:
    def by(draw: Draw) -> jax.Array:
        return ((2.0 * table[:, draw] - 1.0) * brightness)[:, None, None, None]

    toned = (jnp.power(x / 255.0, jnp.exp(by(Draw.GAMMA))) - 0.5) * (1.0 + by(Draw.CONTRAST)) + 0.5
    return jnp.floor(jnp.clip(toned + by(Draw.BRIGHTNESS), 0.0, 1.0) * 255.0 + 0.5)


def _blurred(x: jax.Array, table: jax.Array) -> jax.Array:
    width = 0.3 + 0.9 * table[:, Draw.BLUR_WIDTH]
    radius = (jnp.round(6.0 * width).astype(jnp.int32) + 1) // 2  # as OpenCV sizes its kernel, round(6 s + 1) made odd
    steps = jnp.arange(-BLUR_RADIUS, BLUR_RADIUS + 1)
    kernel = jnp.exp(-0.5 * (steps[None] / width[:, None]) ** 2) * (jnp.abs(steps)[None] <= radius[:, None])
    kernel = (kernel / kernel.sum(axis=1, keepdims=True))[:, :, None, None, None]
    size = x.shape[1]
    for axis in (1, 2):
        around = [(0, 0)] * 4
        around[axis] = (BLUR_RADIUS, BLUR_RADIUS)
        wide = jnp.pad(x, around, mode="reflect")
        parts = (jax.lax.slice_in_dim(wide, at, at + size, axis=axis) * kernel[:, at] for at in range(len(steps)))
        x = sum(parts, jnp.zeros_like(x))
    return jnp.round(x)


def _rescaled(x: jax.Array, table: jax.Array) -> jax.Array:
    size = x.shape[1]
    small = jnp.round(size * (0.4 + 0.5 * table[:, Draw.SHRINK_TO])).astype(jnp.int32)
    matrices = jnp.asarray(_rescaling_matrices(size))[jnp.maximum(small, MIN_SHRUNK_PX)]
    exact = jax.lax.Precision.HIGHEST
    rows = jnp.einsum("nij,njkc->nikc", matrices, x, precision=exact)
    return jnp.round(jnp.einsum("nij,nkjc->nkic", matrices, rows, precision=exact))


@lru_cache(maxsize=4)
def _rescaling_matrices(size: int) -> npt.NDArray[np.float32]:
    """Matrices that downscale a line of pixels to each length and upscale it again: float32 (size + 1, size, size)."""
    lines = np.zeros((size + 1, size, size), np.float32)
    for small in range(1, size + 1):
        shrunk = cv2.resize(np.eye(size, dtype=np.float32), (size, small), interpolation=cv2.INTER_AREA)
        lines[small] = cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR)
    return lines


def _erased(x: jax.Array, table: jax.Array) -> jax.Array:
    size = x.shape[1]
    area = size * size * (0.03 + 0.17 * table[:, Draw.ERASE_AREA])
    aspect = jnp.exp(np.log(3.0) * (2.0 * table[:, Draw.ERASE_ASPECT] - 1.0))
    inside = []
    for draw, extent in ((Draw.ERASE_DOWN, area * aspect), (Draw.ERASE_ACROSS, area / aspect)):
        length = jnp.clip(jnp.round(jnp.sqrt(extent)), 1, size)
        first = jnp.floor(table[:, draw] * (size - length + 1))
        places = jnp.arange(size)[None]
        inside.append((places >= first[:, None]) & (places < (first + length)[:, None]))
    covered = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return jnp.where(covered, jnp.floor(256 * table[:, Draw.ERASE_GREY])[:, None, None, None], x)
