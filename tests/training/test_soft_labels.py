"""Soft labels: their file, how they are blended with the data's own, and which data they are for. Needs no Keras."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tasks_drawn import PATTERNS, QUICK, drawn, drawn_with_votes

from mien.errors import TrainingError
from mien.training.distillation import soft_labels
from mien.training.distillation.soft_labels import (
    SoftHead,
    SoftLabels,
    blend_soft_labels,
    read,
    soft_labels_for,
    soft_labels_from,
    soft_labels_setting,
    without_foreign_soft_labels,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mien.data.dataset import Dataset

MADE = json.dumps({"by": "a test"})


def teacher_labels(data: Dataset, seed: int = 0) -> SoftLabels:
    """Soft labels of all rows and heads of a data set, drawn."""
    random = np.random.default_rng(seed)
    heads = {
        truth.head: (tuple(map(str, truth.labels)), random.dirichlet(np.ones(len(truth.labels)), len(data)))
        for truth in data.truths
    }
    return soft_labels_from(data.crops, heads, MADE)


def blended(own: list[float], weight: float, soft: list[float], share: float) -> tuple[list[float], float]:
    """What becomes of the target and the weight of one row under two labels."""
    data = drawn(each=1).select([0])
    truth = replace(data.truths[0], labels=("a", "b"), targets=np.array([own], np.float32),
                    weights=np.array([weight], np.float32))  # fmt: skip
    data = replace(data, truths=(truth,))
    trained = blend_soft_labels(
        data, soft_labels_from(data.crops, {truth.head: (("a", "b"), np.array([soft]))}, MADE), share
    ).truths[0]
    return trained.targets[0].tolist(), float(trained.weights[0])


@pytest.mark.parametrize(
    ("weight", "share", "target", "counts"),
    [
        (1.0, 0.0, [1.0, 0.0], 1.0),
        (1.0, 0.5, [0.625, 0.375], 1.0),
        (1.0, 1.0, [0.25, 0.75], 1.0),
        (0.0, 0.0, [1.0, 0.0], 0.0),
        (0.0, 0.5, [0.25, 0.75], 0.5),
        (0.0, 1.0, [0.25, 0.75], 1.0),
        (3.0, 0.5, [0.8125, 0.1875], 2.0),
        (2.0, 0.25, [(1.5 + 0.0625) / 1.75, 0.1875 / 1.75], 1.75),
    ],
)
def test_targets_and_weights_are_blended(weight: float, share: float, target: list[float], counts: float) -> None:
    found, counted = blended([1.0, 0.0], weight, [0.25, 0.75], share)
    assert found == pytest.approx(target, abs=1e-6)
    assert counted == pytest.approx(counts)


def test_learning_from_the_blend_is_learning_from_both() -> None:
    logs, own, soft, weight, share = np.log([0.3, 0.7]), [0.0, 1.0], [0.25, 0.75], 1.6, 0.3
    target, counted = blended(own, weight, soft, share)
    both = (1 - share) * weight * -(own @ logs) + share * -(soft @ logs)
    assert counted * -(target @ logs) == pytest.approx(both)


def test_rows_that_are_not_known_stay_as_they_are() -> None:
    data = drawn_with_votes(each=4)
    trained = blend_soft_labels(data, teacher_labels(data.select(np.arange(8))), 0.5)
    for before, after in zip(data.truths, trained.truths, strict=True):
        assert (after.targets[8:] == before.targets[8:]).all()
        assert (after.weights[8:] == before.weights[8:]).all()
        assert (after.targets[:8] != before.targets[:8]).any(axis=1).all()
        assert (after.evaluated == before.evaluated).all()


def test_rows_are_found_by_their_pixels_in_any_order() -> None:
    data = drawn(each=3)
    order = np.random.default_rng(1).permutation(len(data))
    soft = teacher_labels(data)
    given, found = blend_soft_labels(data, soft, 1.0), blend_soft_labels(data.select(order), soft, 1.0)
    assert (found.truths[0].targets == given.truths[0].targets[order]).all()


def test_heads_that_are_not_known_stay_as_they_are() -> None:
    data = drawn_with_votes(each=2)
    soft = teacher_labels(data)
    trained = blend_soft_labels(data, replace(soft, heads=soft.heads[1:]), 0.5)
    assert trained.truths[0] is data.truths[0]
    assert trained.truths[1].weights.tolist() != data.truths[1].weights.tolist()


@pytest.mark.parametrize("labels", [PATTERNS[::-1], PATTERNS[1:]], ids=["order", "number"])
def test_other_labels_are_refused(labels: tuple[str, ...]) -> None:
    data = drawn(each=2)
    soft = soft_labels_from(data.crops, {"classes": (labels, np.full((16, len(labels)), 1 / len(labels)))}, MADE)
    with pytest.raises(TrainingError, match="in this order"):
        blend_soft_labels(data, soft, 0.5)


def test_of_equal_images_the_first_is_kept() -> None:
    crops = np.repeat(drawn(each=1).crops[:1], 3, axis=0)
    soft = soft_labels_from(crops, {"classes": (("a", "b"), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))}, MADE)
    assert soft.heads[0].probabilities.tolist() == [[1.0, 0.0]]
    assert soft.rows_of(crops).tolist() == [0, 0, 0]


# -- the file


def test_a_file_is_read_back_whole(tmp_path: Path) -> None:
    soft = teacher_labels(drawn_with_votes(each=4))
    soft.save(tmp_path / "new" / "labels")
    found = read(tmp_path / "new" / "labels")
    assert (found.keys == soft.keys).all()
    assert found.provenance == MADE
    for before, after in zip(soft.heads, found.heads, strict=True):
        assert (after.head, after.labels) == (before.head, before.labels)
        assert (after.probabilities == before.probabilities).all()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["labels"]


def arrays_of(soft: SoftLabels, folder: Path) -> dict[str, np.ndarray]:
    soft.save(folder / "good.npz")
    with np.load(folder / "good.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda arrays: arrays.update(format=np.array("other")), id="another format"),
        pytest.param(lambda arrays: arrays.pop("keys"), id="no keys"),
        pytest.param(lambda arrays: arrays.pop("classes.probabilities"), id="no probabilities"),
        pytest.param(lambda arrays: arrays.update(heads=np.array([], dtype=str)), id="no heads"),
        pytest.param(lambda arrays: arrays.update(keys=arrays["keys"][::-1]), id="keys in disorder"),
        pytest.param(lambda arrays: arrays.update(keys=arrays["keys"][1:]), id="rows without a key"),
        pytest.param(lambda arrays: arrays.update(keys=arrays["keys"].astype(np.int64)), id="other keys"),
        pytest.param(
            lambda arrays: arrays.update({"classes.probabilities": arrays["classes.probabilities"] * 2}),
            id="sums of two",
        ),
        pytest.param(
            lambda arrays: arrays.update({"classes.probabilities": arrays["classes.probabilities"] * np.nan}),
            id="not a number",
        ),
        pytest.param(
            lambda arrays: arrays.update({"classes.probabilities": arrays["classes.probabilities"][:, 1:]}),
            id="a column missing",
        ),
        pytest.param(lambda arrays: arrays.update(keys=arrays["keys"].astype(object)), id="pickled inside"),
    ],
)
def test_a_file_of_something_else_is_refused(spoil: Callable[[dict[str, np.ndarray]], object], tmp_path: Path) -> None:
    arrays = arrays_of(teacher_labels(drawn(each=2)), tmp_path)
    spoil(arrays)
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(TrainingError, match="expected a file of soft labels at"):
        read(tmp_path / "bad.npz")


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("a pickle was opened",))


def test_torn_absent_and_pickled_files_are_refused(tmp_path: Path) -> None:
    teacher_labels(drawn(each=2)).save(tmp_path / "good.npz")
    whole = (tmp_path / "good.npz").read_bytes()
    (tmp_path / "torn.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "pickled.npz").write_bytes(pickle.dumps(Trap()))
    np.save(tmp_path / "one-array.npy", np.zeros(3))
    for name in ("torn.npz", "pickled.npz", "one-array.npy", "absent.npz"):
        with pytest.raises(TrainingError, match="expected a file of soft labels at"):
            read(tmp_path / name)


# -- which data they are for


def test_a_file_that_ships_is_left_aside_where_it_is_of_other_data(tmp_path: Path) -> None:
    data = drawn(each=4)
    config = replace(QUICK, soft_labels="mine")
    for known, fits in ((32, True), (16, True), (15, False)):
        teacher_labels(data.select(np.arange(known))).save(tmp_path / "mine-soft-labels.npz")
        assert (soft_labels_for(config, data, tmp_path) is not None) == fits
        assert without_foreign_soft_labels(config, data, tmp_path) == (config if fits else QUICK)


def test_a_file_that_was_named_must_be_of_the_data(tmp_path: Path) -> None:
    data = drawn(each=4)
    config = replace(QUICK, soft_labels=str(tmp_path / "mine.npz"))
    teacher_labels(data.select([0])).save(tmp_path / "mine.npz")
    assert without_foreign_soft_labels(config, data) == config
    teacher_labels(drawn(each=4, seed=1)).save(tmp_path / "mine.npz")
    with pytest.raises(TrainingError, match="cover 0% of its rows"):
        without_foreign_soft_labels(config, data)
    soft = teacher_labels(data)
    replace(soft, heads=(replace(soft.heads[0], head="other"),)).save(tmp_path / "mine.npz")
    with pytest.raises(TrainingError, match=r"these of its heads: \[\]"):
        without_foreign_soft_labels(config, data)


def test_no_soft_labels_are_none() -> None:
    assert soft_labels_for(QUICK, drawn(each=1)) is None
    assert without_foreign_soft_labels(QUICK, drawn(each=1)) == QUICK


def test_what_a_user_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    assert [soft_labels_setting(text) for text in ("none", "fer2013", "mine", "a.npz")] == [
        "", "fer2013", str(tmp_path / "mine"), str(tmp_path / "a.npz"),
    ]  # fmt: skip


def test_a_head_of_other_numbers_is_refused() -> None:
    with pytest.raises(TrainingError, match="expected float16"):
        SoftHead("classes", ("a", "b"), np.full((3, 2), 0.5, np.float32))  # type: ignore[arg-type]


def test_all_files_that_ship_can_be_read() -> None:
    shipped = sorted(soft_labels.SHIPPED_FOLDER.glob("*-soft-labels.npz"))
    assert [path.name for path in shipped] == ["fer2013-soft-labels.npz"]
    for path in shipped:
        assert json.loads(read(path).provenance)["runs"], path.name


@pytest.mark.train
def test_only_learning_sees_them(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    from mien.training.tasks.classification.compilation import class_balanced
    from mien.training.tasks.classification.task import training_targets

    data = drawn(each=4)
    teacher_labels(data).save(tmp_path / "mine.npz")
    config = replace(QUICK, balance="weights", soft_labels=str(tmp_path / "mine.npz"), distillation_weight=0.5)
    own, trained = class_balanced(data, config).truths[0], training_targets(data, config).truths[0]
    assert trained.weights == pytest.approx(0.5 * own.weights + 0.5)
    assert (data.truths[0].targets.max(axis=1) == 1).all()
    assert training_targets(data, QUICK) is data
