"""What stands for a face: the drawn avatar, emoji, or seven images of your own; and it over the face itself."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from mien.emotions import EMOJI, FER2013, Emotion, emotion_named
from mien.errors import ImageError, UsageError
from mien.media.image import IMAGE_SUFFIXES, read
from mien.visualization.avatar import pose
from mien.visualization.avatar.painter import avatar_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mien.structures import Frame, Prediction

    Rgba = npt.NDArray[np.uint8]

DRAWN, EMOJI_KIND = "drawn", "emoji"

COVERING = 1.6
"""Side of what covers a face over the longer side of its box: chin, brow and most of the hair."""

KEPT = 1.0
"""Seconds that a face which was lost stays covered where it was last."""

PAINTED = 512
"""Pixels of the side beyond which an avatar is enlarged, not painted larger."""

EMOJI_PIXELS = 109
"""The one size in which Noto's colour emoji are kept."""

EMOJI_FONTS = {
    "linux": ("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", "/usr/share/fonts/noto/NotoColorEmoji.ttf"),
    "darwin": ("/System/Library/Fonts/Apple Color Emoji.ttc",),
    "win32": ("C:/Windows/Fonts/seguiemj.ttf",),
}


class AvatarKind(Protocol):
    """Makes an image of an expression."""

    def image(self, labels: Sequence[str], probabilities: Sequence[float], size: int) -> Rgba:
        """RGBA, uint8 (size, size, 4), transparent around the face.

        Args:
            labels: names of the expressions.
            probabilities: of each.
            size: side in pixels.
        """


class DrawnAvatar:
    """The drawn face, whose pose blends all expressions by their probabilities."""

    def image(self, labels: Sequence[str], probabilities: Sequence[float], size: int) -> Rgba:
        """As ``AvatarKind`` asks."""
        return avatar_image(pose(labels, probabilities), size)


class ImageAvatar:
    """One image for each expression; the most probable one is shown.

    Args:
        images: by the name of an expression, RGBA, square.

    Raises:
        UsageError: there is none for a neutral face, which stands for what has no image.
    """

    def __init__(self, images: Mapping[str, Rgba]) -> None:
        if Emotion.NEUTRAL not in images:
            raise UsageError(f"expected an image for {Emotion.NEUTRAL}; received {sorted(images)}")
        self._images = dict(images)
        self._sized = lru_cache(maxsize=64)(self._resized)

    def image(self, labels: Sequence[str], probabilities: Sequence[float], size: int) -> Rgba:
        """As ``AvatarKind`` asks."""
        best = labels[max(range(len(labels)), key=probabilities.__getitem__)]
        emotion = emotion_named(best)
        return self._sized(emotion if emotion in self._images else Emotion.NEUTRAL, size)

    def _resized(self, name: str, size: int) -> Rgba:
        image = Image.fromarray(self._images[name])
        return np.array(image.resize((size, size), Image.Resampling.LANCZOS))


def find_avatar(words: str) -> AvatarKind:
    """The kind that an option names.

    Args:
        words: "drawn", "emoji", or a folder with an image an expression: happy.png, sad.png, ...

    Raises:
        UsageError: there is no such folder, an image is missing, or no colour emoji font is installed.
    """
    if words == DRAWN:
        return DrawnAvatar()
    if words == EMOJI_KIND:
        return ImageAvatar({str(emotion): _emoji(sign) for emotion, sign in EMOJI.items()})
    folder = Path(words)
    if not folder.is_dir():
        raise UsageError(f"expected {DRAWN}, {EMOJI_KIND}, or a folder of images as an avatar; received {words!r}")
    return ImageAvatar(_images_in(folder))


def cover_faces(frame: Frame, predictions: Iterable[Prediction], kind: AvatarKind) -> Frame:
    """The frame with an avatar over each face, leaning as the head does.

    Args:
        frame: uint8 (height, width, 3), RGB; left as it is.
        predictions: of its faces.
        kind: what the avatar looks like.
    """
    covered = frame.copy()
    for one in sorted(predictions, key=lambda prediction: prediction.face.box.area):
        box = one.face.box
        side = max(COVERING * box.side, 1.0)
        painted = kind.image(one.labels, one.probabilities, min(round(side), PAINTED))
        _lay(covered, painted, box.centre, side, one.face.landmarks.roll if one.face.landmarks else 0.0)
    return covered


class Cover:
    """Covers the faces of a video: those just lost too, where they were, so that the mask does not blink.

    Args:
        kind: what the avatars look like.
    """

    def __init__(self, kind: AvatarKind) -> None:
        self._kind = kind
        self._seen: dict[int, tuple[float, Prediction]] = {}

    def covered(self, frame: Frame, predictions: Sequence[Prediction], seconds: float | None) -> Frame:
        """The frame with its faces covered.

        Args:
            frame: uint8 (height, width, 3), RGB; left as it is.
            predictions: of its faces.
            seconds: the frame's time; None for a photo.
        """
        if seconds is None:
            return cover_faces(frame, predictions, self._kind)
        self._seen = {track: seen for track, seen in self._seen.items() if 0 <= seconds - seen[0] <= KEPT}
        self._seen |= {one.track: (seconds, one) for one in predictions if one.track is not None}
        untracked = [one for one in predictions if one.track is None]
        return cover_faces(frame, [*untracked, *(one for _, one in self._seen.values())], self._kind)


def _lay(frame: Frame, painted: Rgba, centre: tuple[float, float], side: float, roll: float) -> None:
    """Lays an image on a frame, its middle at a place, as large as wanted, turned clockwise by some degrees."""
    half, reach = painted.shape[0] / 2, 0.75 * side
    left, top = (max(int(at - reach), 0) for at in centre)
    right, bottom = (min(int(at + reach) + 1, most) for at, most in zip(centre, frame.shape[1::-1], strict=True))
    if right <= left or bottom <= top:
        return
    matrix = cv2.getRotationMatrix2D((half, half), -roll, side / painted.shape[0])
    matrix[:, 2] += (centre[0] - left - half, centre[1] - top - half)
    opaque: Any = painted.astype(np.float32) * (painted[..., 3:] / np.float32(255))
    opaque[..., 3] = painted[..., 3]
    laid = cv2.warpAffine(opaque, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    part = frame[top:bottom, left:right]
    part[:] = np.rint(laid[..., :3] + part * (1 - laid[..., 3:] / 255)).clip(0, 255).astype(np.uint8)


def _images_in(folder: Path) -> dict[str, Rgba]:
    found: dict[str, Rgba] = {}
    for path in sorted(folder.iterdir()):
        emotion = emotion_named(path.stem)
        if emotion is not None and path.suffix.lower() in IMAGE_SUFFIXES:
            found[str(emotion)] = _square(path)
    missing = [str(emotion) for emotion in FER2013 if emotion not in found]
    if missing:
        raise UsageError(
            f"expected an image for each expression in {folder}, named happy.png and so on; "
            f"there is none for {', '.join(missing)}"
        )
    return found


def _square(path: Path) -> Rgba:
    """An image with its transparency, in the middle of a transparent square."""
    try:
        frame = read(path)  # refuses what is no image, or too large a one
        with Image.open(path) as opened:
            image = opened.convert("RGBA") if "A" in opened.getbands() or "transparency" in opened.info else None
    except (ImageError, OSError) as error:
        raise UsageError(f"expected an image for an avatar at {path}; it can't be read ({error})") from error
    image = image or Image.fromarray(frame).convert("RGBA")
    return _in_square(image)


def _emoji(sign: str) -> Rgba:
    """A character as an image, by the system's font of colour emoji."""
    known = EMOJI_FONTS.get(sys.platform, ())
    path = next((path for path in known if Path(path).is_file()), None)
    if path is None:
        raise UsageError(
            f"expected a font of colour emoji for --avatar emoji; there is none of {', '.join(known) or 'any'}. On "
            "Debian and Ubuntu: sudo apt install fonts-noto-color-emoji; or use --avatar drawn"
        )
    font = ImageFont.truetype(path, EMOJI_PIXELS)
    canvas = Image.new("RGBA", (2 * EMOJI_PIXELS, 2 * EMOJI_PIXELS))
    ImageDraw.Draw(canvas).text((EMOJI_PIXELS, EMOJI_PIXELS), sign, font=font, embedded_color=True, anchor="mm")
    return _in_square(canvas.crop(canvas.getbbox()))


def _in_square(image: Image.Image) -> Rgba:
    """An image in the middle of a transparent square."""
    side = max(image.size)
    square = Image.new("RGBA", (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.array(square)
