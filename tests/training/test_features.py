from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.training.transfer.head_training import BLOCK_SIZE, extract_features, feature_cache

if TYPE_CHECKING:
    from pathlib import Path

CROPS = np.random.default_rng(0).integers(0, 256, (2 * BLOCK_SIZE + 10, 4, 4, 1), dtype=np.uint8)
EXPECTED = CROPS.reshape(len(CROPS), -1).astype(np.float32)


class Extractor:
    """Flattens images, and counts how many it was given; it fails once that number is reached."""

    def __init__(self, fails_after: int = 10**9) -> None:
        self.given = 0
        self._fails_after = fails_after

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        if self.given >= self._fails_after:
            raise KeyboardInterrupt
        self.given += len(crops)
        return crops.reshape(len(crops), -1).astype(np.float32)


def computed(kept: Path, crops: np.ndarray = CROPS) -> int:
    """How many of the face crops' features were not kept; those that came are right."""
    extract = Extractor()
    np.testing.assert_array_equal(
        extract_features(extract, crops, kept, print), crops.reshape(len(crops), -1).astype(np.float32)
    )
    return extract.given


def test_features_are_computed_once(tmp_path: Path) -> None:
    assert (computed(tmp_path), computed(tmp_path)) == (len(CROPS), 0)


def test_an_interrupted_computation_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        extract_features(Extractor(fails_after=BLOCK_SIZE), CROPS, tmp_path, print)
    assert computed(tmp_path) == len(CROPS) - BLOCK_SIZE


def test_other_images_have_other_features(tmp_path: Path) -> None:
    computed(tmp_path)
    changed = CROPS.copy()
    changed[0, 0, 0, 0] ^= 1
    assert computed(tmp_path, changed) == BLOCK_SIZE
    assert computed(tmp_path, CROPS[:, :, ::-1]) == len(CROPS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:20],
        lambda content: b"",
        lambda content: b"\x80\x04" + content,  # begins as a pickle does
        lambda content: content.replace(b"(256,", b"(255,"),
    ],
    ids=["cut", "without numbers", "empty", "foreign", "short"],
)
def test_a_damaged_block_is_computed_again(damage, tmp_path: Path) -> None:
    computed(tmp_path)
    block = next(path for path in tmp_path.iterdir() if b"(256," in path.read_bytes()[:128])
    block.write_bytes(damage(block.read_bytes()))
    assert computed(tmp_path) == BLOCK_SIZE
    assert computed(tmp_path) == 0


def test_a_cache_that_can_t_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert computed(tmp_path / "file" / "folder") == len(CROPS)


def test_the_folder_tells_network_size_and_weights() -> None:
    folders = {
        feature_cache(*key)
        for key in (("a", 96, "f" * 64), ("b", 96, "f" * 64), ("a", 64, "f" * 64), ("a", 96, "e" * 64))
    }
    assert len(folders) == 4
