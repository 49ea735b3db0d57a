"""Faces are found where they are, framed alike by every detector, and none where there is none."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut, coffee

from mien.classification.face_crop import crop
from mien.detection import (
    SHIPPED_DETECTOR,
    HaarDetector,
    MienDetector,
    WholeImageDetector,
    YuNetDetector,
    crop_rule_for,
)
from mien.detection.grid import decode, largest_first, non_max_suppression, resize_longest_side
from mien.detection.yunet import OUTPUTS, cells_from
from mien.errors import ImageError, ModelError
from mien.media.image import read
from mien.media.resampling import Pyramid
from mien.models.card import CropRule
from mien.models.store import ModelStore
from mien.structures import Box, Face, box_iou

SHARED = Path(__file__).resolve().parents[3] / "shared"
YUNET = SHARED / "models" / "yunet_n_dynamic.onnx"
ASTRONAUT = Box(178, 65, 270, 176)

needs_shared = pytest.mark.skipif(not YUNET.exists(), reason="needs ../shared/data and YuNet's file")
NAMES = ["mien", "haar", pytest.param("yunet", marks=[pytest.mark.shared, needs_shared])]


@pytest.fixture(scope="module")
def detectors():
    shipped = MienDetector(ModelStore().load(SHIPPED_DETECTOR))
    made = {"mien": shipped, "haar": HaarDetector(), "whole": WholeImageDetector()}
    return made | ({"yunet": YuNetDetector(YUNET, threads=1)} if YUNET.exists() else {})


# -- what detectors share


@pytest.mark.parametrize(
    ("boxes", "scores", "over_smaller", "kept"),
    [
        ([], [], False, []),
        ([(0, 0, 10, 10)], [0.1], False, [0]),
        ([(0, 0, 10, 10), (20, 0, 30, 10)], [0.5, 0.9], False, [1, 0]),
        ([(0, 0, 10, 10), (1, 1, 11, 11)], [0.5, 0.9], False, [1]),
        ([(0, 0, 10, 10), (0, 6, 10, 16)], [0.9, 0.5], False, [0, 1]),  # IoU 0.25
        ([(0, 0, 10, 10), (0, 0, 10, 10)], [0.7, 0.7], False, [0]),  # a tie: the first
        ([(0, 0, 10, 10), (0, 4, 10, 14), (0, 8, 10, 18)], [0.8, 0.9, 0.7], False, [1]),
        ([(0, 0, 10, 10), (0, 4, 10, 14), (0, 8, 10, 18)], [0.9, 0.8, 0.7], False, [0, 2]),  # greedy: 1 removes nothing
        ([(0, 0, 40, 40), (5, 5, 15, 15)], [0.9, 0.5], False, [0, 1]),
        ([(0, 0, 40, 40), (5, 5, 15, 15)], [0.5, 0.9], True, [1]),
    ],
)
def test_suppression_keeps_the_best_box_of_each_face(boxes, scores, over_smaller, kept):
    boxes, scores = np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32)
    assert non_max_suppression(boxes, scores, 0.3, over_smaller=over_smaller) == kept


@pytest.mark.parametrize(
    ("other", "over_smaller", "share"),
    [
        ((0, 0, 10, 10), False, 1.0),
        ((5, 0, 15, 10), False, 1 / 3),
        ((0, 0, 5, 5), False, 0.25),
        ((0, 0, 5, 5), True, 1.0),
        ((10, 0, 20, 10), False, 0.0),
        ((30, 30, 40, 40), True, 0.0),
    ],
)
def test_intersection_over_union(other, over_smaller, share):
    box, others = np.array((0, 0, 10, 10), np.float32), np.array([other], np.float32)
    assert box_iou(box, others.T, over_smaller=over_smaller) == pytest.approx([share])
    if not over_smaller:
        assert Box(0, 0, 10, 10).iou(Box(*other)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("shape", "max_enlargement", "resized", "pixel_size"),
    [
        ((100, 50), 1.0, (100, 50), (1.0, 1.0)),
        ((400, 200), 1.0, (100, 50), (4.0, 4.0)),
        ((100, 300), 1.0, (33, 100), (3.0, 100 / 33)),
        ((10_000, 1), 1.0, (100, 1), (1.0, 100.0)),
        ((1, 1), 1.0, (1, 1), (1.0, 1.0)),
        ((20, 10), 1.0, (20, 10), (1.0, 1.0)),
        ((20, 10), 2.0, (40, 20), (0.5, 0.5)),
        ((80, 40), 2.0, (100, 50), (0.8, 0.8)),
    ],
)
def test_images_are_scaled_to_the_longest_side(shape, max_enlargement, resized, pixel_size):
    image, found = resize_longest_side(Pyramid(np.zeros((*shape, 3), np.uint8)), 100, max_enlargement)
    assert image.shape == (*resized, 3)
    assert found == pytest.approx(pixel_size)


def test_the_largest_face_comes_first():
    small, large = Face(Box(0, 0, 5, 5), confidence=1.0), Face(Box(0, 0, 9, 9), confidence=0.1)
    assert largest_first([small, large]) == [large, small]


# -- YuNet's maps


def maps(width: int, height: int) -> dict[str, np.ndarray]:
    """YuNet's twelve outputs for an image in which it sees nothing."""
    sizes = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    return {
        name: np.zeros((1, (width // int(stride)) * (height // int(stride)), sizes[kind]), np.float32)
        for name in OUTPUTS
        for kind, stride in [name.split("_")]
    }


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_a_cell_becomes_a_box_its_landmarks_and_a_score(stride):
    outputs = maps(width=128, height=64)
    column, row = 1, 1
    cell = row * (128 // stride) + column
    outputs[f"cls_{stride}"][0, cell] = 0.81
    outputs[f"obj_{stride}"][0, cell] = 1.0
    outputs[f"bbox_{stride}"][0, cell] = [0.5, -0.25, np.log(2), np.log(4)]
    outputs[f"kps_{stride}"][0, cell] = np.arange(10) / 10
    found = decode(cells_from(outputs)[0], 64, 128, 0.5)
    x, y = 1.5 * stride, 0.75 * stride
    assert found.boxes == pytest.approx(np.array([[x - stride, y - 2 * stride, x + stride, y + 2 * stride]]), abs=1e-4)
    assert found.points[0] == pytest.approx((1 + np.arange(10).reshape(5, 2) / 10) * stride, abs=1e-4)
    assert found.scores == pytest.approx([0.9])


@pytest.mark.parametrize(
    ("likely", "object_", "least", "score"),
    [
        (0.64, 1.0, 0.8, 0.8),
        (0.64, 1.0, 0.81, None),
        (1.2, 1.5, 0.6, 1.0),
        (-1.0, 1.0, 0.1, None),
        (0.5, 0.5, 0.5, 0.5),
    ],
)
def test_a_score_is_the_root_of_both_maps_clipped_to_0_and_1(likely, object_, least, score):
    outputs = maps(64, 64)
    outputs["cls_16"][0, 3], outputs["obj_16"][0, 3] = likely, object_
    assert decode(cells_from(outputs)[0], 64, 64, least).scores.tolist() == pytest.approx(
        [] if score is None else [score]
    )


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04"])
def test_what_is_no_yunet_is_refused(content):
    with pytest.raises(ModelError, match="expected"):
        YuNetDetector(content)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"none\.onnx"):
        YuNetDetector(tmp_path / "none.onnx")


@pytest.mark.shared
@needs_shared
def test_red_and_blue_reach_yunet_the_right_way_round(detectors):
    face, swapped = (detectors["yunet"].detect(frame)[0] for frame in (astronaut(), astronaut()[..., ::-1]))
    assert face.confidence == pytest.approx(0.9447, abs=2e-3)
    assert abs(face.confidence - swapped.confidence) > 5e-3


@pytest.mark.shared
@needs_shared
def test_yunet_s_landmarks_lie_on_the_astronaut_s_face(detectors):
    marks = detectors["yunet"].detect(astronaut())[0].landmarks
    found = np.array([marks.right_eye, marks.left_eye, marks.nose, marks.right_mouth, marks.left_mouth])
    seen = np.array([(203, 104), (247, 104), (224, 128), (204, 143), (243, 144)])  # read off the image
    assert np.abs(found - seen).max() < 8


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize("side", [60, 150, 400, 1600])
def test_yunet_finds_a_face_that_fills_the_frame(detectors, side):
    close = cv2.resize(astronaut()[60:185, 165:285], (side, side), interpolation=cv2.INTER_AREA)
    faces = detectors["yunet"].detect(close)
    assert len(faces) == 1
    assert faces[0].box.height > 0.7 * side


# -- the same of every detector


@pytest.mark.parametrize("name", NAMES)
def test_the_astronaut_has_one_face_framed_brow_to_chin(detectors, name):
    faces = detectors[name].detect(astronaut())
    assert len(faces) == 1
    assert faces[0].box.iou(ASTRONAUT) > 0.7
    assert 0.5 < faces[0].confidence <= 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factor", [2, 6])
def test_a_large_image_gives_the_same_box(detectors, name, factor):
    large = cv2.resize(astronaut(), None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    box = detectors[name].detect(large)[0].box
    edges = np.array([box.left, box.top, box.right, box.bottom]) / factor
    assert Box(*edges.tolist()).iou(detectors[name].detect(astronaut())[0].box) > 0.75


@pytest.mark.parametrize("name", NAMES)
def test_faces_come_largest_first(detectors, name):
    frame = np.full((512, 800, 3), 128, np.uint8)
    frame[:256, :256] = cv2.resize(astronaut(), (256, 256), interpolation=cv2.INTER_AREA)
    frame[:, 288:] = astronaut()
    faces = detectors[name].detect(frame)
    assert len(faces) == 2
    assert faces[0].box.left > 288 > faces[1].box.right


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 10_000), (10_000, 1), (31, 33), (3000, 4000)])
@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_image_of_any_size_has_no_face(detectors, name, shape, level):
    assert detectors[name].detect(np.full((*shape, 3), level, np.uint8)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_cup_of_coffee_has_no_face(detectors, name):
    assert detectors[name].detect(coffee()) == []


@pytest.mark.parametrize("name", [*NAMES, "whole"])
@pytest.mark.parametrize("wrong", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)])
def test_an_array_that_is_no_image_is_refused(detectors, name, wrong):
    with pytest.raises(ImageError):
        detectors[name].detect(wrong)


@pytest.mark.parametrize("name", NAMES)
def test_threads_share_a_detector(detectors, name):
    frames = [astronaut(), astronaut()[:, ::-1], coffee()] * 3
    alone = [detectors[name].detect(frame) for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detectors[name].detect, frames)) == alone


# -- whole, and names


@pytest.mark.parametrize("shape", [(48, 48), (1, 1), (30, 60)])
def test_whole_takes_the_image_as_the_face_whatever_the_card_says(shape):
    frame = np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)
    detector = WholeImageDetector()
    (face,) = detector.detect(frame)
    assert face == Face(Box(0, 0, shape[1], shape[0]))
    side = max(shape)
    face_crop = crop(frame, face, crop_rule_for(detector, CropRule(factor=1.3, align_beyond=5)), side, 3)
    top, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    assert np.array_equal(face_crop[top : top + shape[0], left : left + shape[1]], frame)


def test_the_card_s_rule_holds_for_other_detectors():
    rule = CropRule(factor=1.3)
    assert crop_rule_for(HaarDetector(), rule) is rule


# -- real images


GROUPS = {"couple": 2, "crowd": 1, "no-faces": 0, "selfie-many-people": 5, "stage": 1}
"""Faces seen from the front and not cut by the frame; others may be found as well where there is one."""


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize(("image", "faces"), GROUPS.items())
@pytest.mark.parametrize("name", ["mien", "yunet"])
def test_every_frontal_face_of_a_group_is_found(detectors, name, image, faces):
    found = detectors[name].detect(read(SHARED / "data" / "groups" / f"{image}.jpg"))
    others = {"crowd": 3, "selfie-many-people": 2}.get(image, 0)
    assert faces <= len(found) <= faces + others


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize("name", ["mien", "haar"])
def test_no_face_is_found_in_a_cartoon(detectors, name):
    assert detectors[name].detect(read(SHARED / "data" / "groups" / "no-faces.jpg")) == []


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize(
    ("name", "every", "most"),
    [("mien", 4, 0.025), ("yunet", 4, 0.02), pytest.param("haar", 16, 0.06, marks=pytest.mark.long)],
)
def test_close_portraits_are_seldom_missed(detectors, name, every, most):
    paths = sorted((SHARED / "data" / "photos").glob("*.jpg"))[::every]
    found = [detectors[name].detect(read(path)) for path in paths]
    assert np.mean([not faces for faces in found]) <= most
    assert np.mean([len(faces) > 1 for faces in found]) <= 0.02


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize("other", ["mien", pytest.param("haar", marks=pytest.mark.long)])
def test_every_detector_frames_faces_as_yunet_does(detectors, other):
    paths = sorted((SHARED / "data" / "photos").glob("*.jpg"))[5::20]
    pairs = [[detectors[name].detect(read(path)) for name in (other, "yunet")] for path in paths]
    boxes = [(one[0].box, yunet[0].box) for one, yunet in pairs if one and yunet]
    ratios = [max(one.width, one.height) / max(other.width, other.height) for one, other in boxes]
    shifts = [(np.array(one.centre) - np.array(other.centre)) / other.height for one, other in boxes]
    assert len(boxes) > 30
    assert np.median(ratios) == pytest.approx(1, abs=0.05)
    assert np.median(shifts, axis=0) == pytest.approx([0, 0], abs=0.03)


@pytest.mark.parametrize("shape", [(70, 300), (333, 517), (64, 64), (900, 140)])
def test_what_is_found_in_noise_is_defined(shape):
    """With a threshold so low that cells of noise pass for faces, some of them beyond the edge."""
    detector = MienDetector(ModelStore().load(SHIPPED_DETECTOR), score_threshold=0.005)
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    faces = detector.detect(frame)
    assert faces
    for face in faces:
        assert 0.005 <= face.confidence <= 1
        assert max(face.box.width, face.box.height) >= 16
        assert -180 <= face.landmarks.yaw <= 180


def test_an_uncertain_face_is_rescored():
    class AlwaysUncertain(MienDetector):
        uncertain_scores = (0.0, 1.0)

    certain, uncertain = (kind(ModelStore().load(SHIPPED_DETECTOR)) for kind in (MienDetector, AlwaysUncertain))
    (face,), (again,) = certain.detect(astronaut()), uncertain.detect(astronaut())
    assert face.box == again.box
    assert face.confidence != again.confidence
    assert again.confidence > 0.6


@pytest.mark.parametrize(("times", "score", "kept"), [(8, 0.55, False), (8, 0.62, True), (4, 0.55, True)])
def test_next_to_a_large_face_a_tiny_one_needs_a_higher_score(times, score, kept):
    class Rescoring(MienDetector):
        uncertain_scores = (0.45, 0.46)

    large, tiny = Face(Box(0, 0, 200, 200), confidence=0.9), Face(Box(300, 0, 300 + 200 / times, 20), confidence=score)
    detector = Rescoring(ModelStore().load(SHIPPED_DETECTOR), score_threshold=0.5)
    kept_faces = detector.rescore(np.zeros((400, 400, 3), np.uint8), [large, tiny])
    assert kept_faces == ([large, tiny] if kept else [large])
    assert detector.rescore(np.zeros((400, 400, 3), np.uint8), [tiny]) == [tiny]


def test_an_uncertain_face_that_rescoring_does_not_find_is_dropped():
    class Forgetful(MienDetector):
        uncertain_scores = (0.0, 1.0)

        def grid_cells(self, images):
            cells = super().grid_cells(images)
            if images.shape[1] < 256:
                cells[..., 0] = 0.0
            return cells

    assert Forgetful(ModelStore().load(SHIPPED_DETECTOR), score_threshold=0.5).detect(astronaut()) == []


@pytest.mark.shared
@needs_shared
def test_no_face_is_found_within_a_face(detectors):
    paths = sorted((SHARED / "data" / "photos").glob("*.jpg"))[::10]
    for faces in (detectors["mien"].detect(read(path)) for path in paths):
        for one, other in itertools.permutations(faces, 2):
            assert one.box.intersection(other.box) <= 0.7 * one.box.area
