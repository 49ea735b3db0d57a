"""Accuracy under image corruptions: the same face crops, degraded as cameras and detectors degrade them.

A face crop holds the face and little else. Where a corruption needs pixels from outside it, the edge is replicated, so
they add no information.
"""

from __future__ import annotations

import dataclasses
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.evaluation.evaluate import evaluate_crops
from mien.media.opencv import load_opencv

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.classification.classifier import Classifier
    from mien.data.dataset import Dataset
    from mien.evaluation.metrics import Metrics
    from mien.structures import Crops, Frame

    Crop = Frame

cv2 = load_opencv("degrading face crops")

EYE_ROWS, MOUTH_ROWS = (0.28, 0.50), (0.62, 1.0)
"""Where eyes and mouth lie in a FER2013 face crop, as shares of its height."""

OCCLUSION_GREY = 40
SHIFTS = {"right": (0.15, 0.0), "left": (-0.15, 0.0), "up": (0.0, -0.15), "down": (0.0, 0.15)}


@dataclass(frozen=True)
class Corruption:
    """One corruption of a face crop at one severity.

    Attributes:
        kind: "scale", "noise", ...
        step: its severity.
        change: maps a uint8 (side, side, channels) face crop to a corrupted one; deterministic.
    """

    kind: str
    step: str
    change: Callable[[Crop], Crop]


@dataclass(frozen=True)
class RobustnessResult:
    """The metrics under one corruption; ``kind`` is "none" for the original face crops."""

    kind: str
    step: str
    metrics: Metrics


def evaluate_robustness(
    classifier: Classifier, data: Dataset, head: str = "", on_progress: Callable[[float], None] = lambda _: None
) -> tuple[RobustnessResult, ...]:
    """Metrics on the original face crops, then under each corruption of ``SUITE``.

    Args:
        classifier: the model.
        data: one split.
        head: the output head, as in ``evaluate_crops``.
        on_progress: called with the share done, 0 to 1.

    Raises:
        ModelError: the model has no such head.
        UsageError: the data has no targets for the head.
    """
    results = [RobustnessResult("none", "original", evaluate_crops(classifier, data, head).metrics)]
    for number, corruption in enumerate(SUITE, start=1):
        corrupted = dataclasses.replace(data, crops=corrupt(corruption, data.crops))
        metrics = evaluate_crops(classifier, corrupted, head).metrics
        results.append(RobustnessResult(corruption.kind, corruption.step, metrics))
        on_progress(number / len(SUITE))
    return tuple(results)


def corrupt(corruption: Corruption, crops: Crops) -> Crops:
    """Apply a corruption to face crops, uint8 (n, side, side, channels)."""
    corrupted = [corruption.change(crop).reshape(crop.shape) for crop in crops]
    return np.stack(corrupted) if corrupted else crops


def _affine(
    crop: Crop,
    *,
    scale: float = 1.0,
    degrees: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Crop:
    side = len(crop)
    matrix = cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), degrees, 1 / scale)
    matrix[:, 2] += np.array(shift) * side
    out: Any = cv2.warpAffine(
        _prefiltered(crop, scale), matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(out, np.uint8)


def _prefiltered(crop: Crop, scale: float) -> Crop:
    return crop if scale <= 1 else np.asarray(cv2.GaussianBlur(crop, (0, 0), 0.4 * scale), np.uint8)


def _blurred(crop: Crop, *, sigma: float) -> Crop:
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma * len(crop) / 48), np.uint8)


def _brightened(crop: Crop, *, gain: float) -> Crop:
    return np.asarray(np.clip(np.rint(crop * gain), 0, 255), np.uint8)


def _with_noise(crop: Crop, *, sigma: float) -> Crop:
    noise = np.random.default_rng(zlib.crc32(crop.tobytes())).normal(0, sigma, crop.shape)
    return np.asarray(np.clip(np.rint(crop + noise), 0, 255), np.uint8)


def _jpeg(crop: Crop, *, quality: int) -> Crop:
    _, content = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED), np.uint8)


def _downscaled(crop: Crop, *, side: int) -> Crop:
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _occluded(
    crop: Crop,
    *,
    rows: tuple[float, float] = (0.0, 1.0),
    columns: tuple[float, float] = (0.0, 1.0),
) -> Crop:
    out, side = crop.copy(), len(crop)
    top, bottom, left, right = (round(share * side) for share in (*rows, *columns))
    out[top:bottom, left:right] = OCCLUSION_GREY
    return out


SUITE = (
    *(Corruption("scale", f"{scale:g} times", partial(_affine, scale=scale)) for scale in (0.75, 0.85, 1.2, 1.35)),
    *(Corruption("shift", f"15 % {direction}", partial(_affine, shift=shift)) for direction, shift in SHIFTS.items()),
    *(
        Corruption("rotation", f"{degrees:g} degrees", partial(_affine, degrees=degrees))
        for degrees in (-30, -15, 15, 30)
    ),
    *(Corruption("blur", f"{sigma:g} of 48 px", partial(_blurred, sigma=sigma)) for sigma in (1.0, 2.0)),
    *(Corruption("brightness", f"{gain:g} times", partial(_brightened, gain=gain)) for gain in (0.5, 0.2, 1.6)),
    *(Corruption("noise", f"{sigma:g} of 255", partial(_with_noise, sigma=sigma)) for sigma in (10.0, 25.0)),
    *(Corruption("JPEG", f"quality {quality}", partial(_jpeg, quality=quality)) for quality in (30, 10)),
    *(Corruption("resolution", f"{side} px", partial(_downscaled, side=side)) for side in (24, 20, 16)),
    Corruption("occlusion", "sunglasses", partial(_occluded, rows=EYE_ROWS)),
    Corruption("occlusion", "mouth", partial(_occluded, rows=MOUTH_ROWS)),
    Corruption("occlusion", "one half", partial(_occluded, columns=(0.5, 1.0))),
)
"""Face crops too tight, too wide and off-centre; rotated, blurred, dark, bright, noisy, compressed, small, occluded."""
