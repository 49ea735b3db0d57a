"""Items made ahead come in order, wait in bounded number, and their thread ends with them."""

from __future__ import annotations

import threading
import time

import pytest

from mien.ahead import ahead


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "mien ahead"]


def test_all_items_come_in_order():
    assert list(ahead(range(1000), 3)) == list(range(1000))
    assert list(ahead([], 3)) == []
    assert not threads()


def test_no_more_wait_than_may():
    made = []

    def make():
        for number in range(100):
            made.append(number)
            yield number

    items = ahead(make(), 3)
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

    items = ahead(make(), 3)
    assert next(items) == 1
    with pytest.raises(ValueError, match="torn"):
        next(items)
    assert not threads()


def test_the_next_item_is_made_while_one_is_used():
    second = threading.Event()

    def make():
        yield 1
        second.set()
        yield 2

    for item in ahead(make(), 2):
        assert item == 2 or second.wait(10)
