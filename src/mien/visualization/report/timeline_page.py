"""The timeline page of a video: probabilities over time, segments, thumbnails and totals of each face."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from urllib.parse import quote

from mien.tracking.timeline import MAX_GAP_SECONDS, UNSURE
from mien.visualization.annotate import colour_of
from mien.visualization.avatar.outlines import hex_of
from mien.visualization.report import Figure, Markup, figures, join, note, page, section, stacked_bar, table, tag
from mien.visualization.report.charts import label, line, percent, rectangle, svg
from mien.visualization.report.parts import png_data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.structures import Frame
    from mien.tracking.timeline import Segment, Track
    from mien.visualization.report.curves import Curves, Row

CHART_WIDTH = 1000.0
"""Units from the start of the video to its end."""

CURVES_HEIGHT, SEGMENTS_HEIGHT, THUMBNAIL_SIDE = 120.0, 14.0, 44.0
"""Units of height of the stacked curves, the row of segments and the row of thumbnails."""

MAX_TABLE_ROWS = 40
"""Rows in the table of segments, which lists the longest ones."""

TICK_SECONDS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Tick intervals of the time axis; the smallest that gives at most ten ticks is used."""

SWITCH_ID = "thumbnails"

UNSURE_COLOUR = (205, 209, 215)
"""RGB of unsure segments."""

ABOUT = (
    "Expressions shown, not feelings. Predictions below the threshold count as unsure. A face that was out of sight "
    "may come back with another number."
)


def timeline_page(name: str, link: str, tracks: Sequence[Track], curves: Curves, footer: str = "") -> str:
    """The page, to be written as UTF-8: no scripts and nothing to fetch; segments link to their time in the video.

    Args:
        name: of the video, as shown.
        link: path or URL of the video, relative to the page.
        tracks: the faces of the video.
        curves: of the same video.
        footer: the last line of the page.
    """
    lead = f"{len(tracks)} face{'' if len(tracks) == 1 else 's'}, {_clock(_end(tracks, curves))} long"
    if not tracks:
        return page(name, lead, section("Faces", note("No face was found.")), foot=footer)
    return page(
        name,
        lead,
        section("Summary", _overview(tracks), _legend(curves, tracks), about=ABOUT),
        _thumbnail_switch(),
        *(_track_section(track, curves, link) for track in tracks),
        foot=footer,
    )


def _overview(tracks: Sequence[Track]) -> Markup:
    rows = []
    for track in tracks:
        shares = [(share, _colour(emotion)) for emotion, share in track.shares.items()]
        text = ", ".join(f"{emotion} {percent(share)}" for emotion, share in track.shares.items())
        link = tag("a", f"face {track.number}", href=f"#face-{track.number}")
        rows.append([link, stacked_bar(shares), text, _clock(track.seconds), f"{track.changes_per_minute:.0f}"])
    return table(["face", "", "expressions", "visible", "changes per minute"], rows, text_columns=3)


def _legend(curves: Curves, tracks: Sequence[Track]) -> Markup:
    labels = dict.fromkeys(emotion for track in tracks for emotion in curves.labels(track.number))
    return tag("p", *(_key(emotion) for emotion in [*labels, UNSURE]), class_="legend")


def _key(emotion: str) -> Markup:
    return tag("span", tag("i", style=f"background:{hex_of(_colour(emotion))}"), emotion, class_="key")


def _thumbnail_switch() -> Markup:
    box = tag("input", type="checkbox", id=SWITCH_ID, checked="checked")
    return tag("p", tag("label", box, " thumbnails of the faces"), class_="switch")


def _track_section(track: Track, curves: Curves, link: str) -> Markup:
    start, end = track.segments[0].start, track.segments[-1].end
    longest, share = next(iter(track.shares.items()))
    numbers = figures(
        [
            Figure("visible", _clock(track.seconds), f"{_clock(start)} to {_clock(end)}"),
            Figure("most frequent", longest, percent(share)),
            Figure("changes", f"{track.changes_per_minute:.0f}", "per minute"),
        ]
    )
    chart = tag("div", _chart(track, curves, link), class_="timeline", id=f"face-{track.number}")
    return section(f"Face {track.number}", numbers, chart, tag("h3", "Segments"), _segment_table(track, link))


def _end(tracks: Sequence[Track], curves: Curves) -> float:
    """Where the last frame ends, or the last face; above 0, so that it can divide."""
    return max(curves.end, *(track.segments[-1].end for track in tracks), 1e-9)


def _chart(track: Track, curves: Curves, link: str) -> Markup:
    end = _end([track], curves)

    def x(seconds: float) -> float:
        return CHART_WIDTH * min(seconds / end, 1.0)

    below = CURVES_HEIGHT + SEGMENTS_HEIGHT + 6
    thumbnails = (
        tag(
            "image", tag("title", _clock(at)), href=png_data(pixels), x=min(x(at), CHART_WIDTH - THUMBNAIL_SIDE),
            y=below + 18, width=THUMBNAIL_SIDE, height=THUMBNAIL_SIDE,
        )
        for at, pixels in _without_overlap(curves.thumbnails(track.number), end)
    )  # fmt: skip
    ticks = _ticks(end)
    return svg(
        (CHART_WIDTH, below + 20 + THUMBNAIL_SIDE),
        f"Probabilities of face {track.number} over time",
        rectangle(0, 0, CHART_WIDTH, CURVES_HEIGHT, class_="track"),
        *_areas(track.number, curves, x),
        *(_segment_bar(segment, x, link) for segment in track.segments),
        *(line((x(at), CURVES_HEIGHT), (x(at), below + 2), "grid") for at in ticks),
        *(label(_clock(at), (x(at), below + 13), "quiet small" if at else "small quiet") for at in ticks),
        tag("g", *thumbnails, class_=SWITCH_ID),
    )


def _segment_bar(segment: Segment, x: Callable[[float], float], link: str) -> Markup:
    """A segment in the row below the curves, which opens the video at its start."""
    top = CURVES_HEIGHT + 3
    fill = hex_of(_colour(segment.emotion))
    shape = rectangle(x(segment.start), top, x(segment.end), top + SEGMENTS_HEIGHT, fill=fill)
    text = f"{_clock(segment.start)} to {_clock(segment.end)}: {segment.emotion} {percent(segment.probability)}"
    return tag("a", tag("title", text), shape, href=_at(link, segment.start))


def _areas(number: int, curves: Curves, x: Callable[[float], float]) -> list[Markup]:
    """The stacked areas of a track: one polygon per expression and stretch without a gap."""
    drawn = []
    for run in _runs(curves.rows(number)):
        low = [0.0] * len(run)
        for column, emotion in enumerate(curves.labels(number)):
            high = [base + float(row[2][column]) for base, row in zip(low, run, strict=True)]
            upper = [(x(at), CURVES_HEIGHT * top) for row, top in zip(run, high, strict=True) for at in row[:2]]
            lower = [(x(at), CURVES_HEIGHT * base) for row, base in zip(run, low, strict=True) for at in row[:2]]
            points = " ".join(f"{left:.1f},{down:.1f}" for left, down in [*upper, *reversed(lower)])
            drawn.append(tag("polygon", tag("title", emotion), points=points, fill=hex_of(_colour(emotion))))
            low = high
    return drawn


def _runs(rows: list[Row]) -> list[list[Row]]:
    """The bins of a track, split where the face was out of sight."""
    runs: list[list[Row]] = []
    for row in rows:
        if not runs or row[0] - runs[-1][-1][1] > MAX_GAP_SECONDS:
            runs.append([])
        elif runs[-1]:
            start, _, values = runs[-1][-1]
            runs[-1][-1] = (start, row[0], values)  # extend the bin to the next one
        runs[-1].append(row)
    return runs


def _segment_table(track: Track, link: str) -> Markup:
    longest = sorted(track.segments, key=lambda segment: -segment.seconds)[:MAX_TABLE_ROWS]
    rows = [
        [
            tag("a", _clock(segment.start), href=_at(link, segment.start)),
            _key(segment.emotion),
            f"{segment.seconds:.1f} s",
            percent(segment.probability),
        ]
        for segment in sorted(longest, key=lambda segment: segment.start)
    ]
    shorter = len(track.segments) - len(longest)
    notes = [note(f"and {shorter} shorter ones")] if shorter else []
    return join([table(["start", "expression", "duration", "probability"], rows, text_columns=2), *notes])


def _at(link: str, seconds: float) -> str:
    """A media fragment (W3C): browsers open the video at that time."""
    return f"{quote(link)}#t={seconds:.3f}"


def _without_overlap(thumbnails: dict[float, Frame], end: float) -> list[tuple[float, Frame]]:
    """The thumbnails that fit side by side."""
    selected: list[tuple[float, Frame]] = []
    for at in sorted(thumbnails):
        if not selected or CHART_WIDTH * (at - selected[-1][0]) / end >= THUMBNAIL_SIDE + 2:
            selected.append((at, thumbnails[at]))
    return selected


def _ticks(end: float) -> list[float]:
    longest = TICK_SECONDS[-1] * max(math.ceil(end / TICK_SECONDS[-1] / 10), 1)
    every = next((step for step in TICK_SECONDS if end / step <= 10), longest)
    return [number * every for number in range(int(end / every) + 1) if number * every <= 0.96 * end]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _colour(emotion: str) -> tuple[int, int, int]:
    return UNSURE_COLOUR if emotion == UNSURE else colour_of(emotion)
