"""The robustness suite: each corruption changes face crops as it says, and the scores under it are those of such face
crops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mien.data import load as load_dataset
from mien.evaluation.evaluate import evaluate_crops
from mien.evaluation.robustness import SUITE, corrupt, evaluate_robustness

NAMES = [f"{corruption.kind} {corruption.step}" for corruption in SUITE]


def crops(channels: int = 1, side: int = 48) -> np.ndarray:
    """A bright disc with a dark dot where each eye is, three times, each darker than the last."""
    rows, columns = np.indices((side, side)) / side
    face = np.hypot(rows - 0.5, columns - 0.5) < 0.4
    eyes = (np.hypot(rows - 0.39, columns - 0.33) < 0.06) | (np.hypot(rows - 0.39, columns - 0.67) < 0.06)
    grey = (40 + 160 * face - 140 * (face & eyes)).astype(np.float64)
    shades = np.stack([grey, 0.8 * grey, 0.6 * grey])[..., None]
    return np.repeat(shades, channels, axis=3).astype(np.uint8)


def under(name: str, of: np.ndarray) -> np.ndarray:
    return corrupt(SUITE[NAMES.index(name)], of)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_crops_keep_their_form_and_are_changed_alike_each_time(name: str, channels: int) -> None:
    before = crops(channels)
    after = under(name, before)
    assert (after.shape, after.dtype) == (before.shape, np.uint8)
    assert (after != before).any()
    np.testing.assert_array_equal(after, under(name, before))
    np.testing.assert_array_equal(before, crops(channels))


def test_a_wide_crop_shows_the_face_smaller_and_a_tight_one_larger() -> None:
    def bright(of: np.ndarray) -> float:
        return float((of[0] > 150).mean())

    assert bright(under("scale 1.35 times", crops())) == pytest.approx(bright(crops()) / 1.35**2, rel=0.1)
    assert bright(under("scale 0.85 times", crops())) == pytest.approx(bright(crops()) / 0.85**2, rel=0.1)


@pytest.mark.parametrize(
    ("words", "axis", "by"), [("right", 1, 7.2), ("left", 1, -7.2), ("up", 0, -7.2), ("down", 0, 7.2)]
)
def test_a_shift_moves_the_face(words: str, axis: int, by: float) -> None:
    def middle(of: np.ndarray) -> float:
        return float(np.nonzero(of[0, ..., 0] > 150)[axis].mean())

    moved = middle(under(f"shift 15 % {words}", crops())) - middle(crops())
    assert moved == pytest.approx(by, abs=1.0)  # the far edge leaves the face crop


def test_light_and_covering_do_what_they_say() -> None:
    np.testing.assert_allclose(under("brightness 0.5 times", crops()), crops() / 2, atol=0.51)
    covered = under("occlusion mouth", crops())
    np.testing.assert_array_equal(covered[:, :29], crops()[:, :29])
    assert (covered[:, 31:] == 40).all()
    assert under("noise 25 of 255", np.full((1, 48, 48, 1), 128, np.uint8)).std() == pytest.approx(25, rel=0.1)


@pytest.mark.shared
def test_the_scores_are_those_of_the_changed_crops(classifier, shared) -> None:
    data = load_dataset(shared / "data" / "fer2013").split("PublicTest").select(np.arange(300))
    told: list[float] = []
    stood = evaluate_robustness(classifier, data, "fer2013", told.append)
    assert [(one.kind, one.step) for one in stood] == [("none", "original"), *((h.kind, h.step) for h in SUITE)]
    assert told[-1] == 1.0
    hardest = NAMES.index("noise 25 of 255")
    changed = dataclasses.replace(data, crops=corrupt(SUITE[hardest], data.crops))
    again = evaluate_crops(classifier, changed, "fer2013").report.metrics
    assert (stood[hardest + 1].metrics.confusion == again.confusion).all()
    assert again.accuracy < stood[0].metrics.accuracy
