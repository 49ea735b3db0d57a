"""Annotates a frame with predictions: box, label, avatar and bar chart for each face.

Sizes scale with the face and the frame. Labels are placed greedily, largest face first, where they cover no other
label and as little of other faces as possible; a chart is drawn only where there is free space for it.
"""

from __future__ import annotations

import colorsys
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.emotions import COLOURS, emotion_named
from mien.structures import Box, check_frame
from mien.visualization.avatar import INK, WHITE, pose
from mien.visualization.avatar.styles import avatar_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mien.structures import Frame, Prediction
    from mien.visualization.avatar import Colour, Pose

__all__ = ["UNSURE_COLOUR", "caption", "colour_of", "draw", "text_colour_on"]

UNSURE_COLOUR: Colour = (116, 122, 130)
PANEL_COLOUR: Colour = (24, 27, 34)
MAX_NAME_LENGTH = 22
OVERSAMPLE = 4
"""Supersampling factor of rounded corners: Pillow does not antialias them."""

MIN_TEXT_PX = 10.0
"""Smallest legible height of text."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """The annotation of one face.

    Attributes:
        prediction: of the face.
        box: of the face, clipped to the surroundings of the frame.
        text: height of the text in pixels, the unit of all other sizes.
        avatar: whether the avatar is drawn next to the label.
    """

    prediction: Prediction
    box: Box
    text: float
    avatar: bool

    @property
    def colour(self) -> Colour:
        return UNSURE_COLOUR if self.prediction.unsure else colour_of(self.prediction.emotion)

    @property
    def label_size(self) -> tuple[float, float]:
        text = _font(self.text).getlength(caption(self.prediction))
        return (text + 3.9 * self.text, 3.0 * self.text) if self.avatar else (text + 1.2 * self.text, 1.8 * self.text)

    @property
    def small(self) -> float:
        """Height of the text in the chart."""
        return 0.85 * self.text

    @property
    def chart_size(self) -> tuple[float, float]:
        labels = self.prediction.labels
        names = max(_font(self.small).getlength(_readable(label)) for label in labels)
        return names + 4.8 * self.small, (1.35 * len(labels) + 0.7) * self.small


def draw(frame: Frame, predictions: Iterable[Prediction], *, avatars: bool = True, charts: bool = True) -> Frame:
    """A copy of the frame with a box and a label for each prediction; unsure ones are grey, with a question mark.

    Args:
        frame: uint8 (height, width, 3), RGB; not modified.
        predictions: of the faces, boxes in pixels of the frame; faces outside the frame are skipped.
        avatars: whether to draw an avatar next to each label.
        charts: whether to draw all probabilities as bars, where there is space.

    Returns:
        A new uint8 frame of the same shape.

    Raises:
        ImageError: the frame is no RGB image.

    Example:
        >>> from mien.structures import Box, Face, Prediction
        >>> happy = Prediction(Face(Box(20, 30, 60, 80)), ("happy", "sad"), (0.9, 0.1))
        >>> draw(np.zeros((120, 160, 3), np.uint8), [happy]).shape
        (120, 160, 3)
    """
    canvas = Image.fromarray(check_frame(frame))
    marks = [mark for prediction in predictions if (mark := _mark(prediction, canvas.size, avatar=avatars)) is not None]
    marks.sort(key=lambda mark: -mark.box.area)
    for mark in marks:
        _draw_outline(canvas, mark)
    taken: list[Box] = []
    for mark in marks:
        others = [other.box for other in marks if other is not mark]
        place = _label_place(mark, canvas.size, taken, others)
        if mark.avatar and _covered(place, taken, others) > 0:
            mark = replace(mark, avatar=False)  # noqa: PLW2901  # in a crowd, labels matter more than avatars
            place = _label_place(mark, canvas.size, taken, others)
        _draw_label(canvas, mark, place)
        taken.append(place)
    if charts:
        _draw_charts(canvas, marks, taken)
    return np.array(canvas)


def caption(prediction: Prediction) -> str:
    """The label text: expression, a question mark if unsure, probability."""
    question_mark = "?" if prediction.unsure else ""
    return f"{_readable(prediction.emotion)}{question_mark} {100 * prediction.probability:.0f} %"


def text_colour_on(colour: Colour) -> Colour:
    """The RGB of text that is legible on a background colour."""
    return INK if _lightness(colour) > 0.6 else WHITE


def colour_of(label: str) -> Colour:
    """The RGB of an expression; a label of the user's own always gets the same colour."""
    known = emotion_named(label)
    if known is not None:
        return COLOURS[known]
    hue = zlib.crc32(label.encode("utf-8", "backslashreplace")) % 360
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue / 360, 0.48, 0.5))
    return red, green, blue


def _mark(prediction: Prediction, size: tuple[int, int], *, avatar: bool) -> _Mark | None:
    width, height = size
    box = prediction.face.box
    if box.intersection(Box(0, 0, width, height)) <= 0:
        return None
    # clip edges far outside, so that nothing much larger than the frame is drawn
    reach = 0.1 * max(size) + 16
    near = Box(
        max(box.left, -reach), max(box.top, -reach), min(box.right, width + reach), min(box.bottom, height + reach)
    )
    smallest, largest = max(MIN_TEXT_PX, 0.013 * min(size)), max(MIN_TEXT_PX, 0.045 * min(size))
    return _Mark(prediction, near, min(max(0.11 * box.height, smallest), largest), avatar)


def _label_place(mark: _Mark, size: tuple[int, int], taken: Sequence[Box], others: Sequence[Box]) -> Box:
    """The position near the box, inside the frame, where the label covers least."""
    wide, high = mark.label_size
    box, gap = mark.box, 0.25 * mark.text
    spots = [
        _rectangle(x, y, wide, high, size)
        for y in (box.top - high - gap, box.bottom + gap, box.top + gap, box.bottom - high - gap)
        for x in (box.left, box.right - wide, box.centre[0] - wide / 2)
    ]
    # the first of equals: above the box, from its left edge
    return min(spots, key=lambda spot: _covered(spot, taken, others) + 1.5 * spot.intersection(box))


def _covered(spot: Box, labels: Sequence[Box], faces: Sequence[Box]) -> float:
    """The area that a label would cover, in square pixels; other labels count four times."""
    return 4 * sum(spot.intersection(label) for label in labels) + sum(spot.intersection(face) for face in faces)


def _chart_place(mark: _Mark, size: tuple[int, int], taken: Sequence[Box]) -> Box | None:
    """Free space next to, below or above the box; None if there is none."""
    wide, high = mark.chart_size
    box, gap = mark.box, 0.4 * mark.text
    frame = Box(0, 0, *size)
    for x, y in (
        (box.right + gap, box.top),
        (box.left - wide - gap, box.top),
        (box.right + gap, box.bottom - high),
        (box.left - wide - gap, box.bottom - high),
        (box.left, box.bottom + gap),
        (box.left, box.top - high - gap),
    ):
        spot = _rectangle(x, y, wide, high, size)
        if not any(spot.intersection(other) > 0 for other in taken) and spot.intersection(frame) >= 0.999 * spot.area:
            return spot
    return None


def _rectangle(left: float, top: float, wide: float, high: float, size: tuple[int, int]) -> Box:
    """A rectangle moved into the frame, if it fits."""
    left, top = max(min(left, size[0] - wide), 0.0), max(min(top, size[1] - high), 0.0)
    return Box(left, top, left + wide, top + high)


def _draw_outline(canvas: Image.Image, mark: _Mark) -> None:
    line = max(mark.text * 0.16, 1.5)
    radius = 0.1 * min(mark.box.width, mark.box.height)
    _paste_rounded(canvas, mark.box, (mark.colour, 1.0), radius, line)


def _draw_label(canvas: Image.Image, mark: _Mark, place: Box) -> None:
    start = place.left
    plate = place
    if mark.avatar:
        side = place.height
        plate = Box(place.left + side / 2, place.top + 0.2 * side, place.right, place.bottom - 0.2 * side)
        start = place.left + side - 0.3 * mark.text
    _paste_rounded(canvas, plate, (mark.colour, 1.0), plate.height / 2 if mark.avatar else 0.35 * mark.text)
    x, y = start + 0.6 * mark.text, (plate.top + plate.bottom) / 2
    ImageDraw.Draw(canvas).text(
        (x, y), caption(mark.prediction), fill=text_colour_on(mark.colour), font=_font(mark.text), anchor="lm"
    )
    if mark.avatar:
        drawn = pose(mark.prediction.labels, mark.prediction.probabilities)
        _paste_avatar(canvas, drawn, (round(place.left), round(place.top)), max(round(place.height), 1))


def _draw_charts(canvas: Image.Image, marks: Sequence[_Mark], labels: Sequence[Box]) -> None:
    taken = [*labels, *(mark.box for mark in marks)]
    for mark in marks:
        if mark.box.height < 3 * mark.text:  # a chart would dwarf the face
            continue
        for text in (mark.text, max(0.7 * mark.text, MIN_TEXT_PX)):
            sized = replace(mark, text=text)
            place = _chart_place(sized, canvas.size, taken)
            if place is not None:
                _draw_chart(canvas, sized, place)
                taken.append(place)
                break


def _draw_chart(canvas: Image.Image, mark: _Mark, place: Box) -> None:
    small = mark.small
    _paste_rounded(canvas, place, (PANEL_COLOUR, 0.72), 0.5 * small)
    pen, font = ImageDraw.Draw(canvas), _font(small)
    left, right = place.right - 3.9 * small, place.right - 0.6 * small
    rows = zip(mark.prediction.labels, mark.prediction.probabilities, strict=True)
    for row, (label, probability) in enumerate(rows):
        y = place.top + (1.35 * row + 1.025) * small
        named = WHITE if label == mark.prediction.emotion else (176, 182, 192)
        pen.text((left - 0.5 * small, y), _readable(label), fill=named, font=font, anchor="rm")
        _paste_rounded(canvas, Box(left, y - 0.3 * small, right, y + 0.3 * small), (WHITE, 0.16), 0.3 * small)
        end = left + (right - left) * min(max(probability, 0.0), 1.0)
        if end - left >= 1:
            bar = Box(left, y - 0.3 * small, end, y + 0.3 * small)
            _paste_rounded(canvas, bar, (colour_of(label), 1.0), 0.3 * small)


def _paste_rounded(
    canvas: Image.Image, box: Box, paint: tuple[Colour, float], radius: float, line: float | None = None
) -> None:
    """A rounded rectangle, filled, or outlined if ``line`` gives a width; ``paint`` is colour and opacity."""
    colour, opacity = paint
    left, top = int(box.left // 1), int(box.top // 1)
    wide, high = int(box.right - left) + 1, int(box.bottom - top) + 1
    # large boxes show no jagged corners, and supersampling them would take seconds
    times = OVERSAMPLE if wide * high < 500_000 else 1
    mask = Image.new("L", (wide * times, high * times), 0)
    near, high_up = (box.left - left) * times, (box.top - top) * times
    corners = (near, high_up, near + max(box.width * times - 1, 0), high_up + max(box.height * times - 1, 0))
    radius = min(radius, box.width / 2, box.height / 2) * times
    shade = round(255 * opacity)
    pen = ImageDraw.Draw(mask)
    if line is None:
        pen.rounded_rectangle(corners, radius, fill=shade)
    else:
        pen.rounded_rectangle(corners, radius, outline=shade, width=max(round(line * times), 1))
    canvas.paste(colour, (left, top), mask.resize((wide, high), Image.Resampling.BOX))


def _paste_avatar(canvas: Image.Image, pose: Pose, corner: tuple[int, int], side: int) -> None:
    drawn = Image.fromarray(avatar_image(pose, side))
    canvas.paste(drawn, corner, drawn)


@lru_cache(maxsize=64)
def _font(size: float) -> ImageFont.FreeTypeFont:
    return cast("ImageFont.FreeTypeFont", ImageFont.load_default(size))


def _readable(label: str) -> str:
    """One line of printable text of limited length."""
    clean = "".join(char if char.isprintable() else "?" for char in label)
    return clean if len(clean) <= MAX_NAME_LENGTH else clean[: MAX_NAME_LENGTH - 1] + "…"


def _lightness(colour: Colour) -> float:
    """Perceived lightness (luma), 0 to 1, with the weights of ITU-R BT.601."""
    red, green, blue = colour
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255
