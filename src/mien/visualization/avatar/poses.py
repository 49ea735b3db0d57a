"""The pose parameters of the drawn face, one set per expression, and their blend."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mien.emotions import Emotion, emotion_named
from mien.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Pose:
    """The parameters of a drawn face, 0 to 1 unless stated otherwise; the defaults are a calm face.

    Attributes:
        skin: RGB of the face, 0 to 255.
        brow_raise: -1 low, 1 high.
        brow_tilt: -1 inner ends down (a V), 1 inner ends up (a roof).
        brow_arch: curvature of the brows.
        eye_open: size of the eyes; 1 is calm.
        lid: how far the upper lids are lowered.
        lid_tilt: -1 lids lower at the inner corners, 1 at the outer ones.
        squint: how far the cheeks close the eyes; 1 leaves an arc.
        pupil: size of the pupils; 1 is calm.
        gaze_x: -1 to the image's left, 1 to its right.
        gaze_y: -1 up, 1 down.
        mouth_curve: -1 corners down, 1 corners up.
        mouth_open: opening of the mouth.
        mouth_width: 1 is calm.
        mouth_wave: how wavy the lips are.
        teeth: share of the mouth filled by teeth.
        tongue: how far the tongue hangs out.
        asymmetry: one corner of the mouth and one brow raised.
        blush: red cheeks.
        chill: a blue forehead.
        nose_wrinkle: creases between the eyes.
        tear: size of the tear.
        sweat: size of the drop at the temple.
        steam: size of the puffs at both sides.
    """

    skin: tuple[float, float, float] = (255.0, 207.0, 92.0)
    brow_raise: float = 0.0
    brow_tilt: float = 0.0
    brow_arch: float = 0.35
    eye_open: float = 0.92
    lid: float = 0.0
    lid_tilt: float = 0.0
    squint: float = 0.0
    pupil: float = 1.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    mouth_curve: float = 0.06
    mouth_open: float = 0.0
    mouth_width: float = 0.72
    mouth_wave: float = 0.0
    teeth: float = 0.0
    tongue: float = 0.0
    asymmetry: float = 0.0
    blush: float = 0.12
    chill: float = 0.0
    nose_wrinkle: float = 0.0
    tear: float = 0.0
    sweat: float = 0.0
    steam: float = 0.0


POSES: Mapping[str, Pose] = MappingProxyType(
    {
        Emotion.ANGRY: Pose(
            skin=(248, 122, 84), brow_raise=-0.75, brow_tilt=-1.0, brow_arch=0.0, lid=0.3, lid_tilt=-0.8, squint=0.12,
            pupil=0.75, gaze_y=0.1, mouth_curve=-0.7, mouth_open=0.5, mouth_width=0.85, teeth=1.0, blush=0.35,
            steam=1.0,
        ),
        Emotion.DISGUST: Pose(
            skin=(182, 208, 92), brow_raise=-0.6, brow_tilt=-0.55, brow_arch=0.15, lid=0.28, lid_tilt=0.0, squint=0.5,
            pupil=0.8, gaze_x=-0.3, gaze_y=0.1, mouth_curve=-0.75, mouth_open=0.36, mouth_width=0.9, mouth_wave=0.25,
            tongue=1.0, nose_wrinkle=1.0, blush=0.0,
        ),
        Emotion.FEAR: Pose(
            skin=(240, 224, 204), brow_raise=0.75, brow_tilt=0.95, brow_arch=0.2, eye_open=1.22, lid=0.0, pupil=0.5,
            mouth_curve=-0.4, mouth_open=0.48, mouth_width=0.95, mouth_wave=0.7, teeth=1.0, blush=0.0,
            chill=1.0, sweat=1.0,
        ),
        Emotion.HAPPY: Pose(
            skin=(255, 208, 70), brow_raise=0.45, brow_arch=0.9, lid=0.0, squint=0.94, pupil=1.1,
            mouth_curve=0.95, mouth_open=0.62, mouth_width=1.04, teeth=0.3, blush=1.0,
        ),
        Emotion.SAD: Pose(
            skin=(158, 198, 240), brow_raise=0.15, brow_tilt=1.0, brow_arch=0.1, eye_open=1.0, lid=0.24, lid_tilt=0.7,
            pupil=1.2, gaze_y=0.3, mouth_curve=-0.85, mouth_width=0.66, blush=0.4, tear=1.0,
        ),
        Emotion.SURPRISE: Pose(
            skin=(255, 196, 104), brow_raise=1.0, brow_arch=1.0, eye_open=1.24, lid=0.0, pupil=0.85, gaze_y=-0.05,
            mouth_curve=0.0, mouth_open=1.05, mouth_width=0.5, blush=0.6,
        ),
        Emotion.NEUTRAL: Pose(),
        Emotion.CONTEMPT: Pose(
            skin=(248, 190, 128), brow_raise=-0.25, brow_tilt=-0.25, brow_arch=0.3, lid=0.4, lid_tilt=-0.05, pupil=0.95,
            gaze_x=0.75, mouth_curve=0.05, mouth_width=0.8, asymmetry=1.0, blush=0.1,
        ),
    }
)  # fmt: skip
"""The pose of each expression at full strength."""


def pose(labels: Sequence[str], probabilities: Sequence[float]) -> Pose:
    """The poses of all expressions, weighted by their probabilities.

    Args:
        labels: names in the order of ``probabilities``; a label that is no ``Emotion`` has the neutral pose.
        probabilities: not negative; normalised to a sum of 1.

    Raises:
        UsageError: the two differ in length, or the probabilities have no positive finite sum.
    """
    total = math.fsum(probabilities)
    if len(labels) != len(probabilities) or not 0 < total < math.inf:
        raise UsageError(
            f"expected a probability for each label, with a positive sum; received {len(labels)} labels "
            f"and {len(probabilities)} probabilities that sum to {total}"
        )
    parts = [
        (POSES[emotion_named(label) or Emotion.NEUTRAL], probability / total)
        for label, probability in zip(labels, probabilities, strict=True)
    ]
    names = [field.name for field in dataclasses.fields(Pose) if field.name != "skin"]
    blended = {name: math.fsum(getattr(part, name) * share for part, share in parts) for name in names}
    return Pose(skin=_blended_skin(parts), **blended)


def _blended_skin(parts: Sequence[tuple[Pose, float]]) -> tuple[float, float, float]:
    skin = [math.fsum(part.skin[channel] * share for part, share in parts) for channel in range(3)]
    # yellow and blue would mix to mud: go half the way to the lightness (HSV's value) that the parts have on average
    lift = math.sqrt(math.fsum(max(part.skin) * share for part, share in parts) / max(skin))
    red, green, blue = (channel * lift for channel in skin)
    return red, green, blue
