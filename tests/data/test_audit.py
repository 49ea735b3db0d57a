"""The audit: each planted fault is found, and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from audited import faulty, labelled
from skimage.data import lfw_subset

from mien.data.audit import MAX_GROUP_SIZE, audit, rows_to_exclude
from mien.data.audit_report import OVERSIZED_GROUP, audit_page
from mien.data.dataset import PUBLIC_TEST, TRAINING
from mien.structures import Box, Face


class Bright:
    """Takes every bright image for a face."""

    def __init__(self):
        self.shapes = set()

    def detect(self, frame):
        self.shapes.add(frame.shape)
        return [Face(Box(0, 0, 1, 1))] if frame.mean() > 60 else []


@pytest.fixture(scope="module")
def findings():
    return audit(faulty())


def test_each_group_with_what_is_wrong_with_it(findings):
    told = [(group.rows, group.conflict, group.leak, group.exact, group.mirrored) for group in findings.groups]
    assert told == [
        ((2, 3), True, False, True, False),
        ((0, 5), False, True, True, False),
        ((1, 6), False, False, False, True),
    ]
    assert findings.groups[0].labels == ("happy", "sad")
    assert findings.groups[1].splits == (TRAINING, PUBLIC_TEST)
    assert findings.groups[0].score == 1 > findings.groups[2].score > 0.99


def test_images_that_show_nothing(findings):
    assert (findings.blank, findings.no_expression, findings.no_face) == ((4,), (8,), None)


def test_counts(findings):
    assert findings.counts() == {
        "groups": 3,
        "exact_groups": 2,
        "mirrored_groups": 1,
        "redundant": 3,
        "conflicts": 1,
        "leaks": 1,
        "blank": 1,
        "no_expression": 1,
    }
    assert [findings.leaked(split) for split in (TRAINING, PUBLIC_TEST)] == [1, 1]


def test_what_training_can_leave_out(findings):
    assert rows_to_exclude(findings) == {
        "0.png": "duplicate of 5.png in PublicTest",
        "2.png": "duplicates are labelled happy, sad",
        "3.png": "duplicates are labelled happy, sad",
        "4.png": "blank",
        "8.png": "no expression named by any vote",
    }


def test_several_reasons_stand_together():
    crops = np.zeros((3, 8, 8, 1), np.uint8)
    left_out = rows_to_exclude(audit(labelled(crops, [0, 1, 1], [PUBLIC_TEST, TRAINING, TRAINING])))
    assert set(left_out) == {"1.png", "2.png"}
    assert left_out["1.png"] == "blank; duplicates are labelled happy, sad; duplicate of 0.png in PublicTest"


def test_all_findings_as_json(findings):
    told = json.loads(json.dumps(findings.to_dict()))
    assert told["groups"][0] == {
        "rows": ["2.png", "3.png"],
        "labels": ["happy", "sad"],
        "splits": [TRAINING, TRAINING],
        "score": 1,
        "exact": True,
        "mirrored": False,
        "conflict": True,
        "leak": False,
    }
    assert (told["blank"], told["no_expression"], told["no_face"]) == (["4.png"], ["8.png"], None)
    assert (told["count"], told["splits"]) == (10, {TRAINING: 8, PUBLIC_TEST: 2})
    assert told["rejected"] == [{"place": "bad.png", "reason": "it is <torn>"}]


def test_clean_data_has_no_findings():
    faces = np.rint(lfw_subset()[:50, ..., None] * 255).astype(np.uint8)
    findings = audit(labelled(faces, [0] * 50, [TRAINING] * 50))
    assert findings.groups == findings.blank == ()
    assert findings.no_expression is None
    assert rows_to_exclude(findings) == {}


@pytest.mark.parametrize(("count", "crowded"), [(MAX_GROUP_SIZE, False), (MAX_GROUP_SIZE + 1, True)])
def test_images_that_are_alike_by_nature(count, crowded):
    drawings = np.zeros((count, 16, 16, 1), np.uint8)
    drawings[:, 4:12, 4:12] = 200
    drawings[np.arange(count), 0, np.arange(count) % 16] = 1 + np.arange(count)[:, None]
    findings = audit(labelled(drawings, [0] * count, [TRAINING] * count))
    assert [len(group.rows) for group in findings.groups] == [count]
    assert findings.oversized_group == crowded
    assert (OVERSIZED_GROUP.split(",")[0] in audit_page(findings)) == crowded


@pytest.mark.parametrize(("size", "channels", "searched"), [(25, 1, 192), (48, 3, 192), (200, 3, 200)])
def test_faces_are_looked_for_in_enlarged_images(size, channels, searched):
    detector, data = Bright(), faulty(size, channels)
    findings = audit(data, detector)
    assert detector.shapes == {(searched, searched, 3)}
    assert findings.no_face == tuple(np.flatnonzero(data.crops.mean(axis=(1, 2, 3)) < 60))
    assert 4 in findings.no_face
    assert findings.counts()["no_face"] == len(findings.no_face)


@pytest.mark.parametrize("detector", [None, Bright()])
def test_progress_ends_at_one(detector):
    told = []
    audit(faulty(), detector, told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


def test_it_can_be_interrupted():
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(faulty(), on_progress=stop)


@pytest.mark.shared
@pytest.mark.long
def test_fer2013(real_data):
    findings = audit(real_data)
    found = findings.counts()
    assert (found["blank"], found["no_expression"]) == (14, 160)
    assert 1900 <= found["groups"] <= 2050
    assert 150 <= found["conflicts"] <= 200
    assert findings.leaked(PUBLIC_TEST) >= 500
    # the images whose equals stand in the other split are among those to leave out
    public = {crop.tobytes() for crop in real_data.split(PUBLIC_TEST).crops}
    training = real_data.split(TRAINING)
    same = {row for row, crop in zip(training.rows.tolist(), training.crops, strict=True) if crop.tobytes() in public}
    assert len(same) >= 280
    assert same <= set(rows_to_exclude(findings))
