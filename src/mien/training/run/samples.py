"""A sheet of images as they are and as a run learns from them: a look at it tells too much from too little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.media.files import atomic_write
from mien.training.engine.augmentation import augment, draws

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from mien.data.dataset import Dataset
    from mien.training.config import TrainingConfig

IMAGES = 4
EPOCHS = 4
SIDE, GAP, HEADING = 112, 8, 26
INK, PAPER = (70, 76, 86), (255, 255, 255)


def write_samples(path: Path, training: Dataset, config: TrainingConfig) -> None:
    """Writes a PNG of four images, a row each: as they are, then as four epochs change them (mixup apart).

    Args:
        path: the image, written whole.
        training: what is learnt from.
        config: its augmentation and seed; what is shown is what the run will use.
    """
    rows = np.unique(np.linspace(0, len(training) - 1, IMAGES + 2).round().astype(int)[1:-1])
    epochs = sorted({round(part * (config.epochs - 1) / (EPOCHS - 1)) for part in range(EPOCHS)})
    columns = [training.crops[rows]]
    for epoch in epochs:
        table = draws(config.seed, epoch * config.repeats, len(training))[rows]
        columns.append(augment(training.crops[rows], table, config.augmentation_of(epoch)))
    headings = ["as it is", *(f"epoch {epoch + 1}" for epoch in epochs)]
    with atomic_write(path) as aside:
        _sheet(np.stack(columns), headings).save(aside, format="PNG")


def _sheet(columns: npt.NDArray[np.uint8], headings: list[str]) -> Image.Image:
    """Face crops (columns, rows, size, size, channels) under their headings; the first column stands apart."""
    across, down = columns.shape[:2]
    sheet = Image.new("RGB", (across * (SIDE + GAP) + 3 * GAP, HEADING + down * (SIDE + GAP)), PAPER)
    pen = ImageDraw.Draw(sheet)
    for column in range(across):
        left = GAP + column * (SIDE + GAP) + (GAP if column else 0)
        pen.text((left, GAP // 2), headings[column], fill=INK, font=ImageFont.load_default(14))
        for row in range(down):
            sheet.paste(_enlarged(columns[column, row]), (left, HEADING + row * (SIDE + GAP)))
    return sheet


def _enlarged(crop: npt.NDArray[np.uint8]) -> Image.Image:
    whole = max(1, SIDE // crop.shape[0])  # pixels stay squares where the face crop is small
    method = cv2.INTER_AREA if crop.shape[0] > SIDE else cv2.INTER_NEAREST
    large = cv2.resize(np.repeat(np.repeat(crop, whole, 0), whole, 1), (SIDE, SIDE), interpolation=method)
    return Image.fromarray(large.reshape(SIDE, SIDE, -1).repeat(3 // crop.shape[2], axis=2))
