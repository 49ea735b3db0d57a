"""A data set at a glance: images per split and class, and contact sheets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

SHEET_WIDTH_PX = 1600
"""Approximate width of a contact sheet."""

MIN_TILE_PX, MAX_TILE_PX = 64, 160
"""Smaller face crops are enlarged by a whole number, larger ones are reduced."""

GAP_PX = 4
BACKGROUND_RGB = (255, 255, 255)
TEXT_RGB = (28, 34, 48)
MAX_TILES = 200
"""Images on the sheet of one label."""


@dataclass(frozen=True)
class Balance:
    """The class distribution of one split under one set of labels.

    Attributes:
        split: "Training", ...
        head: "fer2013", ...
        labels: their names.
        counts: images of each label, by the most probable one; an image without a label counts nowhere.
        shares: the sum of vote shares of each label; equals ``counts`` for one-hot labels.
        unlabelled: images for which no vote names an expression.
        evaluated: images that count in evaluation.
    """

    split: str
    head: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    unlabelled: int
    evaluated: int

    @property
    def by_votes(self) -> bool:
        """Whether labels are shares of votes and not one-hot."""
        return any(abs(share - count) > 0.5 for share, count in zip(self.shares, self.counts, strict=True))

    @property
    def ratio(self) -> float:
        """The class imbalance: images of the most frequent label per image of the rarest, ignoring empty labels."""
        occurring = [count for count in self.counts if count] or [1]
        return max(occurring) / min(occurring)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        votes = {label: round(share, 3) for label, share in zip(self.labels, self.shares, strict=True)}
        return {
            "split": self.split,
            "head": self.head,
            "counts": dict(zip(self.labels, self.counts, strict=True)),
            **({"votes": votes} if self.by_votes else {}),
            "unlabelled": self.unlabelled,
            "evaluated": self.evaluated,
        }


def balance(data: Dataset) -> tuple[Balance, ...]:
    """The class distribution of every split, for every set of labels."""
    return tuple(_balance(data.split(name), truth.head) for truth in data.truths for name in data.split_names())


def split_sizes(data: Dataset) -> dict[str, int]:
    """The number of images in each split, in order of first appearance."""
    return {name: int((data.splits == name).sum()) for name in data.split_names()}


def summary(data: Dataset) -> dict[str, Any]:
    """Sizes, splits, class distribution and rejected rows as plain values, ready for JSON."""
    return {
        "data": data.name,
        "digest": data.digest,
        "count": len(data),
        "size": data.size,
        "channels": data.channels,
        "splits": split_sizes(data),
        "labels": [part.to_dict() for part in balance(data)],
        "rejected": [{"place": bad.place, "reason": bad.reason} for bad in data.rejected],
        "notes": list(data.notes),
    }


def sheet(crops: Crops, columns: int | None = None) -> Frame:
    """A contact sheet of face crops in their order: uint8 (height, width, 3), RGB, on white.

    Args:
        crops: uint8 (count, size, size, 1 or 3), at least one.
        columns: face crops per row; None fills about 1,600 pixels.

    Raises:
        UsageError: there are no face crops.
    """
    if not len(crops):
        raise UsageError("expected at least one image on a contact sheet; received none")
    tiles = [tile(crop) for crop in crops]
    step = tiles[0].shape[0] + GAP_PX
    columns = min(len(tiles), columns or max(1, (SHEET_WIDTH_PX - GAP_PX) // step))
    canvas = np.full((-(-len(tiles) // columns) * step + GAP_PX, columns * step + GAP_PX, 3), BACKGROUND_RGB, np.uint8)
    for number, image in enumerate(tiles):
        top, left = (number // columns) * step + GAP_PX, (number % columns) * step + GAP_PX
        canvas[top : top + step - GAP_PX, left : left + step - GAP_PX] = image
    return canvas


def captioned(crops: Crops, captions: Sequence[str], columns: int | None = None) -> Frame:
    """As ``sheet``, with a caption under each face crop.

    Args:
        crops: uint8 (count, size, size, 1 or 3), at least one.
        captions: one line for each face crop, short enough for its width.
        columns: face crops per row; None fills about 1,600 pixels.

    Raises:
        UsageError: there are no face crops, or not one caption for each.
    """
    if len(captions) != len(crops) or not len(crops):
        raise UsageError(f"expected face crops and a caption for each; received {len(crops)} and {len(captions)}")
    tiles = [tile(crop) for crop in crops]
    side, size = len(tiles[0]), max(11, len(tiles[0]) // 7)
    cell_height, cell_width = side + size + 3 * GAP_PX, side + 2 * GAP_PX
    columns = min(len(tiles), columns or max(1, (SHEET_WIDTH_PX - GAP_PX) // cell_width))
    canvas = Image.new(
        "RGB", (columns * cell_width + GAP_PX, -(-len(tiles) // columns) * cell_height + GAP_PX), BACKGROUND_RGB
    )
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size)
    for number, (image, line) in enumerate(zip(tiles, captions, strict=True)):
        left, top = (number % columns) * cell_width + GAP_PX, (number // columns) * cell_height + GAP_PX
        canvas.paste(Image.fromarray(image), (left, top))
        draw.text((left + side // 2, top + side + GAP_PX), _shown(line), fill=TEXT_RGB, font=font, anchor="ma")
    return np.asarray(canvas, dtype=np.uint8)


def tile(crop: npt.NDArray[np.uint8]) -> Frame:
    """A face crop as an RGB image of 64 to 160 pixels a side."""
    whole = shrunk(np.broadcast_to(crop, (*crop.shape[:2], 3)))
    times = -(-MIN_TILE_PX // len(whole))
    return whole.repeat(times, axis=0).repeat(times, axis=1)


def shrunk(crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A face crop, reduced to 160 pixels if it is larger: uint8 (side, side, 1 or 3)."""
    if len(crop) <= MAX_TILE_PX:
        return crop
    flat = crop[..., 0] if crop.shape[2] == 1 else np.ascontiguousarray(crop)
    small = np.asarray(Image.fromarray(flat).resize((MAX_TILE_PX, MAX_TILE_PX)), dtype=np.uint8)
    return small.reshape(MAX_TILE_PX, MAX_TILE_PX, crop.shape[2])


def write_sheets(data: Dataset, folder: Path, on_progress: Callable[[float], None] = lambda _: None) -> list[Path]:
    """Write a contact sheet for each of the data's own labels, and all.png with one row for each label.

    Images are sampled at even distances, so they are the same each time. A label without images has no sheet.

    Args:
        data: whole, or one split.
        folder: created if missing.
        on_progress: called with the share done, 0 to 1.

    Returns:
        The files, all.png first.
    """
    truth = data.truths[0]
    known = truth.weights > 0
    rows = [np.flatnonzero(known & (truth.class_ids == label)) for label in range(len(truth.labels))]
    written = [folder / "all.png"]
    write_image(written[0], overview(data.crops, truth.labels, rows))
    for number, (label, own) in enumerate(zip(truth.labels, rows, strict=True)):
        if len(own):
            # a user's label may hold any character; the number keeps two names apart
            written.append(folder / f"{number:02d}-{re.sub(r'[^0-9A-Za-z_-]', '_', label)[:40]}.png")
            write_image(written[-1], sheet(data.crops[_even(own, MAX_TILES)]))
        on_progress((number + 1) / len(rows))
    return written


def overview(crops: Crops, labels: Sequence[str], rows: Sequence[npt.NDArray[np.int64]]) -> Frame:
    """A contact sheet with one row for each label: its name, its number of images, and some of them."""
    side = len(tile(crops[0]))
    size = max(12, side // 5)
    font = ImageFont.load_default(size)
    names = [f"{_shown(label)}\n{len(own):,}" for label, own in zip(labels, rows, strict=True)]
    margin = int(max(font.getlength(line) for name in names for line in name.split("\n"))) + 4 * GAP_PX
    step = side + GAP_PX
    columns = max(1, (SHEET_WIDTH_PX - margin) // step)
    canvas = Image.new("RGB", (margin + columns * step + GAP_PX, len(labels) * step + GAP_PX), BACKGROUND_RGB)
    draw = ImageDraw.Draw(canvas)
    for number, (name, own) in enumerate(zip(names, rows, strict=True)):
        top = number * step
        draw.multiline_text((2 * GAP_PX, top + step // 2), name, fill=TEXT_RGB, font=font, anchor="lm", spacing=4)
        if len(own):
            canvas.paste(Image.fromarray(sheet(crops[_even(own, columns)], columns)), (margin, top))
    return np.asarray(canvas, dtype=np.uint8)


def _balance(part: Dataset, head: str) -> Balance:
    truth = part.truth(head)
    known = truth.weights > 0
    return Balance(
        split=str(part.splits[0]),
        head=head,
        labels=truth.labels,
        counts=tuple(np.bincount(truth.class_ids[known], minlength=len(truth.labels)).tolist()),
        shares=tuple(truth.targets[known].sum(axis=0, dtype=np.float64).tolist()),
        unlabelled=int((~known).sum()),
        evaluated=int(truth.evaluated.sum()),
    )


def _even(rows: npt.NDArray[np.int64], limit: int) -> npt.NDArray[np.int64]:
    """At most ``limit`` of the rows, at even distances."""
    return rows[np.linspace(0, len(rows) - 1, min(limit, len(rows))).round().astype(np.int64)]


def _shown(label: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in label)[:20]
