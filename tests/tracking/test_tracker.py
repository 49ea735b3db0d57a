"""A face keeps its track number and label over made frames: moved, missed, crossed and flickering."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mien.errors import UsageError
from mien.outputs.schema import from_dict, to_dict
from mien.structures import Box, Face, FrameResult, Landmarks, Point, Prediction
from mien.tracking.tracker import Tracker, TrackerConfig, logits_of

LABELS = ("happy", "sad", "neutral")
UNSMOOTHED = TrackerConfig(smoothing_seconds=0.0, label_margin=0.0, unsure_margin=0.0)


def seen(
    x: float, y: float = 100.0, side: float = 60.0, happy: float = 0.8, unsure_below: float = 0.0, score: float = 0.9
):
    rest = (1 - happy) / 2
    box = Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    return Prediction(Face(box, confidence=score), LABELS, (happy, rest, rest), unsure_below)


def numbers(tracker: Tracker, frames: list[list[Prediction]], every: float = 0.1) -> list[list[int | None]]:
    return [[one.track for one in tracker.follow(frame, at * every)] for at, frame in enumerate(frames)]


@pytest.mark.parametrize(
    ("frames", "wanted"),
    [
        ([[seen(100)]] * 3, [[1]] * 3),
        ([[seen(100)], [seen(130)], [seen(160)], [seen(190)]], [[1]] * 4),
        ([[seen(100, side=60)], [seen(104, side=75)], [seen(108, side=94)]], [[1]] * 3),
        ([[seen(100), seen(300)], [seen(302), seen(98)]], [[1, 2], [2, 1]]),
        ([[seen(100), seen(160)], [seen(112), seen(150)], [seen(122), seen(140)]], [[1, 2]] * 3),
        ([[seen(100)], [], [], [seen(104)]], [[1], [], [], [1]]),
        ([[seen(100)], *[[]] * 12, [seen(100)]], [[1], *[[]] * 12, [2]]),
        ([[seen(100)], [seen(400)]], [[1], [2]]),
        ([[seen(100, side=60)], [seen(100, side=200)]], [[1], [2]]),
        ([[], [seen(100)], [seen(100), seen(250)]], [[], [1], [1, 2]]),
        ([[seen(100, score=0.4)], [seen(102, score=0.5)], []], [[None], [None], []]),
        ([[seen(100, score=0.4)]] * 5, [[None], [None], [None], [1], [1]]),
        ([[seen(100, score=0.4)], [seen(102, score=0.8)], [seen(104, score=0.4)]], [[None], [1], [1]]),
        ([[seen(100, score=0.4), seen(300)], [seen(300)]], [[None, 1], [1]]),
    ],
    ids=[
        *("still", "moving", "nearing", "order", "near", "gap", "lost", "elsewhere", "size", "joined"),
        *("faint", "old enough", "more confident", "next to another"),
    ],
)
def test_a_face_keeps_its_track_number(frames, wanted):
    assert numbers(Tracker(), frames) == wanted


def test_probabilities_follow_with_the_time_constant_at_any_frame_rate():
    ends = []
    for every in (0.5, 0.1, 0.02):
        tracker = Tracker(TrackerConfig(smoothing_seconds=0.5))
        tracker.follow([seen(100, happy=0.1)], 0.0)
        for at in range(1, round(0.5 / every) + 1):
            (tracked,) = tracker.follow([seen(100, happy=0.9)], at * every)
        ends.append(logits_of(tracked))
    start, goal = logits_of(seen(100, happy=0.1)), logits_of(seen(100, happy=0.9))
    for end in ends:
        assert end == pytest.approx(start + (1 - np.exp(-1)) * (goal - start), abs=1e-3)


def test_nothing_is_smoothed_without_a_time_constant():
    tracker = Tracker(UNSMOOTHED)
    for at, happy in enumerate((0.2, 0.9, 0.4)):
        (tracked,) = tracker.follow([seen(100, happy=happy)], at)
        assert tracked.probability_of("happy") == pytest.approx(happy, abs=1e-5)
        assert sum(tracked.probabilities) == pytest.approx(1, abs=1e-6)


def test_a_frame_that_rules_an_expression_out_does_not_outweigh_the_others():
    tracker = Tracker()
    for at in range(10):
        tracker.follow([seen(100, happy=0.9)], at * 0.1)
    (tracked,) = tracker.follow([seen(100, happy=1e-12)], 1.0)
    assert tracked.emotion == "happy"


def test_the_label_stays_until_another_is_more_probable_by_the_margin():
    tracker = Tracker(dataclasses.replace(UNSMOOTHED, label_margin=0.1))

    def tracked(happy: float, sad: float) -> Prediction:
        row = (happy, sad, 1 - happy - sad)
        return tracker.follow([dataclasses.replace(seen(100), probabilities=row)], 0.0)[0]

    assert tracked(0.5, 0.3).emotion == "happy"
    stable = tracked(0.41, 0.49)
    assert (stable.emotion, stable.stable_label) == ("happy", "happy")
    assert stable.probability == pytest.approx(0.41, abs=1e-5)
    assert tracked(0.39, 0.51).emotion == "sad"
    assert tracked(0.45, 0.40).emotion == "sad"
    assert tracked(0.50, 0.39).emotion == "happy"


def test_a_sure_prediction_stays_sure_a_little_below_the_threshold():
    tracker = Tracker(dataclasses.replace(UNSMOOTHED, unsure_margin=0.05))
    unsure = [
        tracker.follow([seen(100, happy=happy, unsure_below=0.6)], 0.0)[0].unsure
        for happy in (0.58, 0.62, 0.57, 0.5, 0.58)
    ]
    assert unsure == [True, False, False, True, True]


def test_a_track_ends_on_loss_and_after_a_jump_back():
    for frames in ((0.0, 1.5), (5.0, 1.0)):
        tracker = Tracker()
        first = tracker.follow([seen(100, happy=0.05)], frames[0])[0]
        (tracked,) = tracker.follow([seen(100, happy=0.9)], frames[1])
        assert (first.track, tracked.track) == (1, 2)
        assert tracked.probability_of("happy") == pytest.approx(0.9, abs=1e-3)


def test_random_walks_keep_their_numbers():
    """Four faces that wander apart from each other at 30 frames a second, one frame in five missed."""
    random = np.random.default_rng(3)
    homes = np.array([[100, 100], [400, 120], [120, 400], [420, 390]], float)
    tracker, found = Tracker(), [set() for _ in homes]
    places = homes.copy()
    for frame in range(600):
        places += random.normal(0, 3, places.shape) - 0.02 * (places - homes)
        order = [int(face) for face in random.permutation(4) if random.random() > 0.2]
        tracked = tracker.follow([seen(*places[face]) for face in order], frame / 30)
        for face, one in zip(order, tracked, strict=True):
            found[face].add(one.track)
    assert sorted(map(len, found)) == [1, 1, 1, 1]


def test_faces_without_a_place_in_common_and_other_labels_begin_anew():
    tracker = Tracker()
    tracker.follow([seen(100)], 0.0)
    other = Prediction(seen(100).face, ("open", "shut"), (0.9, 0.1))
    (tracked,) = tracker.follow([other], 0.1)
    assert (tracked.track, tracked.emotion) == (2, "open")


def test_a_stable_label_is_written_and_read_again():
    one = dataclasses.replace(seen(100, happy=0.3), probabilities=(0.45, 0.5, 0.05), stable_label="happy", track=3)
    (again,) = from_dict(to_dict(FrameResult("a.mp4", predictions=(one,)))).predictions
    assert (again.emotion, again.probability, again.track) == ("happy", 0.45, 3)


def test_only_a_label_of_the_model_can_be_stable():
    with pytest.raises(UsageError, match="received 'bored'"):
        dataclasses.replace(seen(100), stable_label="bored")


def test_landmarks_and_quality_issues_stay_with_the_face():
    marks = Landmarks(Point(80, 90), Point(120, 90), Point(100, 110), Point(85, 125), Point(115, 125))
    one = dataclasses.replace(seen(100), face=Face(seen(100).face.box, marks, 0.7), quality_issues=("dark",))
    (tracked,) = Tracker().follow([one], 0.0)
    assert (tracked.face, tracked.quality_issues) == (one.face, one.quality_issues)
