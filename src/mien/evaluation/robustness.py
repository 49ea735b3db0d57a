"""How a classifier stands what cameras and detectors do to faces: the same face crops, changed in one way at a time.

A face crop holds the face and little else. Where a change needs what lies around it, its edge is drawn out, so what
moves in from outside carries no news.
"""

from __future__ import annotations

import dataclasses
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mien.evaluation.inference import judge_crops

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.classification.classifier import Classifier
    from mien.data.dataset import Dataset
    from mien.evaluation.metrics import Metrics
    from mien.structures import Crops, Frame

    Crop = Frame

EYES, MOUTH = (0.28, 0.50), (0.62, 1.0)
"""From which to which share of a face crop's height the eyes and the mouth lie, as FER2013 is framed."""

GREY = 40
SHIFTS = {"right": (0.15, 0.0), "left": (-0.15, 0.0), "up": (0.0, -0.15), "down": (0.0, 0.15)}


@dataclass(frozen=True)
class Corruption:
    """One change of a face crop.

    Attributes:
        kind: of change, "crop" or "noise".
        step: how far.
        change: of a uint8 (side, side, channels) face crop; the same face crop is changed in the same way.
    """

    kind: str
    step: str
    change: Callable[[Crop], Crop]


@dataclass(frozen=True)
class Stood:
    """What is left under one corruption."""

    kind: str
    step: str
    metrics: Metrics


def stand(
    classifier: Classifier, data: Dataset, head: str = "", tell: Callable[[float], None] = lambda _: None
) -> tuple[Stood, ...]:
    """The scores on the face crops as they are, then under each corruption of ``SUITE``.

    Args:
        classifier: the model.
        data: one split.
        head: the label set judged, as ``judge_crops`` takes it.
        tell: called with the share that is done.

    Raises:
        ModelError: the model has no such label set.
        UsageError: the data does not know the truth under it.
    """
    stood = [Stood("none", "as they are", judge_crops(classifier, data, head).report.metrics)]
    for number, corruption in enumerate(SUITE, start=1):
        changed = dataclasses.replace(data, crops=changed_by(corruption, data.crops))
        stood.append(Stood(corruption.kind, corruption.step, judge_crops(classifier, changed, head).report.metrics))
        tell(number / len(SUITE))
    return tuple(stood)


def changed_by(corruption: Corruption, crops: Crops) -> Crops:
    """The face crops under a corruption."""
    changed = [corruption.change(crop).reshape(crop.shape) for crop in crops]
    return np.stack(changed) if changed else crops


def _mapped(
    crop: Crop,
    *,
    scale: float = 1.0,
    turn: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Crop:
    side = len(crop)
    matrix = cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), turn, 1 / scale)
    matrix[:, 2] += np.array(shift) * side
    out: Any = cv2.warpAffine(
        _smooth(crop, scale), matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(out, np.uint8)


def _smooth(crop: Crop, scale: float) -> Crop:
    return crop if scale <= 1 else np.asarray(cv2.GaussianBlur(crop, (0, 0), 0.4 * scale), np.uint8)


def _blurred(crop: Crop, *, sigma: float) -> Crop:
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma * len(crop) / 48), np.uint8)


def _lit(crop: Crop, *, gain: float) -> Crop:
    return np.asarray(np.clip(np.rint(crop * gain), 0, 255), np.uint8)


def _noisy(crop: Crop, *, sigma: float) -> Crop:
    noise = np.random.default_rng(zlib.crc32(crop.tobytes())).normal(0, sigma, crop.shape)
    return np.asarray(np.clip(np.rint(crop + noise), 0, 255), np.uint8)


def _stored(crop: Crop, *, quality: int) -> Crop:
    _, content = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED), np.uint8)


def _small(crop: Crop, *, side: int) -> Crop:
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _covered(
    crop: Crop,
    *,
    rows: tuple[float, float] = (0.0, 1.0),
    columns: tuple[float, float] = (0.0, 1.0),
) -> Crop:
    out, side = crop.copy(), len(crop)
    top, bottom, left, right = (round(share * side) for share in (*rows, *columns))
    out[top:bottom, left:right] = GREY
    return out


SUITE = (
    *(Corruption("crop", f"{scale:g} times", partial(_mapped, scale=scale)) for scale in (0.75, 0.85, 1.2, 1.35)),
    *(Corruption("shifted", f"15 % {words}", partial(_mapped, shift=shift)) for words, shift in SHIFTS.items()),
    *(Corruption("turned", f"{turn:g} degrees", partial(_mapped, turn=turn)) for turn in (-30, -15, 15, 30)),
    *(Corruption("blur", f"{sigma:g} of 48 px", partial(_blurred, sigma=sigma)) for sigma in (1.0, 2.0)),
    *(Corruption("light", f"{gain:g} times", partial(_lit, gain=gain)) for gain in (0.5, 0.2, 1.6)),
    *(Corruption("noise", f"{sigma:g} of 255", partial(_noisy, sigma=sigma)) for sigma in (10.0, 25.0)),
    *(Corruption("JPEG", f"quality {quality}", partial(_stored, quality=quality)) for quality in (30, 10)),
    *(Corruption("small", f"{side} px", partial(_small, side=side)) for side in (24, 20, 16)),
    Corruption("covered", "dark glasses", partial(_covered, rows=EYES)),
    Corruption("covered", "mouth", partial(_covered, rows=MOUTH)),
    Corruption("covered", "one half", partial(_covered, columns=(0.5, 1.0))),
)
"""Crops too tight, too wide and off the middle; turned, blurred, dark, bright, noisy, stored badly, small, covered."""
