"""Anonymizes faces: an avatar with the same expression covers each face of an image or a video."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from mien.structures import Frame, Prediction
    from mien.visualization.avatar.styles import AvatarKind

COVER_RATIO = 1.6
"""Side of the avatar over the longer side of the face box: it hides chin, brow and most of the hair."""

HOLD_SECONDS = 1.0
"""Seconds for which a lost face stays covered at its last position."""

MAX_AVATAR_PX = 512
"""Largest side at which an avatar is painted; beyond, it is scaled up."""


def anonymize_faces(frame: Frame, predictions: Iterable[Prediction], kind: AvatarKind) -> Frame:
    """A copy of the frame with an avatar over each face, rotated like the head.

    Args:
        frame: uint8 (height, width, 3), RGB; not modified.
        predictions: of its faces.
        kind: the avatar, from ``mien.visualization.avatar.styles.find_avatar``.

    Example:
        >>> from mien.structures import Box, Face, Prediction
        >>> from mien.visualization.avatar.styles import DrawnAvatar
        >>> happy = Prediction(Face(Box(30, 30, 70, 80)), ("happy", "sad"), (0.9, 0.1))
        >>> frame = np.zeros((120, 100, 3), np.uint8)
        >>> bool(anonymize_faces(frame, [happy], DrawnAvatar())[55, 50].any())
        True
    """
    anonymized = frame.copy()
    for prediction in sorted(predictions, key=lambda prediction: prediction.face.box.area):
        box, landmarks = prediction.face.box, prediction.face.landmarks
        side = max(COVER_RATIO * box.side, 1.0)
        avatar = kind.image(prediction.labels, prediction.probabilities, min(round(side), MAX_AVATAR_PX))
        _overlay(anonymized, avatar, box.centre, side, landmarks.roll if landmarks else 0.0)
    return anonymized


class Anonymizer:
    """Anonymizes the frames of one video; a face that was lost stays covered for a second, so the cover does not blink.

    Args:
        kind: the avatar.
    """

    def __init__(self, kind: AvatarKind) -> None:
        self._kind = kind
        self._last_seen: dict[int, tuple[float, Prediction]] = {}

    def anonymize(self, frame: Frame, predictions: Sequence[Prediction], seconds: float | None) -> Frame:
        """A copy of the next frame with its faces covered.

        Args:
            frame: uint8 (height, width, 3), RGB; not modified.
            predictions: of its faces.
            seconds: time of the frame; None for a photo.
        """
        if seconds is None:
            return anonymize_faces(frame, predictions, self._kind)
        self._last_seen = {
            track: (at, prediction)
            for track, (at, prediction) in self._last_seen.items()
            if 0 <= seconds - at <= HOLD_SECONDS
        }
        self._last_seen |= {shown.track: (seconds, shown) for shown in predictions if shown.track is not None}
        untracked = [shown for shown in predictions if shown.track is None]
        return anonymize_faces(frame, [*untracked, *(shown for _, shown in self._last_seen.values())], self._kind)


def _overlay(
    frame: Frame, avatar: npt.NDArray[np.uint8], centre: tuple[float, float], side: float, roll: float
) -> None:
    """Blend an RGBA image into the frame, centred, scaled to a side in pixels and rotated clockwise by degrees."""
    half, reach = avatar.shape[0] / 2, 0.75 * side
    left, top = (max(int(at - reach), 0) for at in centre)
    right, bottom = (min(int(at + reach) + 1, size) for at, size in zip(centre, frame.shape[1::-1], strict=True))
    if right <= left or bottom <= top:
        return
    scale, angle = avatar.shape[0] / side, math.radians(roll)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    x, y = centre[0] - left, centre[1] - top
    # a transparent pixel around it, so that its own edge is smooth as well
    padded = Image.fromarray(np.pad(avatar, ((1, 1), (1, 1), (0, 0)))).convert("RGBa")
    to_avatar = (cosine, sine, half + 1 - cosine * x - sine * y, -sine, cosine, half + 1 + sine * x - cosine * y)
    size = (right - left, bottom - top)
    cover = padded.transform(size, Image.Transform.AFFINE, to_avatar, Image.Resampling.BILINEAR).convert("RGBA")
    part = Image.fromarray(frame[top:bottom, left:right])
    part.paste(cover, mask=cover)
    frame[top:bottom, left:right] = np.asarray(part)
