"""Prefetched items come in order from a bounded queue, and the thread ends with them."""

from __future__ import annotations

import threading
import time

import pytest

from mien.media.prefetch import batches, parallel_map, prefetch


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "mien prefetch"]


def test_all_items_come_in_order():
    assert list(prefetch(range(1000), 3)) == list(range(1000))
    assert list(prefetch([], 3)) == []
    assert not threads()


def test_the_queue_is_bounded():
    made = []

    def make():
        for number in range(100):
            made.append(number)
            yield number

    items = prefetch(make(), 3)
    assert next(items) == 0
    time.sleep(0.2)
    assert len(made) <= 1 + 3 + 1  # taken, waiting, and the one that waits to wait
    items.close()
    assert not threads()
    assert len(made) <= 5


def test_an_error_comes_after_the_items_before_it():
    def make():
        yield 1
        raise ValueError("torn")

    items = prefetch(make(), 3)
    assert next(items) == 1
    with pytest.raises(ValueError, match="torn"):
        next(items)
    assert not threads()


def test_the_next_item_is_prefetched_while_one_is_used():
    second = threading.Event()

    def make():
        yield 1
        second.set()
        yield 2

    for item in prefetch(make(), 2):
        assert item == 2 or second.wait(10)


def test_items_are_mapped_in_their_order_by_several_threads():
    both = threading.Barrier(2, timeout=10)

    def call(item):
        if item < 2:
            both.wait()  # passed only if two calls run at once
        return item * item

    assert list(parallel_map(call, range(20), 2)) == [item * item for item in range(20)]


def test_few_items_are_mapped_before_they_are_consumed():
    taken = []
    squares = parallel_map(lambda item: item * item, (taken.append(item) or item for item in range(100)), 2)
    assert next(squares) == 0
    assert len(taken) == 5
    squares.close()


@pytest.mark.parametrize(("large", "taken_first"), [(0, 1), (1, 2), (3, 4)])
def test_fewer_large_items_are_ahead(large, taken_first):
    taken = []
    items = (taken.append(item) or item for item in range(100))
    same = parallel_map(lambda item: item, items, 4, lambda item: large if item < 50 else 8)
    assert next(same) == 0
    assert len(taken) == taken_first
    assert list(same) == list(range(1, 100))


def test_an_exception_is_raised_at_the_place_of_its_item():
    inverses = parallel_map(lambda item: 1 / item, [4, 2, 0, 1], 2)
    assert [next(inverses), next(inverses)] == [0.25, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(inverses)


def torn(count):
    yield from range(count)
    raise ValueError("torn")


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9])
def test_items_before_an_error_of_the_iterable_are_mapped_and_grouped_first(count):
    results = (
        (item for batch in batches(torn(count), 4) for item in batch),
        parallel_map(lambda item: item, torn(count), 2),
    )
    for result in results:
        assert [next(result) for _ in range(count)] == list(range(count))
        with pytest.raises(ValueError, match="torn"):
            next(result)
