from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mien.errors import UsageError
from mien.learning.confusions import Confusion
from mien.learning.pictures import (
    activations_picture,
    confusion_picture,
    convolution_animation,
    convolution_step,
    pooling_picture,
    write_gif,
)

PICTURE, KERNEL = np.arange(25).reshape(5, 5), np.array([[0, 1], [-1, 0]])


def test_each_place_looks_different():
    first, second = (convolution_step(PICTURE, KERNEL, place) for place in (0, 1))
    assert first.shape == second.shape
    assert first.dtype == np.uint8
    assert (first != second).any()
    with pytest.raises(UsageError, match="0 to 15"):
        convolution_step(PICTURE, KERNEL, 16)


def test_an_animation_has_a_frame_a_place(tmp_path):
    convolution_animation(tmp_path / "a.gif", PICTURE, KERNEL, stride=2, padding="same")
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.info["loop"]) == (9, 0)
    with pytest.raises(UsageError, match="one size"):
        write_gif(tmp_path / "b.gif", [])


def test_what_is_drawn_is_a_picture():
    counts = np.array([[8, 2], [1, 9]])
    found = [Confusion(1, counts, ("a", "b")), Confusion(0, counts, ("a", "b"))]
    for drawn in (pooling_picture(PICTURE), activations_picture(), confusion_picture(found)):
        assert drawn.ndim == 3
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20
    assert found[0].accuracy == pytest.approx(0.85)
    with pytest.raises(UsageError, match="received none"):
        confusion_picture([])
