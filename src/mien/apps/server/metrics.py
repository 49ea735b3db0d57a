"""Metrics of a running server for Prometheus, by prometheus-client."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "mien_requests_total": ("Responses by route and status.", ("route", "status")),
        "mien_errors_total": ("Error responses by code.", ("code",)),
        "mien_images_total": ("Images analyzed, unreadable ones included.", ()),
        "mien_frames_total": ("Frames of WebSockets: processed, or dropped for a newer one.", ("outcome",)),
        "mien_worker_crashes_total": ("Worker processes that exited without being stopped.", ()),
        "mien_body_bytes_total": ("Bytes of request bodies.", ()),
    }
)
"""Help text and labels of each counter."""

GAUGES: Mapping[str, str] = MappingProxyType(
    {
        "mien_requests_in_progress": "Requests for images that wait or are processed.",
        "mien_workers": "Worker processes that are ready.",
        "mien_sockets": "Open WebSockets.",
        "mien_videos": "Videos that wait or are processed.",
    }
)
"""Help text of each gauge."""

PREDICT_SECONDS = "mien_predict_seconds"
BUCKET_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters, gauges and one histogram in a registry of their own; for any thread."""

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # halves the number of series
        self._registry = CollectorRegistry()
        self._counters = {
            name: Counter(name, help_text, labels, registry=self._registry)
            for name, (help_text, labels) in COUNTERS.items()
        }
        self._seconds = Histogram(
            PREDICT_SECONDS,
            "Seconds from a request for images to its response.",
            buckets=BUCKET_SECONDS,
            registry=self._registry,
        )

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add to a counter of ``COUNTERS``."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def observe_prediction(self, seconds: float) -> None:
        """Add the time from a request for images to its response."""
        self._seconds.observe(seconds)

    def add_gauge(self, name: str, value: Callable[[], float]) -> None:
        """Register a gauge of ``GAUGES`` whose value is read at each scrape."""
        Gauge(name, GAUGES[name], registry=self._registry).set_function(value)

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus, version 0.0.4."""
        return generate_latest(self._registry)
