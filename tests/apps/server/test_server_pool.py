"""Questions to processes: whose time is up while they wait, or in the middle of one."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from mien.apps.server.faults import Refusal
from mien.apps.server.metrics import Metrics
from mien.apps.server.pool import Pool

ECHO = """
import time
from mien.workers import protocol as messages
with messages.pipes() as pipes:
    asked = messages.all_of(pipes.asked)
    next(asked)
    messages.put(pipes.answers, {"name": "echo"})
    for number, one in enumerate(asked):
        time.sleep(one.said["seconds"])
        messages.put(pipes.answers, None, one.content + str(number).encode())
"""


@asynccontextmanager
async def echoing(count=1):
    """A pool that gives back what it is asked, with how many questions that process had before."""
    pool = Pool(count, {}, Metrics(), (sys.executable, "-c", ECHO))
    try:
        assert await pool.begin() == {"name": "echo"}
        yield pool
    finally:
        pool.close()


def finished(main):
    """What a coroutine gives, in a thread of its own: a browser's tests leave a loop running in theirs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(main())).result()


def asked(pool, content, seconds=0.0, within=60.0):
    until = asyncio.get_running_loop().time() + within
    return asyncio.create_task(pool.ask({"seconds": seconds}, content, until))


def test_questions_are_answered_in_turn_each_with_its_own():
    async def main():
        async with echoing() as pool:
            return [one.content for one in await asyncio.gather(*(asked(pool, name) for name in (b"a", b"b", b"c")))]

    assert finished(main) == [b"a0", b"b1", b"c2"]


def test_processes_share_what_is_asked():
    async def main():
        async with echoing(2) as pool:
            first = asked(pool, b"a", seconds=2.0)
            others = [(await asked(pool, b"b")).content for _ in range(3)]
            assert not first.done()
            return [*others, (await first).content]

    assert finished(main) == [b"b0", b"b1", b"b2", b"a0"]


def test_a_question_whose_time_is_up_while_it_waits_is_never_asked():
    async def main():
        async with echoing() as pool:
            first = asked(pool, b"a", seconds=1.0)
            with pytest.raises(Refusal) as refused:
                await asked(pool, b"late", within=0.1)
            return refused.value.code, (await first).content, (await asked(pool, b"b")).content

    assert finished(main) == ("busy", b"a0", b"b1")


def test_a_question_whose_client_is_gone_while_it_waits_is_never_asked():
    async def main():
        async with echoing() as pool:
            first, gone = asked(pool, b"a", seconds=0.5), asked(pool, b"gone")
            await asyncio.sleep(0.1)
            gone.cancel()
            return (await first).content, (await asked(pool, b"b")).content

    assert finished(main) == (b"a0", b"b1")


def test_a_question_that_takes_too_long_ends_its_process_and_no_other():
    async def main():
        async with echoing(2) as pool:
            stuck, slow = asked(pool, b"stuck", seconds=3600, within=0.5), asked(pool, b"a", seconds=1.5)
            with pytest.raises(Refusal) as refused:
                await stuck
            return refused.value.code, (await slow).content, (await asked(pool, b"b")).content[:1]

    assert finished(main) == ("too_long", b"a0", b"b")


def test_a_pool_that_is_closed_in_the_middle_of_a_question_tells_who_asked():
    async def main():
        async with echoing() as pool:
            waits = asked(pool, b"a", seconds=3600)
            await asyncio.sleep(0.2)
            await asyncio.to_thread(pool.close)
            with pytest.raises(Refusal) as refused:
                await waits
            return refused.value.code, pool.alive

    assert finished(main) == ("not_ready", 0)
