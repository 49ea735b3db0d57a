"""Interleaved timing: every round measures each task once, so load on the machine affects all alike."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sample:
    """Measurements of one quantity, one per round, in order."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and third quartile."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        first, _, third = statistics.quantiles(self.values, n=4, method="inclusive")
        return first, third

    def times(self, factor: float) -> Sample:
        """Convert to another unit."""
        return Sample(tuple(value * factor for value in self.values))

    def into(self, whole: float) -> Sample:
        """``whole`` over each value: converts a duration to a rate."""
        return Sample(tuple(whole / value for value in self.values))

    def over(self, other: Sample) -> Sample:
        """The ratio to another quantity in each round."""
        return Sample(tuple(value / base for value, base in zip(self.values, other.values, strict=True)))

    def text(self, digits: int = 0) -> str:
        """The median with the quartiles: ``412 (405 to 431)``."""
        low, high = self.spread
        return f"{self.median:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def interleaved(tasks: Mapping[K, Callable[[], T]], rounds: int) -> dict[K, tuple[T, ...]]:
    """Run all tasks in every round and return the results of each task by round.

    Every other round runs in reverse order, so that steady drift, such as the temperature of the machine, cancels out.
    """
    results: dict[K, list[T]] = {name: [] for name in tasks}
    for index in range(rounds):
        for name in tasks if index % 2 == 0 else reversed(list(tasks)):
            results[name].append(tasks[name]())
    return {name: tuple(values) for name, values in results.items()}


def seconds_a_call(function: Callable[[], object], min_seconds: float = 0.2, warmup_seconds: float = 0.05) -> float:
    """Mean duration of a call over at least ``min_seconds``, after a warm-up of ``warmup_seconds``."""
    _calls_within(function, warmup_seconds)
    start = time.perf_counter()
    calls = _calls_within(function, min_seconds)
    return (time.perf_counter() - start) / calls


def _calls_within(function: Callable[[], object], seconds: float) -> int:
    calls, end = 0, time.perf_counter() + seconds
    while calls == 0 or time.perf_counter() < end:
        function()
        calls += 1
    return calls
