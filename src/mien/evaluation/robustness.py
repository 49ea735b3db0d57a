"""How a classifier stands what cameras and detectors do to faces: the same chips, changed in one way at a time.

A chip holds the face and little else. Where a change needs what lies around it, its edge is drawn out, so what moves in
from outside carries no news.
"""

from __future__ import annotations

import dataclasses
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mien.evaluation.inference import judge_chips

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.classification.classifier import Classifier
    from mien.data.dataset import Dataset
    from mien.evaluation.metrics import Metrics
    from mien.structures import Chips, Frame

    Chip = Frame

EYES, MOUTH = (0.28, 0.50), (0.62, 1.0)
"""From which to which share of a chip's height the eyes and the mouth lie, as FER2013 is framed."""

GREY = 40
SHIFTS = {"right": (0.15, 0.0), "left": (-0.15, 0.0), "up": (0.0, -0.15), "down": (0.0, 0.15)}


@dataclass(frozen=True)
class Hardship:
    """One change of a chip.

    Attributes:
        kind: of change, "crop" or "noise".
        step: how far.
        change: of a uint8 (side, side, channels) chip; the same chip is changed in the same way.
    """

    kind: str
    step: str
    change: Callable[[Chip], Chip]


@dataclass(frozen=True)
class Stood:
    """What is left under one hardship."""

    kind: str
    step: str
    metrics: Metrics


def stand(
    classifier: Classifier, data: Dataset, labels: str = "", tell: Callable[[float], None] = lambda _: None
) -> tuple[Stood, ...]:
    """The scores on the chips as they are, then under each hardship of ``SUITE``.

    Args:
        classifier: the model.
        data: one split.
        labels: the label set judged, as ``judge_chips`` takes it.
        tell: called with the share that is done.

    Raises:
        ModelError: the model has no such label set.
        UsageError: the data does not know the truth under it.
    """
    stood = [Stood("none", "as they are", judge_chips(classifier, data, labels).report.metrics)]
    for number, hardship in enumerate(SUITE, start=1):
        changed = dataclasses.replace(data, chips=changed_by(hardship, data.chips))
        stood.append(Stood(hardship.kind, hardship.step, judge_chips(classifier, changed, labels).report.metrics))
        tell(number / len(SUITE))
    return tuple(stood)


def changed_by(hardship: Hardship, chips: Chips) -> Chips:
    """The chips under a hardship."""
    changed = [hardship.change(chip).reshape(chip.shape) for chip in chips]
    return np.stack(changed) if changed else chips


def _mapped(
    chip: Chip,
    *,
    scale: float = 1.0,
    turn: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Chip:
    side = len(chip)
    matrix = cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), turn, 1 / scale)
    matrix[:, 2] += np.array(shift) * side
    out: Any = cv2.warpAffine(
        _smooth(chip, scale), matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(out, np.uint8)


def _smooth(chip: Chip, scale: float) -> Chip:
    return chip if scale <= 1 else np.asarray(cv2.GaussianBlur(chip, (0, 0), 0.4 * scale), np.uint8)


def _blurred(chip: Chip, *, sigma: float) -> Chip:
    return np.asarray(cv2.GaussianBlur(chip, (0, 0), sigma * len(chip) / 48), np.uint8)


def _lit(chip: Chip, *, gain: float) -> Chip:
    return np.asarray(np.clip(np.rint(chip * gain), 0, 255), np.uint8)


def _noisy(chip: Chip, *, sigma: float) -> Chip:
    noise = np.random.default_rng(zlib.crc32(chip.tobytes())).normal(0, sigma, chip.shape)
    return np.asarray(np.clip(np.rint(chip + noise), 0, 255), np.uint8)


def _stored(chip: Chip, *, quality: int) -> Chip:
    _, content = cv2.imencode(".jpg", chip, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED), np.uint8)


def _small(chip: Chip, *, side: int) -> Chip:
    small = cv2.resize(chip, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, chip.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _covered(
    chip: Chip,
    *,
    rows: tuple[float, float] = (0.0, 1.0),
    columns: tuple[float, float] = (0.0, 1.0),
) -> Chip:
    out, side = chip.copy(), len(chip)
    top, bottom, left, right = (round(share * side) for share in (*rows, *columns))
    out[top:bottom, left:right] = GREY
    return out


SUITE = (
    *(Hardship("crop", f"{scale:g} times", partial(_mapped, scale=scale)) for scale in (0.75, 0.85, 1.2, 1.35)),
    *(Hardship("shifted", f"15 % {words}", partial(_mapped, shift=shift)) for words, shift in SHIFTS.items()),
    *(Hardship("turned", f"{turn:g} degrees", partial(_mapped, turn=turn)) for turn in (-30, -15, 15, 30)),
    *(Hardship("blur", f"{sigma:g} of 48 px", partial(_blurred, sigma=sigma)) for sigma in (1.0, 2.0)),
    *(Hardship("light", f"{gain:g} times", partial(_lit, gain=gain)) for gain in (0.5, 0.2, 1.6)),
    *(Hardship("noise", f"{sigma:g} of 255", partial(_noisy, sigma=sigma)) for sigma in (10.0, 25.0)),
    *(Hardship("JPEG", f"quality {quality}", partial(_stored, quality=quality)) for quality in (30, 10)),
    *(Hardship("small", f"{side} px", partial(_small, side=side)) for side in (24, 20, 16)),
    Hardship("covered", "dark glasses", partial(_covered, rows=EYES)),
    Hardship("covered", "mouth", partial(_covered, rows=MOUTH)),
    Hardship("covered", "one half", partial(_covered, columns=(0.5, 1.0))),
)
"""Crops too tight, too wide and off the middle; turned, blurred, dark, bright, noisy, stored badly, small, covered."""
