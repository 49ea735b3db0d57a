"""Figures of a running server, in the text form of Prometheus (exposition format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

COUNTERS: Mapping[str, str] = MappingProxyType(
    {
        "mien_requests_total": "Answers by route and status.",
        "mien_refusals_total": "Refusals by code.",
        "mien_images_total": "Images read, unreadable ones among them.",
        "mien_frames_total": "Frames of sockets: answered, or dropped for a newer one.",
        "mien_worker_deaths_total": "Processes that ended while they read.",
        "mien_body_bytes_total": "Bytes of bodies read.",
    }
)
GAUGES: Mapping[str, str] = MappingProxyType(
    {
        "mien_requests_accepted": "Requests for images that wait or are read.",
        "mien_workers": "Processes that read images.",
        "mien_sockets": "Sockets that are open.",
        "mien_videos": "Videos that wait or are read.",
    }
)
SECONDS = "mien_predict_seconds"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts; for one thread.

    Attributes:
        gauges: what tells the value of each gauge when it is asked for.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0
        self.gauges: dict[str, Callable[[], float]] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Adds to a counter of ``COUNTERS``."""
        self._counts[name, tuple(sorted(labels.items()))] += amount

    def took(self, seconds: float) -> None:
        """Takes the time from a request for images to its answer."""
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._sum += seconds

    def text(self) -> str:
        """All figures."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        for name, words in COUNTERS.items():
            yield from _head(name, words, "counter")
            for (counted, labels), value in sorted(self._counts.items()):
                if counted == name:
                    yield f"{name}{_labels(labels)} {value}"
        for name, words in GAUGES.items():
            yield from _head(name, words, "gauge")
            yield f"{name} {self.gauges[name]():g}"
        yield from _head(SECONDS, "Seconds from a request for images to its answer.", "histogram")
        below = 0
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], self._buckets, strict=True):
            below += count
            yield f'{SECONDS}_bucket{{le="{bound}"}} {below}'
        yield f"{SECONDS}_sum {self._sum}"
        yield f"{SECONDS}_count {below}"


def _head(name: str, words: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {words}"
    yield f"# TYPE {name} {kind}"


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    """Values are codes, statuses and routes of our own: nothing in them has to be escaped."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
