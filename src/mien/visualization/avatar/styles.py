"""Avatar kinds (the drawn face, emoji, or a folder with an image per expression), and the painter of the drawn face."""

from __future__ import annotations

import math
import sys
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from mien.emotions import EMOJI, FER2013, Emotion, emotion_named
from mien.errors import ImageError, UsageError
from mien.media.image import IMAGE_SUFFIXES, read
from mien.visualization.avatar import pose
from mien.visualization.avatar.outlines import shapes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Rgba = npt.NDArray[np.uint8]
    from mien.visualization.avatar.outlines import Colour
    from mien.visualization.avatar.poses import Pose
DRAWN, EMOJI_KIND = "drawn", "emoji"

NOTO_EMOJI_PX = 109
"""The only size of the bitmaps in Noto Color Emoji."""

EMOJI_FONTS = {
    "linux": ("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", "/usr/share/fonts/noto/NotoColorEmoji.ttf"),
    "darwin": ("/System/Library/Fonts/Apple Color Emoji.ttc",),
    "win32": ("C:/Windows/Fonts/seguiemj.ttf",),
}


class AvatarKind(Protocol):
    """Renders an image for the probabilities of a face."""

    def image(self, labels: Sequence[str], probabilities: Sequence[float], size: int) -> Rgba:
        """RGBA, uint8 (size, size, 4), transparent around the face.

        Args:
            labels: names of the expressions.
            probabilities: one per label.
            size: side in pixels.
        """


class DrawnAvatar:
    """The drawn face, whose pose blends all expressions by their probabilities."""

    def image(self, labels: Sequence[str], probabilities: Sequence[float], size: int) -> Rgba:
        """See ``AvatarKind``."""
        return avatar_image(pose(labels, probabilities), size)


class ImageAvatar:
    """One image per expression, of which the most probable one is shown.

    Args:
        images: RGBA, square, by the name of the expression.

    Raises:
        UsageError: there is none for "neutral", the fallback for labels without an image.
    """

    def __init__(self, images: Mapping[str, Rgba]) -> None:
        if Emotion.NEUTRAL not in images:
            raise UsageError(f"expected an image for {Emotion.NEUTRAL}; received {sorted(images)}")
        self._images = dict(images)
        self._sized = lru_cache(maxsize=64)(self._resized)

    def image(self, labels: Sequence[str], probabilities: Sequence[float], size: int) -> Rgba:
        """See ``AvatarKind``."""
        best = labels[max(range(len(labels)), key=probabilities.__getitem__)]
        emotion = emotion_named(best)
        return self._sized(emotion if emotion in self._images else Emotion.NEUTRAL, size)

    def _resized(self, name: str, size: int) -> Rgba:
        image = Image.fromarray(self._images[name])
        return np.array(image.resize((size, size), Image.Resampling.LANCZOS))


def find_avatar(name: str) -> AvatarKind:
    """The avatar kind with this name.

    Args:
        name: "drawn", "emoji", or a folder with an image per expression: happy.png, sad.png, ...

    Raises:
        UsageError: there is no such folder, an image is missing, or no colour emoji font is installed.
    """
    if name == DRAWN:
        return DrawnAvatar()
    if name == EMOJI_KIND:
        return ImageAvatar({str(emotion): _emoji(char) for emotion, char in EMOJI.items()})
    folder = Path(name)
    if not folder.is_dir():
        raise UsageError(f"expected {DRAWN}, {EMOJI_KIND}, or a folder of images as an avatar; received {name!r}")
    return ImageAvatar(_images_in(folder))


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
    """An image with its transparency, centred in a transparent square."""
    try:
        frame = read(path)  # rejects files that are no image or too large
        with Image.open(path) as opened:
            image = opened.convert("RGBA") if "A" in opened.getbands() or "transparency" in opened.info else None
    except (ImageError, OSError) as error:
        raise UsageError(f"expected an image for an avatar at {path}; it cannot be read ({error})") from error
    image = image or Image.fromarray(frame).convert("RGBA")
    return _in_square(image)


def _emoji(char: str) -> Rgba:
    """A character as an image, in the colour emoji font of the system."""
    known = EMOJI_FONTS.get(sys.platform, ())
    path = next((path for path in known if Path(path).is_file()), None)
    if path is None:
        raise UsageError(
            f"expected a colour emoji font for --avatar emoji; found none of {', '.join(known) or 'any'}. On "
            "Debian and Ubuntu: sudo apt install fonts-noto-color-emoji; or use --avatar drawn"
        )
    font = ImageFont.truetype(path, NOTO_EMOJI_PX)
    canvas = Image.new("RGBA", (2 * NOTO_EMOJI_PX, 2 * NOTO_EMOJI_PX))
    ImageDraw.Draw(canvas).text((NOTO_EMOJI_PX, NOTO_EMOJI_PX), char, font=font, embedded_color=True, anchor="mm")
    return _in_square(canvas.crop(canvas.getbbox()))


def _in_square(image: Image.Image) -> Rgba:
    """An image centred in a transparent square."""
    side = max(image.size)
    square = Image.new("RGBA", (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.array(square)


OVERSAMPLE = 4
"""Supersampling factor: Pillow draws whole pixels only."""


def avatar_image(pose: Pose, size: int) -> npt.NDArray[np.uint8]:
    """The drawn face as RGBA: uint8 (size, size, 4), transparent around the head.

    Args:
        pose: from ``mien.visualization.avatar.pose``.
        size: side in pixels.

    Raises:
        UsageError: the size is not positive.

    Example:
        >>> from mien.visualization.avatar import pose
        >>> avatar_image(pose(("happy", "sad"), (0.9, 0.1)), 64).shape
        (64, 64, 4)
    """
    if size < 1:
        raise UsageError(f"expected an avatar of at least 1 pixel; received a size of {size}")
    side = size * OVERSAMPLE
    # four plain channels, since Pillow would convert to straight alpha and back; all that is drawn is opaque
    canvas = Image.new("RGBX", (side, side))
    draw = ImageDraw.Draw(canvas)
    for shape in shapes(pose):
        points = [(x * side - 0.5, y * side - 0.5) for x, y in shape.points]
        if shape.fill is not None:
            draw.polygon([(round(x), round(y)) for x, y in points], (*shape.fill, 255))
        if shape.stroke is not None:
            closed = points[:1] if shape.fill is not None else []
            _draw_line(draw, [*points, *closed], max(shape.width * side, 1.0), shape.stroke)
    # where the edge was averaged with transparent black, colours are premultiplied
    return np.array(Image.frombytes("RGBa", (size, size), canvas.reduce(OVERSAMPLE).tobytes()).convert("RGBA"))


def _draw_line(draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], width: float, colour: Colour) -> None:
    """Draw a line with round joins and caps; Pillow's own become thin where its points are close."""
    ink, half = (*colour, 255), width / 2
    for x, y in points:
        draw.ellipse((round(x - half), round(y - half), round(x + half), round(y + half)), ink)
    for (x, y), (next_x, next_y) in pairwise(points):
        length = math.hypot(next_x - x, next_y - y)
        if length > 0:
            right, down = half * (next_y - y) / length, half * (x - next_x) / length
            one_side = (x + right, y + down), (next_x + right, next_y + down)
            other_side = (next_x - right, next_y - down), (x - right, y - down)
            draw.polygon([(round(at_x), round(at_y)) for at_x, at_y in (*one_side, *other_side)], ink)
