"""Items made in another thread while others are used, a few at most."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

T = TypeVar("T")
R = TypeVar("R")

CHECKED = 0.1
"""Seconds after which a maker that nobody takes from looks whether it is still wanted."""


class _End:
    """What follows the last item: the error that ended it, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(items: Iterable[T], most: int) -> Generator[T]:
    """The items in their order, made in a thread of its own, at most ``most`` before they are asked for.

    What is raised while one is made is raised where it would be asked for. The thread ends when the items do, or when
    the iterator is closed or forgotten.

    Args:
        items: iterated in the other thread.
        most: items that wait; bounds the memory.
    """
    maker = _Maker(items, most)
    try:
        while not isinstance(item := maker.waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        maker.unwanted.set()
        maker.thread.join()


def parallel_map(call: Callable[[T], R], items: Iterable[T], threads: int) -> Generator[R]:
    """What a call makes of each item, in their order, by several threads, two items each at most ahead.

    What is raised by a call, or while an item is made, is raised where it would be asked for.

    Args:
        call: safe to be called from several threads.
        items: taken one by one, in the thread that asks.
        threads: that call.
    """
    running: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads, "mien mapped") as pool:
        try:
            for item in items:
                running.append(pool.submit(call, item))
                if len(running) > 2 * threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Maker(Generic[T]):
    """The thread and what it hands over."""

    def __init__(self, items: Iterable[T], most: int) -> None:
        self.waiting: queue.Queue[T | _End] = queue.Queue(most)
        self.unwanted = threading.Event()
        self._items = items
        self.thread = threading.Thread(target=self._make, name="mien ahead", daemon=True)
        self.thread.start()

    def _make(self) -> None:
        end = _End()
        try:
            for item in self._items:
                if not self._hand_over(item):
                    return
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to who asks for the items
            end = _End(error)
        self._hand_over(end)

    def _hand_over(self, item: T | _End) -> bool:
        """Whether it was taken in; False when nothing is wanted any more."""
        while not self.unwanted.is_set():
            try:
                self.waiting.put(item, timeout=CHECKED)
            except queue.Full:
                continue
            return True
        return False


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
