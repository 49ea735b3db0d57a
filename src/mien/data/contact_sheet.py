"""Contact sheets: many face crops in one image, to look a data set in the eye."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.errors import UsageError
from mien.media.image import write as write_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from mien.data.dataset import Dataset
    from mien.structures import Crops, Frame

WIDTH = 1600
"""Pixels across that a sheet comes near."""

SMALLEST = 64
"""Side in pixels under which a face crop is enlarged, by a whole number."""

LARGEST = 160
"""Side in pixels over which a face crop is made smaller."""

GAP = 4
PAPER = (255, 255, 255)
INK = (28, 34, 48)
MOST = 200
"""Images on the sheet of one label."""


def sheet(crops: Crops, columns: int | None = None) -> Frame:
    """The face crops in rows, in their order: uint8 (height, width, 3), RGB, on white.

    Args:
        crops: uint8 (count, size, size, 1 or 3), at least one.
        columns: face crops a row; None: as many as make a sheet of about 1,600 pixels.

    Raises:
        UsageError: there are no face crops.
    """
    if not len(crops):
        raise UsageError("expected at least one image on a contact sheet; received none")
    tiles = [tile(crop) for crop in crops]
    step = tiles[0].shape[0] + GAP
    columns = min(len(tiles), columns or max(1, (WIDTH - GAP) // step))
    paper = np.full((-(-len(tiles) // columns) * step + GAP, columns * step + GAP, 3), PAPER, np.uint8)
    for number, image in enumerate(tiles):
        top, left = (number // columns) * step + GAP, (number % columns) * step + GAP
        paper[top : top + step - GAP, left : left + step - GAP] = image
    return paper


def captioned(crops: Crops, words: Sequence[str], columns: int | None = None) -> Frame:
    """As ``sheet``, with words under each face crop.

    Args:
        crops: uint8 (count, size, size, 1 or 3), at least one.
        words: a line for each, short enough for the width of a face crop.
        columns: face crops a row; None: as many as make a sheet of about 1,600 pixels.

    Raises:
        UsageError: there are no face crops, or not one line for each.
    """
    if len(words) != len(crops) or not len(crops):
        raise UsageError(f"expected face crops and a line of words for each; received {len(crops)} and {len(words)}")
    tiles = [tile(crop) for crop in crops]
    side, size = len(tiles[0]), max(11, len(tiles[0]) // 7)
    high, wide = side + size + 3 * GAP, side + 2 * GAP
    columns = min(len(tiles), columns or max(1, (WIDTH - GAP) // wide))
    paper = Image.new("RGB", (columns * wide + GAP, -(-len(tiles) // columns) * high + GAP), PAPER)
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(size)
    for number, (image, line) in enumerate(zip(tiles, words, strict=True)):
        left, top = (number % columns) * wide + GAP, (number // columns) * high + GAP
        paper.paste(Image.fromarray(image), (left, top))
        draw.text((left + side // 2, top + side + GAP), _shown(line), fill=INK, font=font, anchor="ma")
    return np.asarray(paper, dtype=np.uint8)


def tile(crop: npt.NDArray[np.uint8]) -> Frame:
    """A face crop as an RGB image of 64 to 160 pixels a side."""
    whole = shrunk(np.broadcast_to(crop, (*crop.shape[:2], 3)))
    times = -(-SMALLEST // len(whole))
    return whole.repeat(times, axis=0).repeat(times, axis=1)


def shrunk(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A face crop, made smaller where it is over 160 pixels a side: uint8 (side, side, 1 or 3)."""
    if len(crop) <= LARGEST:
        return crop
    flat = crop[..., 0] if crop.shape[2] == 1 else np.ascontiguousarray(crop)
    small = np.asarray(Image.fromarray(flat).resize((LARGEST, LARGEST)), dtype=np.uint8)
    return small.reshape(LARGEST, LARGEST, crop.shape[2])


def write_sheets(data: Dataset, folder: Path, tell: Callable[[float], None] = lambda _: None) -> list[Path]:
    """A sheet for each of the data's own labels, and one with a row for each: all.png.

    Images are taken at even distances, the same ones each time. A label without images has no sheet.

    Args:
        data: whole, or one split.
        folder: is made if need be.
        tell: is told the share that is done, 0 to 1.

    Returns:
        The files, all.png first.
    """
    truth = data.truths[0]
    known = truth.weights > 0
    rows = [np.flatnonzero(known & (truth.answers == label)) for label in range(len(truth.labels))]
    written = [folder / "all.png"]
    write_image(written[0], overview(data.crops, truth.labels, rows))
    for number, (label, held) in enumerate(zip(truth.labels, rows, strict=True)):
        if len(held):
            # a user's label may hold anything, and two may look the same when cleaned
            written.append(folder / f"{number:02d}-{re.sub(r'[^0-9A-Za-z_-]', '_', label)[:40]}.png")
            write_image(written[-1], sheet(data.crops[_even(held, MOST)]))
        tell((number + 1) / len(rows))
    return written


def overview(crops: Crops, labels: Sequence[str], rows: Sequence[npt.NDArray[np.int64]]) -> Frame:
    """A sheet with one line a label: its name, how many images it has, and some of them."""
    side = len(tile(crops[0]))
    size = max(12, side // 5)
    font = ImageFont.load_default(size)
    words = [f"{_shown(label)}\n{len(held):,}" for label, held in zip(labels, rows, strict=True)]
    margin = int(max(font.getlength(line) for word in words for line in word.split("\n"))) + 4 * GAP
    step = side + GAP
    columns = max(1, (WIDTH - margin) // step)
    paper = Image.new("RGB", (margin + columns * step + GAP, len(labels) * step + GAP), PAPER)
    draw = ImageDraw.Draw(paper)
    for number, (word, held) in enumerate(zip(words, rows, strict=True)):
        top = number * step
        draw.multiline_text((2 * GAP, top + step // 2), word, fill=INK, font=font, anchor="lm", spacing=4)
        if len(held):
            paper.paste(Image.fromarray(sheet(crops[_even(held, columns)], columns)), (margin, top))
    return np.asarray(paper, dtype=np.uint8)


def _even(rows: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """At most so many of the rows, at even distances."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(np.int64)]


def _shown(label: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in label)[:20]
