"""Augmentation on the device: what ``training.augmentation`` does to a batch on the host, by the same random numbers.

The same images come out but for rounding: OpenCV warps in steps of a 32nd of a pixel and rounds between the stages.
JPEG is its grey half, discrete cosines in blocks of 8x8 by the standard's luminance table (ITU-T T.81, table K.1), on
each channel; of colours the host thins out the chroma besides.
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

BLUR_REACH = 4
"""Pixels to either side that the widest blur sees."""

LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=np.float32,
)


def inverse_maps(table: npt.NDArray[np.float32], strength: Augmentation, size: int) -> npt.NDArray[np.float32]:
    """From pixels of the changed image back to those of the old one, float32 (count, 2, 3)."""
    matrices = warp_matrices(table, strength, size)
    linear = np.linalg.inv(matrices[:, :, :2])
    offset = -linear @ matrices[:, :, 2:]
    return np.concatenate([linear, offset], axis=2).astype(np.float32)


class Strengths(NamedTuple):
    """What of an ``Augmentation`` the device needs besides the maps; None: never, which costs nothing.

    Numbers, so that an epoch of gentler ones runs the same program.
    """

    brightness: float | None
    blur: float | None
    shrink: float | None
    jpeg: float | None
    random_erasing: float | None


def strengths_of(augmentation: Augmentation) -> Strengths:
    """Those of an augmentation."""
    return Strengths(*(getattr(augmentation, name) or None for name in Strengths._fields))


def changed(crops: jax.Array, maps: jax.Array, table: jax.Array, strengths: Strengths) -> jax.Array:
    """Changed copies of face crops; to be compiled.

    Args:
        crops: uint8 (count, size, size, channels).
        maps: of ``inverse_maps``.
        table: rows of ``augmentation.draws``, float32 (count, uses).
        strengths: how far and how often.

    Returns:
        uint8 of the same shape.
    """
    x = _warped(crops.astype(jnp.float32), maps)
    if strengths.brightness is not None:
        x = _toned(x, table, strengths.brightness)
    stages = (
        (strengths.blur, Draw.BLUR, _blurred),
        (strengths.shrink, Draw.SHRINK, _shrunk),
        (strengths.jpeg, Draw.JPEG, _stored),
        (strengths.random_erasing, Draw.ERASE, _erased),
    )
    for share, draw, stage in stages:
        if share is not None:
            x = jnp.where((table[:, draw] < share)[:, None, None, None], stage(x, table), x)
    return jnp.clip(jnp.round(x), 0, 255).astype(jnp.uint8)


def _warped(x: jax.Array, maps: jax.Array) -> jax.Array:
    """Each pixel from the four around the place that it came from; outside the image its border goes on."""
    count, size, _, channels = x.shape
    down, across = jnp.mgrid[:size, :size]
    places = jnp.stack([across, down, jnp.ones_like(down)]).reshape(3, -1).astype(jnp.float32)
    # three products a pixel: on GPUs a matrix product would round to ten bits
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


def _toned(x: jax.Array, table: jax.Array, brightness: float) -> jax.Array:
    def by(draw: Draw) -> jax.Array:
        return ((2.0 * table[:, draw] - 1.0) * brightness)[:, None, None, None]

    toned = (jnp.power(x / 255.0, jnp.exp(by(Draw.GAMMA))) - 0.5) * (1.0 + by(Draw.CONTRAST)) + 0.5
    return jnp.floor(jnp.clip(toned + by(Draw.BRIGHTNESS), 0.0, 1.0) * 255.0 + 0.5)


def _blurred(x: jax.Array, table: jax.Array) -> jax.Array:
    width = 0.3 + 0.9 * table[:, Draw.BLUR_WIDTH]
    reach = (jnp.round(6.0 * width).astype(jnp.int32) + 1) // 2  # as OpenCV sizes its kernel, round(6 s + 1) made odd
    steps = jnp.arange(-BLUR_REACH, BLUR_REACH + 1)
    kernel = jnp.exp(-0.5 * (steps[None] / width[:, None]) ** 2) * (jnp.abs(steps)[None] <= reach[:, None])
    kernel = (kernel / kernel.sum(axis=1, keepdims=True))[:, :, None, None, None]
    size = x.shape[1]
    for axis in (1, 2):
        around = [(0, 0)] * 4
        around[axis] = (BLUR_REACH, BLUR_REACH)
        wide = jnp.pad(x, around, mode="reflect")
        parts = (jax.lax.slice_in_dim(wide, at, at + size, axis=axis) * kernel[:, at] for at in range(len(steps)))
        x = sum(parts, jnp.zeros_like(x))
    return jnp.round(x)


def _shrunk(x: jax.Array, table: jax.Array) -> jax.Array:
    size = x.shape[1]
    small = jnp.round(size * (0.4 + 0.5 * table[:, Draw.SHRINK_TO])).astype(jnp.int32)
    there_and_back = jnp.asarray(_shrinking(size))[jnp.maximum(small, MIN_SHRUNK_PX)]
    exact = jax.lax.Precision.HIGHEST
    rows = jnp.einsum("nij,njkc->nikc", there_and_back, x, precision=exact)
    return jnp.round(jnp.einsum("nij,nkjc->nkic", there_and_back, rows, precision=exact))


@lru_cache(maxsize=4)
def _shrinking(size: int) -> npt.NDArray[np.float32]:
    """What shrinking a line of pixels to each length and stretching it again does to it, (size + 1, size, size)."""
    lines = np.zeros((size + 1, size, size), np.float32)
    for small in range(1, size + 1):
        shrunk = cv2.resize(np.eye(size, dtype=np.float32), (size, small), interpolation=cv2.INTER_AREA)
        lines[small] = cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR)
    return lines


def _stored(x: jax.Array, table: jax.Array) -> jax.Array:
    """As JPEG of a quality brings it back."""
    quality = 15 + jnp.floor(60 * table[:, Draw.JPEG_QUALITY])
    percent = jnp.where(quality < 50, jnp.floor(5000 / quality), 200 - 2 * quality)
    steps = jnp.clip(jnp.floor((LUMINANCE * percent[:, None, None] + 50) / 100), 1, 255)[:, None, None, None]
    count, size, _, channels = x.shape
    more = -size % 8
    wide = jnp.pad(x, [(0, 0), (0, more), (0, more), (0, 0)], mode="edge") - 128.0
    side = (size + more) // 8
    blocks = wide.reshape(count, side, 8, side, 8, channels).transpose(0, 1, 3, 5, 2, 4)
    cosines, exact = jnp.asarray(_cosines()), jax.lax.Precision.HIGHEST
    waves = jnp.einsum("ij,nabcjk,lk->nabcil", cosines, blocks, cosines, precision=exact)
    waves = jnp.round(waves / steps) * steps
    back = jnp.einsum("ji,nabcjk,kl->nabcil", cosines, waves, cosines, precision=exact)
    whole = back.transpose(0, 1, 4, 2, 5, 3).reshape(count, size + more, size + more, channels)
    return jnp.clip(jnp.round(whole + 128.0), 0, 255)[:, :size, :size]


@lru_cache(maxsize=1)
def _cosines() -> npt.NDArray[np.float32]:
    """The orthonormal discrete cosine transform of 8 values, (8, 8)."""
    number, place = np.mgrid[:8, :8]
    waves: npt.NDArray[np.float32] = (np.cos(np.pi * (2 * place + 1) * number / 16) / 2).astype(np.float32)
    waves[0] /= np.sqrt(2)
    return waves


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
