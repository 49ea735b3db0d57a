"""Made results become tracks with segments, totals and changes."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from mien.errors import UsageError
from mien.structures import Box, Face, FrameResult, Prediction
from mien.tracking import UNSURE, Segment, Timeline, Track, timeline, to_eaf, to_srt, to_vtt
from mien.visualization.report.curves import Curves
from mien.visualization.report.timeline_page import timeline_page

LABELS = ("happy", "sad", "neutral")


def shows(track, emotion, probability=0.8):
    rest = (1 - probability) / 2
    row = tuple(probability if label == emotion else rest for label in LABELS)
    return Prediction(Face(Box(0, 0, 9, 9)), LABELS, row, unsure_below=0.5, track=track)


def frames(*labels, every=0.1, track=1):
    """A frame per label; "" without a face."""
    return [
        FrameResult("a.mp4", number, number * every, (shows(track, label),) if label else ())
        for number, label in enumerate(labels)
    ]


@pytest.mark.parametrize("frame_seconds", [0.04, 1 / 30, 0.5])
@pytest.mark.parametrize("at", [0.0, 1.4, 7200.0])
def test_a_face_of_one_frame_is_visible_for_a_frame(frame_seconds, at):
    results = [FrameResult("a.mp4", 0, at, (shows(1, "happy"), shows(2, "sad")))]
    tracks = timeline(results, frame_seconds)
    assert [track.seconds for track in tracks] == pytest.approx([frame_seconds] * 2)
    assert [track.shares for track in tracks] == [{"happy": 1.0}, {"sad": 1.0}]
    assert [track.changes_per_minute for track in tracks] == [0.0, 0.0]
    assert to_srt(tracks).count("-->") == to_vtt(tracks).count("-->") == 1
    assert len(fromstring(to_eaf(tracks, Path("a.mp4"))).findall(".//ALIGNABLE_ANNOTATION")) == 2
    curves = Curves()
    for result in results:
        curves.add(np.zeros((9, 9, 3), np.uint8), result)
    assert timeline_page("a.mp4", "a.mp4", tracks, curves).count("100%") >= 2


def test_shares_of_no_time_are_no_division():
    track = Track(1, (Segment(1, "happy", 1.0, 1.0, 0.9, 1),))
    assert (track.shares, track.changes_per_minute) == ({"happy": 0.0}, 0.0)


def test_frames_are_counted_with_and_without_faces():
    collected = Timeline()
    for result in frames("happy", "", "", "sad"):
        collected.add(result)
    assert collected.frames == 4


def test_predictions_become_segments_that_touch():
    (track,) = timeline(frames(*["happy"] * 5, *["sad"] * 3, *["happy"] * 2))
    assert [(one.emotion, one.frames) for one in track.segments] == [("happy", 5), ("sad", 3), ("happy", 2)]
    edges = [(one.start, one.end) for one in track.segments]
    assert edges == [pytest.approx(edge) for edge in ((0.0, 0.5), (0.5, 0.8), (0.8, 1.0))]
    assert [one.probability for one in track.segments] == pytest.approx([0.8] * 3)
    assert track.seconds == pytest.approx(1.0)
    assert track.totals == {"happy": pytest.approx(0.7), "sad": pytest.approx(0.3)}
    assert track.changes_per_minute == pytest.approx(120)


def test_a_frame_or_two_without_the_face_are_no_gap_and_seconds_are():
    (track,) = timeline(frames("happy", "", "", "happy"))
    assert [(one.start, one.end) for one in track.segments] == [(0.0, pytest.approx(0.4))]
    (track,) = timeline(frames("happy", *[""] * 20, "happy", "happy"))
    starts = [(one.start, one.end) for one in track.segments]
    assert starts == [pytest.approx(edge) for edge in ((0.0, 0.1), (2.1, 2.3))]
    assert track.changes_per_minute == 0
    assert track.seconds == pytest.approx(0.3)


def test_frames_seldom_taken_are_no_gaps():
    (track,) = timeline(frames("happy", "happy", "happy", every=5.0))
    assert [(one.start, one.end) for one in track.segments] == [(0.0, 15.0)]


def test_unsure_predictions_are_a_segment_of_their_own():
    results = frames("happy", "happy", "happy")
    results[1] = FrameResult("a.mp4", 1, 0.1, (shows(1, "happy", 0.45),))
    (track,) = timeline(results)
    assert [one.emotion for one in track.segments] == ["happy", UNSURE, "happy"]


def test_faces_are_kept_apart_in_the_order_in_which_they_came():
    results = [
        FrameResult("a.mp4", number, number / 10, (shows(7, "happy"), *([shows(3, "sad")] if number > 1 else [])))
        for number in range(4)
    ]
    first, second = timeline(results)
    assert (first.number, second.number) == (7, 3)
    assert second.segments == (Segment(3, "sad", 0.2, pytest.approx(0.4), pytest.approx(0.8), 2),)


def test_an_unsure_segment_is_no_change():
    segments = [Segment(1, label, at, at + 1.0, 0.8, 10) for at, label in enumerate(("happy", UNSURE, "happy", "sad"))]
    assert Track(1, tuple(segments)).changes_per_minute == pytest.approx(15)


def test_a_face_without_a_number_has_no_track_yet():
    results = [
        FrameResult("a.mp4", number, number / 10, (shows(number or None, "happy"), shows(None, "sad")))
        for number in range(2)
    ]
    assert [(track.number, len(track.segments)) for track in timeline(results)] == [(1, 1)]


def test_nothing_comes_of_nothing():
    assert timeline([]) == ()
    assert timeline(frames("", "")) == ()
    assert Track(1, ()).changes_per_minute == 0


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([FrameResult("a.png", predictions=(shows(1, "happy"),))], "received None s"),
        ([*frames("happy"), *frames("happy")], "order of their times"),
    ],
)
def test_results_without_times_or_order_are_refused(results, message):
    with pytest.raises(UsageError, match=message):
        timeline(results)


# -- as files


def two_tracks():
    return (
        Track(1, (Segment(1, "happy", 0.0, 1.5, 0.9, 15), Segment(1, "a < b & c", 1.5, 3661.25, 0.8, 15))),
        Track(2, (Segment(2, "sad", 1.0, 2.0, 0.7, 10),)),
    )


def test_subtitles_of_one_face_are_its_segments():
    (track,) = timeline(frames(*["happy"] * 5, *[""] * 20, *["sad"] * 5))
    assert to_srt([track]) == (
        "1\n00:00:00,000 --> 00:00:00,500\nhappy 80%\n\n2\n00:00:02,500 --> 00:00:03,000\nsad 80%\n"
    )


def test_subtitles_of_several_faces_show_all_at_every_time():
    assert (
        to_vtt(two_tracks())
        == """WEBVTT

00:00:00.000 --> 00:00:01.000
1: happy 90%

00:00:01.000 --> 00:00:01.500
1: happy 90%
2: sad 70%

00:00:01.500 --> 00:00:02.000
1: a &lt; b &amp; c 80%
2: sad 70%

00:00:02.000 --> 01:01:01.250
1: a &lt; b &amp; c 80%
"""
    )


def test_nothing_seen_gives_empty_files():
    assert to_srt([]) == ""
    assert to_vtt([]) == "WEBVTT\n"


def test_elan_gets_a_tier_a_face_and_an_annotation_a_segment(tmp_path):
    root = fromstring(to_eaf(two_tracks(), tmp_path / "clip.mp4"))
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(slots.values())
    annotations = {
        tier.get("TIER_ID"): [
            (slots[one.get("TIME_SLOT_REF1")], slots[one.get("TIME_SLOT_REF2")], one.findtext("ANNOTATION_VALUE"))
            for one in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        for tier in root.iter("TIER")
    }
    assert annotations == {
        "face 1": [(0, 1500, "happy 0.90"), (1500, 3661250, "a < b & c 0.80")],
        "face 2": [(1000, 2000, "sad 0.70")],
    }
    numbers = [one.get("ANNOTATION_ID") for one in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(numbers)) == len(numbers)
    assert root.find("HEADER/MEDIA_DESCRIPTOR").get("RELATIVE_MEDIA_URL") == "./clip.mp4"
    kinds = {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")}
    assert {tier.get("LINGUISTIC_TYPE_REF") for tier in root.iter("TIER")} == kinds


# -- as a page


def watched(*labels, every=0.1, track=1):
    """Curves of frames as ``frames`` makes them; the image grows brighter."""
    curves = Curves()
    for number, result in enumerate(frames(*labels, every=every, track=track)):
        curves.add(np.full((20, 20, 3), min(number, 255), np.uint8), result)
    return curves


def test_curves_are_the_means_of_predictions_in_a_time_bin():
    rows = watched("happy", "sad", every=0.02).rows(1)
    ((start, end, row),) = rows
    assert (start, end) == (0.0, pytest.approx(0.04))
    assert row == pytest.approx([0.45, 0.45, 0.1])


def test_curves_and_images_do_not_grow_with_the_length_of_the_video():
    curves = watched(*["happy", "sad"] * 4000, every=0.5)
    rows, images = curves.rows(1), curves.thumbnails(1)
    assert 300 < len(rows) <= 720
    assert 12 <= len(images) <= 49
    assert rows[-1][1] == pytest.approx(4000, rel=0.01)
    assert sum(row[2].sum() for row in rows) == pytest.approx(len(rows))
    assert max(images) > 3000


def test_without_thumbnails_no_image_of_a_face_is_kept():
    curves = Curves(thumbnails=False)
    curves.add(np.zeros((20, 20, 3), np.uint8), frames("happy")[0])
    assert curves.thumbnails(1) == {}


def test_the_page_is_whole_escapes_names_and_links_to_moments():
    labels = [*["happy"] * 20, *[""] * 30, *["sad"] * 10]
    name = "<b>clip & #1.mp4"
    text = timeline_page(name, name, timeline(frames(*labels)), watched(*labels), "mien")
    root = fromstring(text.split("\n", 1)[1])
    assert root.findtext("head/title") == name
    links = {one.get("href") for one in root.iter("a")}
    assert "%3Cb%3Eclip%20%26%20%231.mp4#t=0.000" in links
    assert "%3Cb%3Eclip%20%26%20%231.mp4#t=5.000" in links
    assert "<script" not in text
    areas = [one for one in root.iter("polygon") if one.findtext("title") == "happy"]
    assert len(areas) == 2  # a gap of three seconds parts them
    assert len(list(root.iter("image"))) == 6  # one each half second that it was seen


@pytest.mark.parametrize("every", [0.02, 7.0, 90_000.0, 2.0**31])  # a forged header may state a frame in 68 years
def test_the_time_axis_has_at_most_ten_ticks_and_the_start(every):
    labels = ["happy"] * 40
    tracks = timeline(frames(*labels, every=every))
    text = timeline_page("a.avi", "a.avi", tracks, watched(*labels, every=every), "mien")
    ticks = [one for one in fromstring(text.split("\n", 1)[1]).iter("text") if ":" in (one.text or "")]
    assert 4 <= len(ticks) <= 11


def test_a_page_without_faces_says_so():
    assert "No face was found." in timeline_page("a.mp4", "a.mp4", (), Curves())
