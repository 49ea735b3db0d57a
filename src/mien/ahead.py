"""Items made in another thread while others are used, a few at most."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

T = TypeVar("T")

CHECKED = 0.1
"""Seconds after which a maker that nobody takes from looks whether it is still wanted."""


class _End:
    """What follows the last item: the error that ended it, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterable[T], most: int) -> Generator[T]:
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
