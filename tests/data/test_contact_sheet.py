"""Contact sheets: every face crop where it belongs, in any size and colour, under any label."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from audited import faulty

from mien.data.summary import GAP_PX, MAX_TILE_PX, MIN_TILE_PX, SHEET_WIDTH_PX, captioned, sheet, tile, write_sheets
from mien.errors import UsageError
from mien.media.image import read as read_image


def shades(count, size, channels):
    crops = np.empty((count, size, size, channels), np.uint8)
    crops[:] = np.arange(count)[:, None, None, None] * 3
    return crops


@pytest.mark.parametrize(
    ("size", "side"), [(8, MIN_TILE_PX), (48, 96), (64, 64), (100, 100), (MAX_TILE_PX, MAX_TILE_PX), (224, MAX_TILE_PX)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_crops_lie_in_rows(size, side, channels):
    made = sheet(shades(7, size, channels), columns=3)
    step = side + GAP_PX
    assert made.shape == (3 * step + GAP_PX, 3 * step + GAP_PX, 3)
    centres = made[GAP_PX + side // 2 :: step, GAP_PX + side // 2 :: step, 0]
    assert centres.tolist() == [[0, 3, 6], [9, 12, 15], [18, 255, 255]]
    assert (made[:GAP_PX] == 255).all()


def test_a_sheet_is_about_as_wide_as_a_screen():
    assert SHEET_WIDTH_PX - 100 - GAP_PX <= sheet(shades(80, 48, 1)).shape[1] <= SHEET_WIDTH_PX


def test_colours_stay():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    assert (tile(red) == (200, 0, 0)).all()


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(UsageError, match="at least one image"):
        sheet(np.empty((0, 8, 8, 1), np.uint8))


def test_words_stand_under_each_crop():
    crops = np.zeros((3, 48, 48, 1), np.uint8)
    bare, told = (captioned(crops, words, columns=2) for words in (["", "", ""], ["4, said 9", "", ""]))
    assert told.shape == bare.shape
    down, across = np.nonzero((told != bare).any(axis=2))
    tall = len(told) // 2
    assert len(down)
    assert tile(crops[0]).shape[0] < down.min()
    assert down.max() < tall
    assert across.max() < told.shape[1] // 2
    with pytest.raises(UsageError, match="received 3 and 1"):
        captioned(crops, ["one"])


def test_a_sheet_for_each_label_and_one_for_all(tmp_path):
    told = []
    files = write_sheets(faulty(), tmp_path / "new", told.append)
    assert [file.name for file in files] == ["all.png", "00-happy.png", "01-sad.png", "02-_b_odd__b_.png"]
    assert sorted(files) == sorted((tmp_path / "new").iterdir())
    assert told[-1] == 1
    heights = [read_image(file).shape[0] for file in files]
    assert heights[0] > heights[1] == heights[2]


def test_labels_can_name_no_file_elsewhere(tmp_path):
    data = faulty()
    truth = dataclasses.replace(data.truths[0], labels=("../../away\x1b[31m", "..", "happy"))
    data = dataclasses.replace(data, truths=(truth,))
    files = write_sheets(data, tmp_path / "in")
    assert {file.resolve().parent for file in files} == {tmp_path / "in"}
    assert len(files) == 4
