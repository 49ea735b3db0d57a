from __future__ import annotations

import signal
import threading

import pytest

from mien.training.run.guards import SIGNALS, Interrupted, deferred_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_told_when_asked(number: int) -> None:
    before = [signal.getsignal(known) for known in SIGNALS]
    with deferred_signals() as interruption:
        interruption.check()
        signal.raise_signal(number)
        assert interruption.number == number
        with pytest.raises(Interrupted) as raised:
            interruption.check()
        assert raised.value.number == number
    assert [signal.getsignal(known) for known in SIGNALS] == before


def test_a_second_ctrl_c_leaves_at_once() -> None:
    with deferred_signals() as interruption:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as raised:
            signal.raise_signal(signal.SIGINT)
        assert not isinstance(raised.value, Interrupted)
        assert interruption.number == signal.SIGINT


def test_handlers_are_given_back_after_an_error() -> None:
    before = [signal.getsignal(known) for known in SIGNALS]
    with pytest.raises(ZeroDivisionError), deferred_signals():
        raise ZeroDivisionError
    assert [signal.getsignal(known) for known in SIGNALS] == before


def test_in_another_thread_signals_are_left_alone() -> None:
    found = []

    def work() -> None:
        with deferred_signals() as interruption:
            found.append((signal.getsignal(signal.SIGINT), interruption.number))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(signal.getsignal(signal.SIGINT), None)]
