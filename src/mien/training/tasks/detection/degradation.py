"""Degradation of composed training images: half-hidden faces, and the defects of cameras and image compression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mien.data.scenes import BoxedFaces
    from mien.structures import Frame

OCCLUDED_SHARE = 0.08
"""Share of faces that are half hidden."""

MIN_OCCLUDED_PX = 20.0
"""Smallest side of a face that is half hidden; half of a smaller one is not recognisable as a face."""


def log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    """A random number whose logarithm is uniform."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def half_occluded(random: np.random.Generator, image: Frame, faces: BoxedFaces) -> Frame:
    """Hide half of a few faces, in place: by a random colour, or by another part of the image.

    Args:
        random: source of randomness.
        image: uint8 (side, side, 3), RGB; changed.
        faces: in its pixels.

    Returns:
        The image itself.
    """
    for box, side in zip(faces.boxes, faces.sides.tolist(), strict=True):
        if random.random() >= OCCLUDED_SHARE or side < MIN_OCCLUDED_PX:
            continue
        # from a random edge of the box to about its middle
        hidden, edge, share = box.copy(), random.integers(4), random.uniform(0.5, 0.7)
        hidden[edge] += share * (box[(edge + 2) % 4] - box[edge])
        left, top, right, bottom = hidden.clip(0, image.shape[0]).astype(int).tolist()
        width, height = right - left, bottom - top
        if width <= 0 or height <= 0:
            continue
        if random.random() < 0.5:
            image[top:bottom, left:right] = random.integers(0, 256, 3)
        else:  # by another part of the image
            y, x = (int(random.integers(0, image.shape[0] - length + 1)) for length in (height, width))
            image[top:bottom, left:right] = image[y : y + height, x : x + width].copy()
    return image


def degraded(random: np.random.Generator, image: Frame) -> Frame:
    """Random exposure, colour cast, greyscale, blur, downscaling, noise and JPEG: uint8 (side, side, 3), RGB."""
    x: Any = image
    chance = random.random(8)
    if chance[0] < 0.6:
        gain = log_uniform(random, 0.2, 1.4) if chance[1] < 0.35 else log_uniform(random, 0.6, 1.3)
        tint = gain * np.exp(random.normal(0, 0.08, 3))
        gamma = float(np.exp(random.normal(0, 0.2)))
        ramp = (np.arange(256) / 255.0) ** gamma
        table = np.clip(255 * ramp[:, None] * tint, 0, 255).astype(np.uint8)
        x = cv2.LUT(x, np.ascontiguousarray(table[None]))
    if chance[7] < 0.4:
        x = cv2.transform(x, _colour_matrix(random))
    if chance[2] < 0.15:
        x = np.repeat(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if chance[3] < 0.12:
        x = cv2.GaussianBlur(x, (0, 0), random.uniform(0.4, 2.0))
    if chance[4] < 0.10:
        part = random.uniform(0.35, 0.8)
        small = cv2.resize(x, None, fx=part, fy=part, interpolation=cv2.INTER_AREA)
        x = cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    if chance[5] < 0.12:
        noise = random.normal(0, random.uniform(2, 18), x.shape).astype(np.float32)
        x = np.clip(x + noise, 0, 255).astype(np.uint8)
    if chance[6] < 0.2:
        _, stored = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(15, 80))])
        x = cv2.imdecode(stored, cv2.IMREAD_UNCHANGED)
    return np.ascontiguousarray(x, dtype=np.uint8)


def _colour_matrix(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """A matrix for RGB that rotates hues about grey and scales saturation: float64 (3, 3)."""
    grey = np.full((3, 3), 1 / 3)
    angle, saturation = np.radians(random.normal(0, 12)), random.uniform(0.4, 1.5)
    axis = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3)
    matrix: npt.NDArray[np.float64] = grey + saturation * (np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * axis)
    return matrix
