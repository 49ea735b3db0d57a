"""The drawn avatar, emoji, and a folder of images."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from mien.emotions import FER2013
from mien.errors import UsageError
from mien.visualization.avatar import styles
from mien.visualization.avatar.styles import DrawnAvatar, ImageAvatar, find_avatar

LABELS = tuple(map(str, FER2013))


@pytest.fixture
def folder(tmp_path):
    for number, label in enumerate(LABELS):
        Image.new("RGBA", (20, 40), (number, 0, 0, 255)).save(tmp_path / f"{label.title()}.png")
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def test_the_drawn_avatar_blends_by_the_probabilities():
    images = [
        DrawnAvatar().image(("happy", "sad"), row, 64).astype(int) for row in ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0))
    ]
    assert all(image.shape == (64, 64, 4) for image in images)
    assert all((one != other).any() for one, other in pairwise(images))


def test_a_folder_of_one_s_own_images_shows_the_most_probable(folder):
    avatar = find_avatar(str(folder))
    for number, label in enumerate(LABELS):
        row = [0.1] * len(LABELS)
        row[number] = 0.9
        image = avatar.image(LABELS, row, 32)
        assert image.shape == (32, 32, 4)
        assert image[16, 16].tolist() == [number, 0, 0, 255], label
        assert image[16, 0, 3] == 0  # a tall image stands in the middle of a square


def test_what_has_no_image_is_shown_as_neutral(folder):
    avatar = find_avatar(str(folder))
    neutral = LABELS.index("neutral")
    assert avatar.image(("contempt", "happy"), (0.9, 0.1), 8)[4, 4, 0] == neutral
    assert avatar.image(("bored",), (1.0,), 8)[4, 4, 0] == neutral


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "Happy.png").unlink(), "there is none for happy"),
        (lambda folder: (folder / "Sad.png").write_bytes(b"no image"), "Sad.png; it cannot be read"),
    ],
)
def test_a_folder_that_lacks_an_image_is_refused(folder, change, message):
    change(folder)
    with pytest.raises(UsageError, match=message):
        find_avatar(str(folder))


def test_an_unknown_kind_is_refused_with_the_choices():
    with pytest.raises(UsageError, match="expected drawn, emoji, or a folder of images as an avatar; received 'cat'"):
        find_avatar("cat")
    with pytest.raises(UsageError, match="an image for neutral"):
        ImageAvatar({"happy": np.zeros((4, 4, 4), np.uint8)})


def test_emoji_without_a_font_name_the_package(monkeypatch):
    monkeypatch.setattr(styles, "EMOJI_FONTS", {})
    with pytest.raises(UsageError, match="fonts-noto-color-emoji"):
        find_avatar("emoji")


def test_emoji_differ():
    try:
        avatar = find_avatar("emoji")
    except UsageError as error:
        pytest.skip(str(error))
    images = {avatar.image((label,), (1.0,), 48).tobytes() for label in LABELS}
    assert len(images) == len(LABELS)
