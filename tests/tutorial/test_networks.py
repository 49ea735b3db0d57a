"""Inspecting a trained network: layers, filters, embedding, confusion matrix, gradient attribution."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

import keras

from mien.classification.classifier import Classifier, probabilities_of
from mien.data.dataset import PUBLIC_TEST
from mien.errors import TrainingError, UsageError
from mien.explain.faithfulness import rank_correlation
from mien.explain.gradients import GradCam, IntegratedGradients, gradient
from mien.explain.gradients import log_odds as keras_log_odds
from mien.explain.network import Network, array_of, load_network
from mien.explain.occlusion import Occlusion, log_odds
from mien.models.card import CropRule, FusedOutput, Head, ModelCard
from mien.models.onnx_file import read_onnx
from mien.training.architectures import NetworkShape
from mien.training.tasks.classification.compilation import build_float32
from mien.tutorial.comparison import confusion_history
from mien.tutorial.convolution import convolution
from mien.tutorial.embedding import embed, pca, scatter_image, tsne
from mien.tutorial.filters import feature_maps, kernels, synthesise, tiled, top_crops

pytestmark = pytest.mark.train

FER = ("angry", "happy", "neutral")
PLUS = ("neutral", "contempt", "happy", "angry")


def convolutions(network):
    return [layer.name for layer in network.model.layers if isinstance(layer, keras.layers.Conv2D)]


@pytest.fixture
def fused_network() -> Network:
    """A fresh network with two heads whose fused prediction has offsets and averages over the mirror image."""
    card = ModelCard(
        "fused",
        16,
        1,
        CropRule(),
        (Head("fer", FER, 1.3), Head("plus", PLUS, 0.8, offsets=(0.3, -0.1, 0.2, 0.0), scales=(1.1, 0.7, 1.0, 1.4))),
        FusedOutput(FER, (("fer", 0.2), ("plus", 0.8)), 1.1, 0.0, (0.1, -0.2, 0.1)),
        mirrored=True,
    )
    keras.utils.set_random_seed(0)
    return Network(build_float32(NetworkShape(16, 1, (("fer", 3), ("plus", 4))), "nano"), card, "nano")


def crop(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 1)).astype(np.uint8)


@pytest.mark.backend
def test_gradient_is_the_analytic_one():
    x = np.array([[1.0, -2.0, 3.0]], np.float32)
    np.testing.assert_allclose(gradient(lambda at: keras.ops.sum(at**3), x), 3 * x**2, rtol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("head", ["fused", "fer", "plus"])
def test_log_odds_agree_with_the_probabilities_and_with_keras(fused_network, head):
    logits = {name: array_of(rows) for name, rows in fused_network.model(np.stack([crop(1), crop(2)])).items()}
    expected = log_odds(fused_network.card, logits, head, 1)
    probabilities = probabilities_of(fused_network.card, logits, head)[:, 1].astype(float)
    np.testing.assert_allclose(expected, np.log(probabilities / (1 - probabilities)), atol=1e-4)
    tensors = {name: keras.ops.convert_to_tensor(rows) for name, rows in logits.items()}
    np.testing.assert_allclose(array_of(keras_log_odds(fused_network.card, tensors, head, 1)), expected, atol=1e-4)


@pytest.mark.backend
@pytest.mark.slow_on_jax
@pytest.mark.parametrize("mirrored", [False, True])
def test_integrated_gradients_sum_to_the_change_in_log_odds(fused_network, mirrored):
    """Completeness, proposition 1 of the paper, for the fused prediction."""
    card = dataclasses.replace(fused_network.card, mirrored=mirrored)
    network = Network(fused_network.model, card, "nano")
    attribution = IntegratedGradients(network, steps=128).attribute(crop(), 1)

    def score(one):
        rows = np.stack([one, one[:, ::-1]]) if mirrored else one[None]
        logits = {
            name: array_of(values).mean(axis=0, keepdims=True)
            for name, values in network.model(np.ascontiguousarray(rows)).items()
        }
        return log_odds(card, logits, "fused", 1)[0]

    flat = np.full_like(crop(), np.rint(crop().mean()))
    assert attribution.shape == (16, 16)
    assert attribution.sum() == pytest.approx(score(crop()) - score(flat), rel=0.03, abs=0.01)


@pytest.mark.backend
def test_a_mirrored_crop_has_a_mirrored_map(fused_network):
    for explainer in (GradCam(fused_network), IntegratedGradients(fused_network)):
        one = explainer.attribute(crop(), 0)
        other = explainer.attribute(np.ascontiguousarray(crop()[:, ::-1]), 0)
        np.testing.assert_allclose(one, other[:, ::-1], atol=1e-4 * max(np.abs(one).max(), 1e-6))


@pytest.mark.backend
@pytest.mark.slow_on_jax
def test_attribution_lies_on_the_discriminative_region(network, run, squares):
    occlusion = Occlusion(read_onnx(run / "model.onnx"), threads=1)
    rows = 24
    # Grad-CAM drops what opposes a label, and one of two classes may be recognised by what is absent
    for explainer, least in ((occlusion, 0.85), (GradCam(network), 0.65), (IntegratedGradients(network), 0.85)):
        hits = 0
        for one, label in zip(squares.crops[:rows], squares.truths[0].class_ids[:rows], strict=True):
            attribution = explainer.attribute(one, int(label))
            inside = one[..., 0] > 200
            hits += attribution[inside].mean() > attribution[~inside].mean()
        assert hits / rows >= least, explainer.method


def test_randomised_weights_change_gradient_maps(network, squares):
    explainer = IntegratedGradients(network)
    attribution = explainer.attribute(squares.crops[0], 0)
    assert rank_correlation(attribution, explainer.randomized(1.0).attribute(squares.crops[0], 0)) < 0.8
    np.testing.assert_array_equal(explainer.attribute(squares.crops[0], 0), attribution)


@pytest.mark.backend
def test_the_network_is_the_one_of_the_model_file(network, run, squares):
    exported = Classifier(read_onnx(run / "model.onnx")).logits(squares.crops[:5])["classes"]
    np.testing.assert_allclose(array_of(network.model(squares.crops[:5])["classes"]), exported, atol=1e-4)


def test_a_run_without_matching_weights_is_refused(run, tmp_path):
    import shutil

    copy = shutil.copytree(run, tmp_path / "copy")
    (copy / "best.weights.h5").write_bytes(b"")
    with pytest.raises(TrainingError, match="expected weights of 'digits-conv'"):
        load_network(copy)


def test_dense_networks_have_no_maps(fused_network):
    model = build_float32(NetworkShape(16, 1, (("fer", 3), ("plus", 4))), "dense-64-tanh")
    with pytest.raises(UsageError, match="a network with convolutions"):
        GradCam(Network(model, fused_network.card, "dense-64-tanh"))
    assert IntegratedGradients(Network(model, fused_network.card, "dense-64-tanh")).attribute(crop(), 0).shape == (
        16,
        16,
    )


def test_maps_of_the_first_layer_are_its_kernels_over_the_crop(network, squares):
    name = convolutions(network)[0]
    layer = network.model.get_layer(name)
    one = squares.crops[:1]
    standard = array_of(keras.Model(network.model.input, network.model.get_layer("standardize").output)(one))[0]
    ours = np.maximum(convolution(standard, kernels(network.model)[name], array_of(layer.bias), 1, "same"), 0)
    np.testing.assert_allclose(feature_maps(network.model, one, [name])[name][0], ours, atol=1e-4)


@pytest.mark.backend
def test_all_maps_have_their_channels_last(network, squares):
    maps = feature_maps(network.model, squares.crops[:2])
    shapes = {name: value.shape for name, value in maps.items()}
    assert next(iter(shapes)) == convolutions(network)[0]  # the standardised face crop is none
    assert [shapes[name] for name in convolutions(network)] == [(2, 16, 16, 16), (2, 8, 8, 32)]
    with pytest.raises(UsageError, match="no-such"):
        feature_maps(network.model, squares.crops[:2], ["no-such"])


def test_top_crops_have_the_strongest_activation(network, squares):
    name = convolutions(network)[1]
    order = top_crops(network.model, name, squares.crops, 3)
    strength = feature_maps(network.model, squares.crops, [name])[name].max(axis=(1, 2))
    assert order.shape == (32, 3)
    for filter_, rows in enumerate(order):
        np.testing.assert_allclose(strength[rows, filter_], np.sort(strength[:, filter_])[::-1][:3], rtol=1e-5)


@pytest.mark.backend
def test_a_synthesised_image_activates_its_filter_more_than_noise(network, squares):
    name = convolutions(network)[1]
    strength = feature_maps(network.model, squares.crops, [name])[name].mean(axis=(0, 1, 2))
    filter_ = int(strength.argmax())
    made = synthesise(network.model, name, filter_, steps=24)
    noise = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1)).astype(np.uint8)
    activations = feature_maps(network.model, np.concatenate([made[None], noise]), [name])[name][..., filter_].mean(
        axis=(1, 2)
    )
    assert made.shape == (16, 16, 1)
    assert activations[0] > activations[1:].max()
    with pytest.raises(UsageError, match="expected a filter"):
        synthesise(network.model, name, 32)


def test_confusion_history_covers_each_checkpoint_and_restores_the_network(network, run, squares):
    before = [array_of(weight) for weight in network.model.weights]
    found = confusion_history(run, network, squares.split(PUBLIC_TEST))
    assert [one.epoch for one in found] == [2, 3, 4, 0]
    assert all(one.counts.sum() == 80 for one in found)
    assert found[-1].accuracy > 0.9
    for weight, was in zip(network.model.weights, before, strict=True):
        np.testing.assert_array_equal(array_of(weight), was)


def test_the_embedding_keeps_similar_crops_together(network, squares):
    features = embed(network.model, squares.crops)
    assert features.shape == (160, 64)
    answers = squares.truths[0].class_ids
    for places in (pca(features), tsne(features[:60], perplexity=10)):
        own = answers[: len(places)]
        distances = np.linalg.norm(places[:, None] - places[None], axis=2)
        np.fill_diagonal(distances, np.inf)
        assert (own[distances.argmin(axis=1)] == own).mean() > 0.8


def test_pca_is_that_of_scikit_learn():
    from sklearn.decomposition import PCA

    values = np.random.default_rng(0).normal(size=(30, 6)) * [5, 3, 1, 1, 1, 1]
    np.testing.assert_allclose(np.abs(pca(values)), np.abs(PCA(2).fit_transform(values)), atol=1e-8)
    with pytest.raises(UsageError, match="at least 7"):
        pca(values, 7)


def test_a_map_shows_thumbnails_that_do_not_overlap(squares):
    places = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.001]])
    drawn = scatter_image(places, squares.crops[:3], [(255, 0, 0), (0, 255, 0), (0, 0, 255)], side=200, thumbnail=28)
    assert drawn.shape == (200, 200, 3)
    colours = [int((drawn == colour).all(axis=2).sum()) for colour in [(255, 0, 0), (0, 255, 0)]]
    assert colours == [28**2 - 24**2] * 2


def test_tiles_have_a_contrast_each():
    shown = tiled(np.stack([np.eye(3), 100 * np.eye(3)]).astype(np.float32), columns=2, scale=1)
    assert shown.shape == (5, 9)
    np.testing.assert_array_equal(shown[1:4, 1:4], shown[1:4, 5:8])
    signed = tiled(np.array([[[-1.0, 0.0, 1.0]]], np.float32), scale=1, signed=True)
    assert signed[1, 1:4].tolist() == [0, 128, 255]
    with pytest.raises(UsageError, match="none of them 0"):
        tiled(np.zeros((0, 3, 3), np.float32))


def test_the_command_explains_a_run_by_all_methods(run, squares, tmp_path, capsys):
    from mien.apps.cli import main
    from mien.media.image import write

    row = int(np.flatnonzero(squares.truths[0].class_ids == 1)[0])
    write(tmp_path / "upper.png", np.repeat(squares.crops[row], 3, axis=2))
    methods = ["occlusion", "grad-cam", "integrated-gradients"]
    options = [part for method in methods for part in ("--method", method)]
    with pytest.raises(SystemExit) as left:
        main(
            [
                "explain",
                str(tmp_path / "upper.png"),
                "--model",
                str(run),
                "--detector",
                "whole",
                "--json",
                "--check",
                *options,
            ]
        )
    assert not left.value.code
    (face,) = json.loads(capsys.readouterr().out)["faces"]
    assert face["explained"] == "upper"
    assert [one["method"] for one in face["maps"]] == methods
    assert all(set(one["check"]["curves"]) == {"deletion", "insertion", "random", "centre"} for one in face["maps"])
