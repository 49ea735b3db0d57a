from __future__ import annotations

import sys

import numpy as np
import pytest

from mien.errors import MissingExtraError, UsageError
from mien.explain.faithfulness import randomized_model
from mien.tutorial.activation import cross_entropy, one_hot
from mien.tutorial.convolution import convolution, convolve, max_pooling
from mien.tutorial.embedding import tsne
from mien.tutorial.figures import activations_image

SQUARE = np.ones((4, 4))


@pytest.mark.parametrize(
    ("called", "words"),
    [
        (lambda: convolve(SQUARE, np.ones((5, 5))), "no larger than the image"),
        (lambda: convolve(SQUARE, np.ones((2, 2)), padding="full"), "a padding of"),
        (lambda: convolve(SQUARE, np.ones((2, 2)), stride=0), "a stride from 1"),
        (lambda: convolve(SQUARE[..., None], np.ones((2, 2))), "an image of 2 axes"),
        (lambda: convolution(np.ones((4, 4, 3)), np.ones((2, 2, 1, 5))), "3 channels"),
        (lambda: max_pooling(SQUARE, 0), "a size from 1"),
        (lambda: max_pooling(SQUARE, 5), "no larger than the image"),
        (lambda: one_hot(np.array([7]), 7), "from 0 to 6"),
        (lambda: cross_entropy(np.eye(2), np.eye(3)), "of the same shape"),
    ],
)
def test_invalid_arguments_are_refused(called, words):
    with pytest.raises(UsageError, match=words):
        called()


@pytest.mark.parametrize(
    ("module", "called", "package"),
    [
        ("matplotlib.figure", activations_image, "matplotlib"),
        ("sklearn.manifold", lambda: tsne(np.eye(9)), "scikit-learn"),
        ("onnx", lambda: randomized_model(b"", 1.0), "onnx"),
    ],
)
def test_an_absent_extra_names_its_pip_line(monkeypatch, module, called, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=f"pip install .*'{package}>="):
        called()
