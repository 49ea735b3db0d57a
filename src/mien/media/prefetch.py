"""Background threads with bounded queues: prefetch an iterator, or map a function over it in order."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")

POLL_SECONDS = 0.1
"""How often a blocked producer checks whether its consumer is still there."""


class _End:
    """Follows the last item in the queue; carries the error that ended the iteration, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(items: Iterable[T], max_waiting: int) -> Generator[T]:
    """Iterate in a background thread, in order, at most ``max_waiting`` items ahead of the consumer.

    An exception of the iterable is raised in the consumer, after the items before it. The thread ends with the
    iterable, or when the generator is closed or garbage-collected.

    Args:
        items: iterated in the background thread.
        max_waiting: size of the queue; bounds the memory.

    Example:
        >>> from mien.media.prefetch import prefetch
        >>> list(prefetch(range(3), max_waiting=2))
        [0, 1, 2]
    """
    producer = _Producer(items, max_waiting)
    try:
        while not isinstance(item := producer.queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        producer.stopped.set()
        producer.thread.join()


def parallel_map(
    call: Callable[[T], R], items: Iterable[T], threads: int, max_ahead: Callable[[T], int] | None = None
) -> Generator[R]:
    """Map a function over items in several threads; results come in order.

    An exception of the function or of the iterable is raised in the consumer, at the place of its item.

    Args:
        call: a thread-safe function of one item.
        items: iterated in the consumer's thread.
        threads: size of the thread pool.
        max_ahead: how many items may be ahead of the consumer, for an item like this; two per thread by default.
    """
    running: deque[Future[R]] = deque()
    failure: Exception | None = None
    iterator = iter(items)
    with ThreadPoolExecutor(threads, "mien map") as pool:
        try:
            while True:
                try:
                    item = next(iterator)
                    running.append(pool.submit(call, item))
                except StopIteration:
                    break
                except Exception as error:  # noqa: BLE001  whatever it is, it is raised after the items before it
                    failure = error
                    break
                ahead = max_ahead(item) if max_ahead else 2 * threads
                while len(running) > ahead:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
            if failure is not None:
                raise failure
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Group items; where the iterable raises an exception, the items before it come first, then the exception.

    Args:
        items: iterated in the consumer's thread.
        size: items in a batch; the last one may have fewer.

    Example:
        >>> from mien.media.prefetch import batches
        >>> list(batches(range(3), 2))
        [[0, 1], [2]]
    """
    batch: list[T] = []
    try:
        for item in items:
            batch.append(item)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


class _Producer(Generic[T]):
    """The background thread and its queue."""

    def __init__(self, items: Iterable[T], max_waiting: int) -> None:
        self.queue: queue.Queue[T | _End] = queue.Queue(max_waiting)
        self.stopped = threading.Event()
        self._items = items
        self.thread = threading.Thread(target=self._run, name="mien prefetch", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        end = _End()
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised in the consumer
            end = _End(error)
        self._put(end)

    def _put(self, item: T | _End) -> bool:
        """Queue an item; False once the consumer is gone."""
        while not self.stopped.is_set():
            try:
                self.queue.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
