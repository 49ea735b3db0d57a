"""The detection task: composed images, targets of grid cells, and a run from drawn scenes to a model file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")
pytest.importorskip("onnx", reason="needs onnx: pip install 'mien[train]'")

from typing import TYPE_CHECKING, ClassVar

import cv2
import keras
import onnx
from skimage.data import astronaut

from drawn_scenes import faces, write_scenes
from mien.data import Dataset, scenes
from mien.data.dataset import truth_of_labels
from mien.detection.grid import CELL_VALUES, STRIDES, cell_corners, decode
from mien.detection.mien_detector import MienDetector
from mien.errors import DatasetError, ModelError
from mien.models.store import ModelStore
from mien.training.architectures.complexity import multiply_adds
from mien.training.architectures.detector import CELLS, face_detector
from mien.training.config import config_for
from mien.training.engine.augmentation import generator
from mien.training.engine.loop import Options, train
from mien.training.run.directory import MODEL, read_run
from mien.training.tasks.detection import task as detection_task
from mien.training.tasks.detection.composition import Composer
from mien.training.tasks.detection.copy_paste import boxed_crops
from mien.training.tasks.detection.export import export_detector
from mien.training.tasks.detection.targets import (
    BOX,
    BOX_LOSS_WEIGHT,
    POINTS,
    SCORE,
    SCORE_LOSS_WEIGHT,
    TARGET_COLUMNS,
    CellLoss,
    cell_targets,
)
from mien.training.tasks.detection.task import STATISTICS_IMAGES, DetectionTask

if TYPE_CHECKING:
    from pathlib import Path

    from mien.data.scenes import BoxedFaces

pytestmark = pytest.mark.train

CELLS_OF_256 = sum((256 // stride) ** 2 for stride in STRIDES)


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
    assert cells.shape == (2, sum((size[0] // stride) * (size[1] // stride) for stride in STRIDES), CELL_VALUES)


@pytest.mark.parametrize(("side", "strides"), [(20, [8]), (34, [8, 16]), (60, [16]), (90, [16, 32]), (150, [32])])
def test_a_face_is_assigned_to_the_strides_of_its_size(side: float, strides: list[int]) -> None:
    targets = cell_targets(faces((60, 60, 60 + side, 60 + side)), 256)
    assert targets.shape == (CELLS_OF_256, TARGET_COLUMNS)
    ends = np.cumsum([(256 // stride) ** 2 for stride in STRIDES])[:-1]
    parts = np.split(targets, ends)
    assert [stride for stride, part in zip(STRIDES, parts, strict=True) if part[:, BOX_LOSS_WEIGHT].any()] == strides
    assert (targets[targets[:, BOX_LOSS_WEIGHT] > 0, SCORE] == np.float32(0.9)).all()


def test_what_cells_learn_is_what_detectors_decode() -> None:
    known = faces((40, 50, 60, 74), (100, 30, 190, 140))
    targets = cell_targets(known, 256)
    cells = np.hstack([targets[:, [SCORE]], targets[:, BOX], targets[:, POINTS]])
    found = decode(cells.astype(np.float32), 256, 256, 0.5)
    assert len(found.scores) >= 2
    for box, points in zip(found.boxes, found.points, strict=True):
        face = int(np.abs(known.boxes - box).sum(axis=1).argmin())
        np.testing.assert_allclose(box, known.boxes[face], atol=1e-3)
        np.testing.assert_allclose(points, known.points[face], atol=1e-3)


@pytest.mark.parametrize("known", [faces((50, 50, 54, 54)), faces((50, 50, 90, 90), score=0.0)], ids=["tiny", "doubt"])
def test_nobody_learns_from_what_may_be_a_face(known: BoxedFaces) -> None:
    targets = cell_targets(known, 256)
    assert not targets[:, BOX_LOSS_WEIGHT].any()
    assert (targets[:, SCORE_LOSS_WEIGHT] == 0).any()
    assert cell_targets(faces(), 256)[:, SCORE_LOSS_WEIGHT].all()


def teacher_cells(*seen: tuple[int, float, BoxedFaces]) -> np.ndarray:
    """Predictions of a teacher that detects faces at given cells with given scores."""
    trained = np.zeros((CELLS_OF_256, CELL_VALUES), np.float32)
    corners, strides = cell_corners(256, 256)
    for row, score, face in seen:
        trained[row, 0] = score
        box, stride = face.boxes[0], strides[row]
        trained[row, 1:3] = (box[:2] + box[2:]) / 2 / stride - corners[row]
        trained[row, 3:5] = np.log((box[2:] - box[:2]) / stride)
        trained[row, 5:] = (face.points[0] / stride - corners[row]).ravel()
    return trained


MIDDLE = 32 * 16 + 16  # the cell of stride 8 at (128, 128)
BELOW = 32 * 17 + 16
FACE = faces((112, 112, 144, 144))
NUDGED = faces((114, 112, 146, 144))


@pytest.mark.parametrize(
    ("detections", "known", "scores"),
    [
        ([], faces(), {}),
        ([(MIDDLE, 0.8, NUDGED), (BELOW, 0.4, NUDGED)], FACE, {MIDDLE: 0.9, BELOW: 0.45}),
        ([(MIDDLE, 0.8, FACE)], faces(), {MIDDLE: 0.2}),
        ([(MIDDLE, 0.1, FACE)], faces(), {MIDDLE: 0.1}),
        ([(MIDDLE, 0.8, FACE)], faces((112, 112, 144, 144), score=0.0), {MIDDLE: 0.8}),
    ],
    ids=["nothing", "both see it", "the teacher alone", "hardly anything", "doubtful"],
)
def test_targets_are_the_teacher_s_corrected_by_labels(
    detections: list[tuple[int, float, BoxedFaces]], known: BoxedFaces, scores: dict[int, float]
) -> None:
    targets = cell_targets(known, 256, teacher_cells(*detections))
    wanted = np.zeros(CELLS_OF_256)
    for row, score in scores.items():
        wanted[row] = score
    np.testing.assert_allclose(targets[:, SCORE], wanted, atol=1e-6)
    np.testing.assert_allclose(targets[:, BOX_LOSS_WEIGHT], np.where(wanted >= 0.3, wanted, 0), atol=1e-6)
    assert targets[:, SCORE_LOSS_WEIGHT].all()


def test_boxes_are_the_mean_of_label_and_teacher_and_landmarks_the_label_s() -> None:
    targets = cell_targets(FACE, 256, teacher_cells((MIDDLE, 0.8, NUDGED)))
    found = decode(np.hstack([targets[:, [SCORE]], targets[:, BOX], targets[:, POINTS]]), 256, 256, 0.5)
    np.testing.assert_allclose(found.boxes, [[113, 112, 145, 144]], atol=1e-4)
    np.testing.assert_allclose(found.points[0], FACE.points[0], atol=1e-4)


def test_a_face_that_the_teacher_misses_is_assigned_as_without_one() -> None:
    blind = teacher_cells()
    np.testing.assert_array_equal(cell_targets(FACE, 256, blind), cell_targets(FACE, 256))
    half = teacher_cells((MIDDLE, 0.45, NUDGED))
    np.testing.assert_array_equal(cell_targets(FACE, 256, half), cell_targets(FACE, 256))
    tiny = cell_targets(faces((112, 112, 122, 122)), 256, blind)
    assert not tiny[:, BOX_LOSS_WEIGHT].any()
    assert (tiny[:, SCORE_LOSS_WEIGHT] == 0).any()


def test_the_teacher_sees_the_image_before_degradation(drawn: scenes.Scenes) -> None:
    class Teacher:
        seen: ClassVar[list[np.ndarray]] = []

        def grid_cells(self, images: np.ndarray) -> np.ndarray:
            self.seen.append(images)
            return np.stack([teacher_cells((MIDDLE, 0.15, FACE))] * len(images))

    config = replace(config_for("face-detector"), batch=8)
    task = DetectionTask(*drawn.split(), config, Teacher())  # type: ignore[arg-type]  # a minimal fake
    batch = next(iter(task.batches(0, 0)))
    assert (Teacher.seen[0] != batch.crops).any()
    assert (batch.targets[CELLS][:, MIDDLE, SCORE] > 0.1).all()


def test_the_loss_is_none_where_all_is_right_and_grows_with_each_error() -> None:
    targets = cell_targets(faces((100, 100, 150, 150)), 256)[None]
    positive = targets[0, :, BOX_LOSS_WEIGHT] > 0
    right = np.zeros((1, CELLS_OF_256, CELL_VALUES), np.float32)
    right[..., 0] = np.where(positive, np.log(0.9 / 0.1), -20)
    right[..., 1:] = targets[..., 3:]

    def loss(cells: np.ndarray) -> float:
        return float(keras.ops.convert_to_numpy(CellLoss()(targets, cells)))

    assert loss(right) == pytest.approx(0.0, abs=1e-3)
    for column, by in ((0, -4.0), (1, 0.3), (3, 0.5), (7, 1.0)):
        wrong = right.copy()
        wrong[0, positive, column] += by
        assert loss(wrong) > 0.05
    false = right.copy()
    false[0, 0, 0] = 5.0
    assert loss(false) > 0.5


def test_images_are_a_function_of_their_number(drawn: scenes.Scenes) -> None:
    composer = Composer(drawn, 128)
    for number in range(20):
        image, _, known = composer.compose(generator(0, 1, number))
        again, _, same = composer.compose(generator(0, 1, number))
        np.testing.assert_array_equal(image, again)
        np.testing.assert_array_equal(known.boxes, same.boxes)
        assert (image.shape, image.dtype) == ((128, 128, 3), np.uint8)
        assert (known.boxes[:, 2:] > known.boxes[:, :2]).all()
    other, *_ = composer.compose(generator(1, 1, 0))
    assert not np.array_equal(composer.compose(generator(0, 1, 0))[0], other)


def test_composing_leaves_the_scenes_as_they_are(drawn: scenes.Scenes) -> None:
    before = [frame.copy() for frame, _ in drawn.images]
    composer = Composer(drawn, 128)
    for number in range(40):
        composer.compose(generator(3, 1, number))
    for frame, (after, _) in zip(before, drawn.images, strict=True):
        np.testing.assert_array_equal(frame, after)


def test_composed_faces_lie_where_the_image_shows_them(drawn: scenes.Scenes) -> None:
    """The drawn discs are bright: what is inside a box is brighter than what is around it."""
    composer = Composer(drawn, 256)
    brighter = []
    for number in range(60):
        _, image, known = composer.compose(generator(5, 1, number))
        for box, score in zip(known.boxes, known.scores, strict=True):
            left, top, right, bottom = box.clip(0, 256).astype(int)
            if score > 0 and right - left > 16 and bottom - top > 16:
                x, y = (left + right) // 2, (top + bottom) // 2
                brighter.append(image[y - 3 : y + 3, x - 3 : x + 3].mean() > image.mean())
    assert len(brighter) > 20
    assert np.mean(brighter) > 0.8


def test_crops_are_pasted_into_scenes_and_known_there(drawn: scenes.Scenes) -> None:
    white = np.full((48, 48, 1), 255, np.uint8), faces((4, 2, 44, 46))
    plain, with_crops = Composer(drawn, 256), Composer(drawn, 256, [white])
    pairs = [[of.compose(generator(7, 1, number)) for of in (plain, with_crops)] for number in range(40)]
    changed = [one for other, one in pairs if (one.clear != other.clear).any()]
    assert 2 < len(changed) < 30
    for one in changed:
        boxes = one.faces.boxes[one.faces.scores > 0].clip(0, 256).astype(int)
        brightest = max(one.clear[top:bottom, left:right].mean() for left, top, right, bottom in boxes)
        assert brightest > 100


def test_crops_with_a_confident_detection_are_kept_with_their_face() -> None:
    face = cv2.resize(astronaut()[66:166, 172:272], (48, 48), interpolation=cv2.INTER_AREA)
    crops = np.stack([face, np.full_like(face, 90), face])
    splits = np.array(["Training", "Training", "PublicTest"])
    data = Dataset("made", crops, (truth_of_labels(["happy"] * 3),), splits, np.array(["1", "2", "3"]), "0" * 64)
    ((crop, known),) = boxed_crops(data, MienDetector(ModelStore().load("faces")))
    assert (crop.shape, crop.dtype) == ((48, 48, 1), np.uint8)
    (box,) = known.boxes
    assert ((box[2:] - box[:2]) > 20).all()
    assert (np.abs((box[:2] + box[2:]) / 2 - 24) < 6).all()
    right_eye, left_eye, *_ = known.points[0]
    assert right_eye[0] < 24 < left_eye[0]
    with pytest.raises(DatasetError, match="received 'Training'"):  # a test's faces are never pasted
        boxed_crops(data.split("PublicTest"), MienDetector(ModelStore().load("faces")))
    assert (known.points[0, :2, 1] < 26).all()


@pytest.mark.backend
@pytest.mark.parametrize("statistics_images", [32, pytest.param(STATISTICS_IMAGES, marks=pytest.mark.long)])
def test_a_run_ends_in_a_detector_that_can_be_used(
    drawn: scenes.Scenes, statistics_images: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most of the time of so short a run is for the images that batch normalisation is estimated from."""
    monkeypatch.setattr(detection_task, "STATISTICS_IMAGES", statistics_images)
    config = replace(config_for("face-detector"), epochs=1, warmup_epochs=0.0, batch=8, precision="float32")
    halves = drawn.split()
    task = DetectionTask(*halves, config)
    done = train(task, tmp_path / "run", lambda _: None)
    record = read_run(tmp_path / "run")
    assert record.finished
    assert record.run_info.parameters == done.model.count_params()
    assert (tmp_path / "run" / "augmentation.png").is_file()
    again = train(task, tmp_path / "run", lambda _: None, Options(resume=True))
    assert again.history == done.history

    card = export_detector(done.model, *halves, config, tmp_path / "run" / MODEL)
    detector = MienDetector(ModelStore().load(tmp_path / "run" / MODEL))
    assert detector.card == card
    assert "drawn" not in card.name
    assert isinstance(detector.detect(drawn.images[1][0]), list)
    assert (tmp_path / "run" / MODEL).stat().st_size <= 450_000
    operators = [node.op_type for node in onnx.load(tmp_path / "run" / MODEL).graph.node]
    assert "Conv" in operators
    assert "Pad" not in operators  # a third of the time
    entry = ModelStore().describe(tmp_path / "run" / MODEL)
    assert (entry.kind, entry.name) == ("detector", "faces")


def test_a_classifier_is_no_detector(shipped_model: bytes) -> None:
    with pytest.raises(ModelError, match="expected a model card"):
        MienDetector(shipped_model)
