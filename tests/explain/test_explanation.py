"""Explanations of the shipped model: where the attribution lies, and that the prediction depends on it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mien.errors import UsageError
from mien.explain import Occlusion, explain
from mien.explain.explanation import explanation_json
from mien.explain.faithfulness import (
    blend,
    blurred,
    centre_first,
    deletion_insertion,
    gaussian_patches,
    randomized_model,
    rank_correlation,
    top_pixels,
)
from mien.explain.occlusion import crop_log_odds, log_odds
from mien.explain.overlay import overlay, side_by_side, top_parts
from mien.explain.page import explanation_page, overview_page


@pytest.fixture(scope="module")
def explained(recognizer, occlusion, smile):
    (one,) = explain(recognizer, smile, [occlusion])
    return one


@pytest.fixture(scope="module")
def checked(recognizer, occlusion, smile):
    pytest.importorskip("onnx", reason="needs onnx: pip install 'mien[train]'")
    (one,) = explain(recognizer, smile, [occlusion], check=True)
    return one


def test_a_smile_is_attributed_to_the_mouth(explained):
    assert explained.label == explained.prediction.emotion == "happy"
    (shown,) = explained.maps
    given = {part.name: part for part in shown.parts}
    assert top_parts(shown)[0] == "mouth"
    assert given["mouth"].share > given["eyes"].share + given["brows"].share
    assert sum(part.share for part in shown.parts) == pytest.approx(1)
    assert sum(part.area for part in shown.parts) == pytest.approx(1)


def test_hiding_the_top_pixels_lowers_the_log_odds(explained, occlusion):
    crop, (shown,) = explained.face_crop, explained.maps
    label = explained.prediction.labels.index("happy")

    def log_odds_without(order):
        occluded = blend(crop, blurred(crop), top_pixels(order, 0.2))
        return crop_log_odds(occlusion.classifier, occluded[None], "fused", label)[0]

    random = np.random.default_rng(0).random(shown.values.shape, np.float32)
    # centre first does not decide on a smile this certain: see benchmarks/explaining.py, over 200 photos
    assert log_odds_without(shown.values) < min(log_odds_without(random), log_odds_without(-shown.values)) - 2


def test_another_expression_can_be_explained(recognizer, occlusion, smile, explained):
    (other,) = explain(recognizer, smile, [occlusion], "neutral")
    assert (other.label, other.prediction.emotion) == ("neutral", "happy")
    assert rank_correlation(other.maps[0].values, explained.maps[0].values) < 0
    with pytest.raises(UsageError, match="received 'glad'"):
        explain(recognizer, smile, [occlusion], "glad")


def test_a_mirrored_face_has_a_mirrored_map(explained, occlusion):
    if not occlusion.classifier.card.mirrored:
        pytest.skip("the shipped model does not average over the mirror image")
    label = explained.prediction.labels.index("happy")
    mirrored = occlusion.attribute(np.ascontiguousarray(explained.face_crop[:, ::-1]), label)
    assert np.abs(mirrored[:, ::-1] - explained.maps[0].values).max() < 0.02 * np.abs(explained.maps[0].values).max()


def test_randomised_layers_change_the_map(checked):
    assert all(abs(correlation) < 0.7 for _, correlation in checked.maps[0].faithfulness.rank_correlations)


def test_curves_start_and_end_at_the_right_probabilities(checked):
    curves = checked.maps[0].faithfulness.curves
    whole = checked.prediction.probability
    for curve in (curves.deletion, curves.random, curves.centre):
        assert curve.probabilities[0] == pytest.approx(whole, abs=1e-5)
    assert curves.insertion.probabilities[-1] == pytest.approx(whole, abs=1e-5)
    assert curves.insertion.probabilities[0] == pytest.approx(curves.deletion.probabilities[-1], abs=1e-5)
    assert curves.deletion.area < min(curves.random.area, curves.centre.area) < curves.insertion.area


def test_randomised_weights_have_the_same_values_and_other_predictions(shipped_model, classifier, explained):
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'mien[train]'")
    some, every = (Occlusion(randomized_model(shipped_model, share), threads=1) for share in (0.1, 1.0))
    rows = [one.classifier.predict(explained.face_crop[None])[0] for one in (some, every)]
    assert all(np.abs(row - classifier.predict(explained.face_crop[None])[0]).max() > 0.05 for row in rows)
    before, after = (
        sorted(np.sort(onnx.numpy_helper.to_array(one).ravel()).tobytes() for one in graph.graph.initializer)
        for graph in map(onnx.load_from_string, (shipped_model, randomized_model(shipped_model, 1.0)))
    )
    assert before == after


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_top_pixels_is_the_requested_share(share):
    chosen = top_pixels(centre_first(10), share)
    assert chosen.sum() == round(100 * share)
    assert not chosen.any() or chosen[5, 5]


def test_deletion_of_a_perfect_map_drops_at_once():
    def predict(crops):
        shown = (crops[:, 2, 2, 0] == 200).astype(np.float32)
        return np.stack([shown, 1 - shown], axis=1)

    crop = np.zeros((12, 12, 1), np.uint8)
    crop[2, 2] = 200
    attribution = (crop[..., 0] > 0).astype(np.float32)
    curves = deletion_insertion(predict, crop, 0, attribution)
    assert curves.deletion.probabilities == (1.0, *[0.0] * 20)
    assert curves.insertion.probabilities == (0.0, *[1.0] * 20)
    assert curves.deletion.area < 0.05 < curves.centre.area


@pytest.mark.parametrize("head", ["fused", "fer2013", "ferplus"])
def test_log_odds_are_those_of_the_probabilities(classifier, explained, head):
    crops = np.stack([explained.face_crop, blurred(explained.face_crop)])
    probabilities = classifier.predict(crops, head).astype(float)
    for label in range(probabilities.shape[1]):
        expected = np.log(probabilities[:, label] / np.delete(probabilities, label, axis=1).sum(axis=1))
        np.testing.assert_allclose(crop_log_odds(classifier, crops, head, label), expected, atol=1e-2)


def test_log_odds_move_where_probabilities_no_longer_do(classifier):
    logits = {"fer2013": np.array([[200.0, *[0.0] * 6], [300.0, *[0.0] * 6]], np.float32)}
    sure, surer = log_odds(classifier.card, logits, "fer2013", 0)
    assert np.isfinite(surer)
    assert surer > sure > 50


def test_patches_cover_every_pixel():
    patches = gaussian_patches(48, 3.0)
    assert patches.shape == (256, 48, 48)
    assert patches.sum(axis=0).min() > 0.5
    assert patches.max() <= 1


def test_rank_correlation_is_of_ranks_with_ties():
    from scipy.stats import spearmanr

    dice = np.random.default_rng(0)
    one, other = (dice.integers(0, 5, (6, 6)).astype(np.float32) for _ in range(2))
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert rank_correlation(one, np.exp(one)) == pytest.approx(1)
    assert rank_correlation(one, np.zeros_like(one)) == 0


def test_colours_show_support_and_opposition():
    view = np.full((96, 96, 3), 128, np.uint8)
    heat = np.zeros((12, 12), np.float32)
    heat[:, :3], heat[:, 9:] = 1, -1
    shown = overlay(view, heat).astype(int)
    assert shown[48, 4, 0] > shown[48, 4, 2] + 50
    assert shown[48, 91, 2] > shown[48, 91, 0] + 50
    assert np.ptp(shown[48, 48]) == 0
    assert np.array_equal(overlay(view, np.zeros((12, 12), np.float32)), view)
    assert overlay(view, heat, side=40).shape == (40, 40, 3)


def test_face_and_overlay_are_side_by_side(explained):
    assert side_by_side(explained).shape == (336, 2 * 336 + 8, 3)


def test_pages_escape_names_and_hold_the_figures(checked):
    page = explanation_page("<b>.png", [checked], "mien")
    assert "<b>.png" not in page
    assert "&lt;b&gt;.png" in page
    for text in ("happy", "mouth", "Faithfulness of occlusion", "deletion", "insertion", "layers randomised"):
        assert text in page
    assert "<script" not in page
    overview = overview_page("Overview", [("<b>.png", "a b.html", [checked])])
    assert 'href="a%20b.html"' in overview
    assert "No face was found" in explanation_page("none.png", [])


def test_the_json_line_is_that_of_predict_and_more(checked):
    line = json.loads(explanation_json("a.png", [checked]))
    (face,) = line["faces"]
    assert (line["source"], face["emotion"], face["explained"]) == ("a.png", "happy", "happy")
    (shown,) = face["maps"]
    assert shown["method"] == "occlusion"
    assert sum(part["share"] for part in shown["parts"].values()) == pytest.approx(1)
    assert len(shown["check"]["curves"]["deletion"]["probabilities"]) == 21
    assert json.loads(explanation_json("b.png", [], "torn"))["error"] == "torn"
