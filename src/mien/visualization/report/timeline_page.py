"""A video's timeline as one page: each face's probabilities over time, its segments, small images, and moments."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from mien.tracking.timeline import GAP, UNSURE
from mien.visualization.annotate import colour_of
from mien.visualization.avatar.outlines import hex_of
from mien.visualization.report import Figure, Markup, figures, join, note, page, section, stacked_bar, table, tag
from mien.visualization.report.charts import label, line, rectangle, svg
from mien.visualization.report.images import png_data

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mien.structures import Frame
    from mien.tracking.curves import Curves, Row
    from mien.tracking.timeline import Person

WIDE = 1000.0
"""Units from the beginning of the video to its end."""

HIGH, GROUND, SMALL = 120.0, 14.0, 44.0
"""Units of height: the curves, the row of segments, the row of small images."""

MOST_MOMENTS = 40
"""Rows of the table of moments, the longest segments."""

TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds from tick to tick of the axis of time, from which the fitting one is taken."""

SWITCH = "thumbnails"

PALE = (205, 209, 215)
"""RGB of what can't be relied on."""


def timeline_page(name: str, link: str, people: Sequence[Person], curves: Curves, made: str = "") -> str:
    """The page, to be written as UTF-8: no scripts, nothing to fetch; moments open the video at their time.

    Args:
        name: the video's, as people know it.
        link: where the video is, from the page.
        people: what each face showed.
        curves: of the same video.
        made: the last line.
    """
    lead = f"{len(people)} face{'' if len(people) == 1 else 's'}, {_clock(curves.end)} long"
    if not people:
        return page(name, lead, section("Faces", note("No face was found.")), foot=made)
    return page(
        name,
        lead,
        section("In all", _overview(people), _legend(curves, people), about=_about()),
        _switch(),
        *(_person(person, curves, link) for person in people),
        foot=made,
    )


def _about() -> str:
    return (
        "What faces show, not what anybody feels. Answers that can't be relied on count as unsure; a face that was "
        "out of sight may come back under another number."
    )


def _overview(people: Sequence[Person]) -> Markup:
    rows = []
    for person in people:
        shares = [(seconds / person.seconds, _colour(word)) for word, seconds in person.totals.items()]
        words = ", ".join(f"{word} {seconds / person.seconds:.0%}" for word, seconds in person.totals.items())
        link = tag("a", f"face {person.track}", href=f"#face-{person.track}")
        rows.append([link, stacked_bar(shares), words, _clock(person.seconds), f"{person.changes_a_minute:.0f}"])
    return table(["face", "", "expressions", "seen", "changes a minute"], rows, words=3)


def _legend(curves: Curves, people: Sequence[Person]) -> Markup:
    labels = dict.fromkeys(label for person in people for label in curves.labels(person.track))
    return tag("p", *(_named(word) for word in [*labels, UNSURE]), class_="legend")


def _named(word: str) -> Markup:
    return tag("span", tag("i", style=f"background:{hex_of(_colour(word))}"), word, class_="key")


def _switch() -> Markup:
    box = Markup(f'<input type="checkbox" id="{SWITCH}" checked="checked" />')
    return tag("p", tag("label", box, " small images of the faces"), class_="switch")


def _person(person: Person, curves: Curves, link: str) -> Markup:
    start, end = person.segments[0].start, person.segments[-1].end
    longest = next(iter(person.totals))
    shown = figures(
        [
            Figure("seen", _clock(person.seconds), f"{_clock(start)} to {_clock(end)}"),
            Figure("most of it", longest, f"{person.totals[longest] / person.seconds:.0%}"),
            Figure("changes", f"{person.changes_a_minute:.0f}", "a minute"),
        ]
    )
    strip = tag("div", _strip(person, curves, link), class_="timeline", id=f"face-{person.track}")
    return section(f"Face {person.track}", shown, strip, tag("h3", "Moments"), _moments(person, link))


def _strip(person: Person, curves: Curves, link: str) -> Markup:
    end = max(curves.end, person.segments[-1].end, 1e-9)

    def x(seconds: float) -> float:
        return WIDE * min(seconds / end, 1.0)

    below = HIGH + GROUND + 6
    segments = (
        _linked(
            link,
            one.start,
            rectangle(x(one.start), HIGH + 3, x(one.end), HIGH + 3 + GROUND, fill=hex_of(_colour(one.emotion))),
            f"{_clock(one.start)} to {_clock(one.end)}: {one.emotion} {one.probability:.0%}",
        )
        for one in person.segments
    )
    images = (
        tag(
            "image", tag("title", _clock(at)), href=png_data(pixels), x=min(x(at), WIDE - SMALL), y=below + 18,
            width=SMALL, height=SMALL,
        )
        for at, pixels in _apart(curves.thumbnails(person.track), end)
    )  # fmt: skip
    ticks = _ticks(end)
    return svg(
        (WIDE, below + 20 + SMALL),
        f"Probabilities of face {person.track} over time",
        rectangle(0, 0, WIDE, HIGH, class_="track"),
        *_areas(person.track, curves, x),
        *segments,
        *(line((x(at), HIGH), (x(at), below + 2), "grid") for at in ticks),
        *(label(_clock(at), (x(at), below + 13), "quiet small" if at else "small quiet") for at in ticks),
        tag("g", *images, class_=SWITCH),
    )


def _areas(track: int, curves: Curves, x: Callable[[float], float]) -> list[Markup]:
    """The stacked areas of a face, one polygon an expression and stretch without a gap."""
    labels, runs = curves.labels(track), _runs(curves.rows(track))
    drawn = []
    for run in runs:
        low = [0.0] * len(run)
        for place, word in enumerate(labels):
            high = [base + float(row[2][place]) for base, row in zip(low, run, strict=True)]
            upper = [(x(at), HIGH * top) for row, top in zip(run, high, strict=True) for at in row[:2]]
            lower = [(x(at), HIGH * base) for row, base in zip(run, low, strict=True) for at in row[:2]]
            points = " ".join(f"{left:.1f},{down:.1f}" for left, down in [*upper, *reversed(lower)])
            drawn.append(tag("polygon", tag("title", word), points=points, fill=hex_of(_colour(word))))
            low = high
    return drawn


def _runs(rows: list[Row]) -> list[list[Row]]:
    """The stretches of a face's readings, apart where it was not seen."""
    runs: list[list[Row]] = []
    for row in rows:
        if not runs or row[0] - runs[-1][-1][1] > GAP:
            runs.append([])
        elif runs[-1]:
            start, _, values = runs[-1][-1]
            runs[-1][-1] = (start, row[0], values)  # up to the next reading
        runs[-1].append(row)
    return runs


def _moments(person: Person, link: str) -> Markup:
    longest = sorted(person.segments, key=lambda one: -one.seconds)[:MOST_MOMENTS]
    rows = [
        [
            tag("a", _clock(one.start), href=_at(link, one.start)),
            _named(one.emotion),
            f"{one.seconds:.1f} s",
            f"{one.probability:.0%}",
        ]
        for one in sorted(longest, key=lambda one: one.start)
    ]
    left = len(person.segments) - len(longest)
    told = [note(f"and {left} shorter ones")] if left else []
    return join([table(["from", "expression", "for", "probability"], rows, words=2), *told])


def _linked(link: str, seconds: float, shape: Markup, words: str) -> Markup:
    return tag("a", tag("title", words), shape, href=_at(link, seconds))


def _at(link: str, seconds: float) -> str:
    """A media fragment (W3C): browsers open the video at that time."""
    return f"{quote(link)}#t={seconds:.3f}"


def _apart(images: dict[float, Frame], end: float) -> list[tuple[float, Frame]]:
    """Those of the small images that have room beside each other."""
    kept: list[tuple[float, Frame]] = []
    for at in sorted(images):
        if not kept or WIDE * (at - kept[-1][0]) / end >= SMALL + 2:
            kept.append((at, images[at]))
    return kept


def _ticks(end: float) -> list[float]:
    every = next((step for step in TICKS if end / step <= 10), TICKS[-1])
    return [number * every for number in range(int(end / every) + 1) if number * every <= 0.96 * end]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _colour(word: str) -> tuple[int, int, int]:
    return PALE if word == UNSURE else colour_of(word)
