from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import keras
from tasks_drawn import stripes

from mien.training.architectures import ARCHITECTURES, NetworkShape, build
from mien.training.architectures.pretrained import FEATURES, backbone_of, blocks
from mien.training.transfer.backbones import BACKBONES

pytestmark = pytest.mark.train

COUNTS = {"mobilenet": 13, "resnet50": 16, "vgg16": 5, "inceptionv3": 11, "mobilenetv3": 12, "efficientnetv2": 22}
SHAPE = NetworkShape(24, 1, (("own", 7),))


def features(model: keras.Model, crops: np.ndarray) -> np.ndarray:
    found: np.ndarray = keras.Model(model.input, model.get_layer(FEATURES).output).predict_on_batch(crops)
    return found


def test_the_networks_are_named_alike_everywhere() -> None:
    assert tuple(BACKBONES) == tuple(COUNTS)
    assert set(BACKBONES) < set(ARCHITECTURES)


@pytest.mark.parametrize("network", BACKBONES)
def test_keras_itself_knows_the_file_of_weights(network: str) -> None:
    family = BACKBONES[network]
    application = getattr(keras.applications, family.application)
    source = inspect.getsource(sys.modules[inspect.unwrap(application).__module__])
    parent = "resnet" if network == "resnet50" else family.url.partition("/")[0]
    assert f"keras-applications/{parent}" in source.replace('"\n    "', "")
    assert family.md5 is None or family.md5 in source


@pytest.mark.parametrize("network", BACKBONES)
def test_each_weight_of_a_base_is_in_one_block(network: str) -> None:
    base = backbone_of(build(network, SHAPE))
    parts = blocks(base, BACKBONES[network])
    assert len(parts) == COUNTS[network]
    assert [layer.name for part in parts for layer in part if layer.weights] == [
        layer.name for layer in base.layers if layer.weights
    ]


@pytest.mark.parametrize(
    ("network", "prepare"),
    [
        pytest.param("vgg16", keras.applications.vgg16.preprocess_input, marks=pytest.mark.long),
        pytest.param("mobilenet", keras.applications.mobilenet.preprocess_input, marks=pytest.mark.long),
        ("mobilenetv3", keras.applications.mobilenet_v3.preprocess_input),
    ],
)
def test_pixels_are_preprocessed_as_for_the_imagenet_weights(network: str, prepare) -> None:
    """Keras' own function on the same images, at the base's own size."""
    size = BACKBONES[network].size
    crops = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    model = build(network, NetworkShape(size, 3, SHAPE.heads))
    images, places = crops.astype(np.float32), (1, 2)
    if keras.config.image_data_format() == "channels_first":
        images, places = images.transpose(0, 3, 1, 2), (2, 3)
    expected = backbone_of(model).predict_on_batch(prepare(images.copy())).mean(axis=places)
    assert expected.std() > 0
    np.testing.assert_allclose(features(model, crops), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_grey_crops_are_seen_as_images_of_three_equal_channels() -> None:
    crops = stripes(np.arange(2), 24, 1, seed=0)
    grey, colour = (build("mobilenetv3", NetworkShape(24, channels, SHAPE.heads)) for channels in (1, 3))
    colour.set_weights(grey.get_weights())
    expected = features(colour, np.repeat(crops, 3, axis=3))
    np.testing.assert_allclose(features(grey, crops), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
