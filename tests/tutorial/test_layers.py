"""The arithmetic of a network in NumPy equals Keras' own layers to 1e-6, on random inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import keras

from mien.tutorial.activation import ACTIVATIONS, cross_entropy, one_hot
from mien.tutorial.convolution import average_pooling, convolution, convolve, max_pooling, steps

pytestmark = pytest.mark.train

FEW = settings(max_examples=25, deadline=None)
STRIDES, PADDINGS, SEEDS = st.integers(1, 3), st.sampled_from(["valid", "same"]), st.integers(0, 2**32 - 1)


def numpy_of(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


def random(seed, *shape):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


@FEW
@given(
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    window=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    depths=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=STRIDES,
    padding=PADDINGS,
    seed=SEEDS,
)
def test_convolution(size, window, depths, stride, padding, seed):
    channels, filters = depths
    image, kernels = random(seed, *size, channels), random(seed + 1, *window, channels, filters)
    bias = random(seed + 2, filters)
    layer = keras.layers.Conv2D(filters, window, stride, padding, data_format="channels_last")
    layer.build((None, *size, channels))
    layer.set_weights([kernels, bias])
    expected = numpy_of(layer(image[None]))[0]
    np.testing.assert_allclose(convolution(image, kernels, bias, stride, padding), expected, rtol=1e-6, atol=1e-5)
    exact = keras.ops.conv(image[None].astype(np.float64), kernels.astype(np.float64), stride, padding, "channels_last")
    np.testing.assert_allclose(convolution(image, kernels, None, stride, padding), numpy_of(exact)[0], atol=1e-6)


@FEW
@given(
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    window=st.integers(1, 4),
    stride=st.one_of(st.none(), STRIDES),
    padding=PADDINGS,
    seed=SEEDS,
)
def test_pooling(size, window, stride, padding, seed):
    image = random(seed, *size, 2)
    for ours, theirs in [
        (max_pooling, keras.layers.MaxPooling2D),
        (average_pooling, keras.layers.AveragePooling2D),
    ]:
        if ours is average_pooling and padding == "same" and keras.backend.backend() == "torch":
            continue  # there Keras repeats the edge and counts it, unlike on TensorFlow and JAX
        layer = theirs(window, stride, padding, data_format="channels_last")
        expected = numpy_of(layer(image[None]))[0]
        np.testing.assert_allclose(ours(image, window, stride, padding), expected, atol=1e-6)


@FEW
@given(name=st.sampled_from(sorted(ACTIVATIONS)), rows=st.integers(1, 4), scale=st.floats(0.1, 30), seed=SEEDS)
def test_activations(name, rows, scale, seed):
    values = random(seed, rows, 5) * np.float32(scale)
    expected = numpy_of(keras.layers.Activation(name)(values))
    np.testing.assert_allclose(ACTIVATIONS[name](values), expected, rtol=1e-6, atol=1e-6)


@FEW
@given(labels=st.lists(st.integers(0, 6), min_size=1, max_size=8), seed=SEEDS)
def test_one_hot_and_cross_entropy(labels, seed):
    targets = one_hot(np.array(labels), 7)
    assert np.array_equal(targets, numpy_of(keras.ops.one_hot(np.array(labels), 7)))
    rows = ACTIVATIONS["softmax"](3 * random(seed, len(labels), 7))
    loss = keras.losses.CategoricalCrossentropy(reduction=None)
    expected = numpy_of(loss(targets.astype(np.float32), rows.astype(np.float32)))
    np.testing.assert_allclose(cross_entropy(targets, rows), expected, rtol=1e-5, atol=1e-6)


def test_steps_tell_how_each_value_came_about():
    image, kernel = np.arange(16.0).reshape(4, 4), np.array([[1.0, 0], [0, -1]])
    made = list(steps(image, kernel, stride=2))
    assert [(step.row, step.column, step.top, step.left) for step in made] == [
        (0, 0, 0, 0), (0, 1, 0, 2), (1, 0, 2, 0), (1, 1, 2, 2),
    ]  # fmt: skip
    assert all(step.total == -5.0 for step in made)
    assert np.array_equal(convolve(image, kernel, stride=2), np.full((2, 2), -5.0))
