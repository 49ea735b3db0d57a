from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tasks_drawn import drawn

from mien.training.config import PLAIN, Augmentation, TrainingConfig
from mien.training.engine.augmentation import augment, draws
from mien.training.run.plots import GAP_PX, HEADING_PX, TILE_PX, write_samples

if TYPE_CHECKING:
    from pathlib import Path


def sheet(path: Path, config: TrainingConfig, channels: int = 1, size: int = 28) -> np.ndarray:
    write_samples(path / "samples.png", drawn(each=4, size=size, channels=channels), config)
    with Image.open(path / "samples.png") as image:
        return np.array(image)


def cell(pixels: np.ndarray, column: int, row: int) -> np.ndarray:
    left, top = GAP_PX + column * (TILE_PX + GAP_PX) + (GAP_PX if column else 0), HEADING_PX + row * (TILE_PX + GAP_PX)
    return pixels[top : top + TILE_PX, left : left + TILE_PX]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_sheet_shows_the_training_images_of_the_run(channels: int, tmp_path: Path) -> None:
    config = TrainingConfig(epochs=31, fine_tune_epochs=5, augmentation=replace(Augmentation(), mixup=0.0))
    pixels = sheet(tmp_path, config, channels)
    data = drawn(each=4, size=28, channels=channels)
    rows = np.linspace(0, len(data) - 1, 6).round().astype(int)[1:-1]
    four = TILE_PX // 28
    for row, place in enumerate(rows):
        np.testing.assert_array_equal(cell(pixels, 0, row)[::four, ::four, :channels], data.crops[place])
        for column, epoch in enumerate((0, 10, 20, 30), 1):
            changed = augment(data.crops[[place]], draws(0, epoch, 32)[[place]], config.augmentation_of(epoch))[0]
            np.testing.assert_array_equal(cell(pixels, column, row)[::four, ::four, :channels], changed)


@pytest.mark.parametrize(("size", "epochs", "columns"), [(28, 1, 2), (48, 3, 4), (160, 40, 5), (8, 2, 3)])
def test_any_size_and_length_has_a_sheet(size: int, epochs: int, columns: int, tmp_path: Path) -> None:
    config = TrainingConfig(epochs=epochs, fine_tune_epochs=0, warmup_epochs=0, augmentation=PLAIN)
    pixels = sheet(tmp_path, config, size=size)
    assert pixels.shape == (HEADING_PX + 4 * (TILE_PX + GAP_PX), columns * (TILE_PX + GAP_PX) + 3 * GAP_PX, 3)
    np.testing.assert_array_equal(cell(pixels, 0, 0), cell(pixels, columns - 1, 0))
