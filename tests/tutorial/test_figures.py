from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from histories import history
from mien.errors import UsageError
from mien.tutorial.comparison import LINE_COLOURS, ConfusionMatrix, accuracies_image, confusion_image, histories_image
from mien.tutorial.figures import (
    activations_image,
    convolution_animation,
    convolution_step,
    pooling_image,
    write_gif,
)

IMAGE, KERNEL = np.arange(25).reshape(5, 5), np.array([[0, 1], [-1, 0]])


def test_steps_differ_by_position():
    first, second = (convolution_step(IMAGE, KERNEL, position) for position in (0, 1))
    assert first.shape == second.shape
    assert first.dtype == np.uint8
    assert (first != second).any()
    with pytest.raises(UsageError, match="0 to 15"):
        convolution_step(IMAGE, KERNEL, 16)


def test_an_animation_has_one_frame_per_position(tmp_path):
    convolution_animation(tmp_path / "a.gif", IMAGE, KERNEL, stride=2, padding="same")
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.info["loop"]) == (9, 0)
    with pytest.raises(UsageError, match="one size"):
        write_gif(tmp_path / "b.gif", [])


def test_figures_are_rgb_images():
    counts = np.array([[8, 2], [1, 9]])
    matrices = [ConfusionMatrix(1, counts, ("a", "b")), ConfusionMatrix(0, counts, ("a", "b"))]
    for drawn in (pooling_image(IMAGE), activations_image(), confusion_image(matrices)):
        assert drawn.ndim == 3
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20
    assert matrices[0].accuracy == pytest.approx(0.85)
    with pytest.raises(UsageError, match="received none"):
        confusion_image([])


def test_histories_and_accuracies_are_drawn_side_by_side():
    one = histories_image({"short": history((0.4, 0.6))})
    two = histories_image({"short": history((0.4, 0.6)), "long": history((0.1, 0.2, 0.3))})
    assert two.shape[1] > 1.5 * one.shape[1]
    better, worse = (ConfusionMatrix(0, np.array([[hits, 10 - hits], [1, 9]]), ("a", "b")) for hits in (9, 4))
    steps = (250, 500, 4000)
    drawn = accuracies_image(steps, {"bare": [worse, worse, better], "augmented": [worse, better, better]}, "faces")
    colours = set(map(tuple, drawn.reshape(-1, 3)))
    assert {tuple(bytes.fromhex(colour[1:])) for colour in LINE_COLOURS[:2]} <= colours
    assert tuple(bytes.fromhex(LINE_COLOURS[2][1:])) not in colours
    with pytest.raises(UsageError, match="3 confusion matrices"):
        accuracies_image(steps, {"bare": [worse]}, "faces")
    with pytest.raises(UsageError, match="at least one epoch"):
        histories_image({"empty": ()})


def test_the_accuracy_of_a_confusion_matrix_has_an_interval():
    low, high = ConfusionMatrix(0, np.array([[8, 2], [1, 9]]), ("a", "b")).interval
    assert (round(low, 3), round(high, 3)) == (0.64, 0.948)
