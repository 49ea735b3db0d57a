"""The face detector's lesson: what is composed, what cells learn of it, and a run from drawn scenes to a model file."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")

from typing import TYPE_CHECKING

import cv2
import keras
from PIL import Image

from mien.datasets import scenes
from mien.datasets.scenes import BoxedFaces
from mien.detection.cells import STRIDES
from mien.detection.own import CELL, OwnDetector, decode
from mien.errors import ModelError
from mien.model_store import ModelStore
from mien.training.augmentation import generator
from mien.training.faces.composition import Composer
from mien.training.faces.export import export_detector
from mien.training.faces.lesson import Faces
from mien.training.faces.losses import CellLoss
from mien.training.faces.targets import BOX, COUNTED, LEARNT, NUMBERS, POINTS, SCORE, cells_of, targets_of
from mien.training.fit import Options, teach
from mien.training.recipe import recipe_for
from mien.training.run.directory import MODEL, read_run
from mien.training.zoo.complexity import multiply_adds
from mien.training.zoo.detector import CELLS, face_detector

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.train


def faces(*boxes: tuple[float, float, float, float], score: float = 0.9) -> BoxedFaces:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    inside = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
    points = rows[:, None, :2] + inside * (rows[:, None, 2:] - rows[:, None, :2])
    return BoxedFaces(rows, points, np.full(len(rows), score, np.float32))


def write_scenes(root: Path, count: int = 24) -> Path:
    """Pictures of discs with eyes and a mouth on noise; every fourth has none."""
    root.mkdir()
    random = np.random.default_rng(0)
    with (root / "labels.jsonl").open("w") as listing:
        for number in range(count):
            frame = random.integers(60, 120, (128, 128, 3)).astype(np.uint8)
            known = []
            if number % 4:
                x, y, side = random.integers(50, 78), random.integers(50, 78), random.integers(64, 80)
                box = [float(x - side / 2), float(y - side / 2), float(x + side / 2), float(y + side / 2)]
                drawn = faces(tuple(box))
                cv2.ellipse(frame, (int(x), int(y)), (int(side / 2), int(side / 2)), 0, 0, 360, (230, 200, 180), -1)
                for eye in drawn.points[0, :2].astype(int).tolist():
                    cv2.circle(frame, eye, 5, (20, 20, 20), -1)
                known.append({"box": box, "landmarks": drawn.points[0].ravel().tolist(), "score": 0.9})
            Image.fromarray(frame).save(root / f"{number}.png")
            listing.write(json.dumps({"image": f"{number}.png", "faces": known}) + "\n")
    return root


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> scenes.Scenes:
    return scenes.read(write_scenes(tmp_path_factory.mktemp("drawn") / "set"))


def test_the_network_is_within_its_budget() -> None:
    model = face_detector(320)
    assert model.count_params() <= 100_000
    assert multiply_adds(model) <= 160_000_000


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (160, 32)])
def test_it_takes_any_size_that_is_a_multiple_of_32(size: tuple[int, int]) -> None:
    cells = face_detector().predict_on_batch(np.zeros((2, *size, 3), np.uint8))[CELLS]
    assert cells.shape == (2, sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES), CELL)


@pytest.mark.parametrize(("side", "strides"), [(20, [8]), (34, [8, 16]), (60, [16]), (90, [16, 32]), (150, [32])])
def test_a_face_is_learnt_at_the_strides_of_its_size(side: float, strides: list[int]) -> None:
    targets = targets_of(faces((60, 60, 60 + side, 60 + side)), 256)
    assert targets.shape == (cells_of(256), NUMBERS)
    ends = np.cumsum([(256 // stride) ** 2 for stride in STRIDES])[:-1]
    parts = np.split(targets, ends)
    assert [stride for stride, part in zip(STRIDES, parts, strict=True) if part[:, LEARNT].any()] == strides
    assert (targets[targets[:, LEARNT] > 0, SCORE] == np.float32(0.9)).all()


def test_what_cells_learn_is_what_detectors_decode() -> None:
    known = faces((40, 50, 60, 74), (100, 30, 190, 140))
    targets = targets_of(known, 256)
    cells = np.hstack([np.where(targets[:, [SCORE]] > 0, 9.0, -9.0), targets[:, BOX], targets[:, POINTS]])
    found = decode(cells.astype(np.float32), 256, 256, 0.5)
    assert len(found.scores) >= 2
    for box, points in zip(found.boxes, found.points, strict=True):
        face = int(np.abs(known.boxes - box).sum(axis=1).argmin())
        np.testing.assert_allclose(box, known.boxes[face], atol=1e-3)
        np.testing.assert_allclose(points, known.points[face], atol=1e-3)


@pytest.mark.parametrize("known", [faces((50, 50, 54, 54)), faces((50, 50, 90, 90), score=0.0)], ids=["tiny", "doubt"])
def test_nobody_learns_from_what_may_be_a_face(known: BoxedFaces) -> None:
    targets = targets_of(known, 256)
    assert not targets[:, LEARNT].any()
    assert (targets[:, COUNTED] == 0).any()
    assert targets_of(faces(), 256)[:, COUNTED].all()


def test_the_loss_is_none_where_all_is_right_and_grows_with_each_error() -> None:
    targets = targets_of(faces((100, 100, 150, 150)), 256)[None]
    learnt = targets[0, :, LEARNT] > 0
    right = np.zeros((1, cells_of(256), CELL), np.float32)
    right[..., 0] = np.where(learnt, np.log(0.9 / 0.1), -20)
    right[..., 1:] = targets[..., 3:]

    def loss(cells: np.ndarray) -> float:
        return float(keras.ops.convert_to_numpy(CellLoss()(targets, cells)))

    assert loss(right) == pytest.approx(0.0, abs=1e-3)
    for column, by in ((0, -4.0), (1, 0.3), (3, 0.5), (7, 1.0)):
        wrong = right.copy()
        wrong[0, learnt, column] += by
        assert loss(wrong) > 0.05
    false = right.copy()
    false[0, 0, 0] = 5.0
    assert loss(false) > 0.5


def test_pictures_are_a_function_of_their_number(drawn: scenes.Scenes) -> None:
    composer = Composer(drawn, 128)
    for number in range(20):
        picture, known = composer.compose(generator(0, 1, number))
        again, same = composer.compose(generator(0, 1, number))
        np.testing.assert_array_equal(picture, again)
        np.testing.assert_array_equal(known.boxes, same.boxes)
        assert (picture.shape, picture.dtype) == ((128, 128, 3), np.uint8)
        assert (known.boxes[:, 2:] > known.boxes[:, :2]).all()
    other, _ = composer.compose(generator(1, 1, 0))
    assert not np.array_equal(composer.compose(generator(0, 1, 0))[0], other)


def test_composing_leaves_the_scenes_as_they_are(drawn: scenes.Scenes) -> None:
    before = [frame.copy() for frame, _ in drawn.pictures]
    composer = Composer(drawn, 128)
    for number in range(40):
        composer.compose(generator(3, 1, number))
    for frame, (after, _) in zip(before, drawn.pictures, strict=True):
        np.testing.assert_array_equal(frame, after)


def test_composed_faces_lie_where_the_picture_shows_them(drawn: scenes.Scenes) -> None:
    """The drawn discs are bright: what is inside a box is brighter than what is around it."""
    composer = Composer(drawn, 256)
    brighter = []
    for number in range(60):
        picture, known = composer.compose(generator(5, 1, number))
        for box, score in zip(known.boxes, known.scores, strict=True):
            left, top, right, bottom = box.clip(0, 256).astype(int)
            if score > 0 and right - left > 16 and bottom - top > 16:
                x, y = (left + right) // 2, (top + bottom) // 2
                brighter.append(picture[y - 3 : y + 3, x - 3 : x + 3].mean() > picture.mean())
    assert len(brighter) > 20
    assert np.mean(brighter) > 0.8


def test_a_run_ends_in_a_detector_that_can_be_used(drawn: scenes.Scenes, tmp_path: Path) -> None:
    recipe = replace(recipe_for("face-detector"), epochs=1, warmup_epochs=0.0, batch=8, precision="float32")
    halves = drawn.halves()
    lesson = Faces(*halves, recipe)
    done = teach(lesson, tmp_path / "run", lambda _: None)
    record = read_run(tmp_path / "run")
    assert record.finished
    assert record.facts.parameters == done.model.count_params()
    assert (tmp_path / "run" / "augmentation.png").is_file()
    again = teach(lesson, tmp_path / "run", lambda _: None, Options(resume=True))
    assert again.history == done.history

    card = export_detector(done.model, *halves, recipe, tmp_path / "run" / MODEL)
    detector = OwnDetector(ModelStore().load(tmp_path / "run" / MODEL))
    assert detector.card == card
    assert "drawn" not in card.name
    assert isinstance(detector.detect(drawn.pictures[1][0]), list)
    assert (tmp_path / "run" / MODEL).stat().st_size <= 450_000
    entry = ModelStore().describe(tmp_path / "run" / MODEL)
    assert (entry.kind, entry.name) == ("detector", "faces")


def test_a_classifier_is_no_detector(shipped_model: bytes) -> None:
    with pytest.raises(ModelError, match="expected a model card"):
        OwnDetector(shipped_model)
