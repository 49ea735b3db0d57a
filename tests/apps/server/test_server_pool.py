"""The inference pool: order, deadlines while a request waits or is processed, and its end."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from mien.apps.server.errors import ApiError
from mien.apps.server.metrics import Metrics
from mien.apps.server.service import InferencePool
from mien.workers import WorkerSpec

ECHO_WORKER = """
import time
from mien.workers import protocol
with protocol.worker_pipes() as pipes:
    requests = protocol.messages(pipes.requests)
    next(requests)
    protocol.send(pipes.replies, {"name": "echo"})
    for number, request in enumerate(requests):
        time.sleep(request.payload["seconds"])
        protocol.send(pipes.replies, None, request.content + str(number).encode())
"""


@asynccontextmanager
async def echo_pool(count=1):
    """A pool that echoes requests, each with the number of requests that its worker had before."""
    pool = InferencePool(count, WorkerSpec("compact"), Metrics(), (sys.executable, "-c", ECHO_WORKER))
    try:
        assert await pool.start() == {"name": "echo"}
        yield pool
    finally:
        pool.close()


def run(main):
    """The result of a coroutine, in a thread of its own: browser tests leave a loop running in theirs."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(main())).result()


def request(pool, content, seconds=0.0, within=60.0):
    deadline = asyncio.get_running_loop().time() + within
    return asyncio.create_task(pool.request({"seconds": seconds}, content, deadline))


def test_requests_are_processed_in_order_each_with_its_own_reply():
    async def main():
        async with echo_pool() as pool:
            return await asyncio.gather(*(request(pool, name) for name in (b"a", b"b", b"c")))

    assert run(main) == [b"a0", b"b1", b"c2"]


def test_workers_share_the_requests():
    async def main():
        async with echo_pool(2) as pool:
            first = request(pool, b"a", seconds=2.0)
            others = [await request(pool, b"b") for _ in range(3)]
            assert not first.done()
            return [*others, await first]

    assert run(main) == [b"b0", b"b1", b"b2", b"a0"]


def test_a_request_whose_deadline_passes_while_it_waits_is_never_sent():
    async def main():
        async with echo_pool() as pool:
            first = request(pool, b"a", seconds=1.0)
            with pytest.raises(ApiError) as error:
                await request(pool, b"late", within=0.1)
            return error.value.code, await first, await request(pool, b"b")

    assert run(main) == ("busy", b"a0", b"b1")


def test_a_request_whose_client_disconnects_while_it_waits_is_never_sent():
    async def main():
        async with echo_pool() as pool:
            first, gone = request(pool, b"a", seconds=0.5), request(pool, b"gone")
            await asyncio.sleep(0.1)
            gone.cancel()
            return await first, await request(pool, b"b")

    assert run(main) == (b"a0", b"b1")


def test_a_request_over_its_deadline_kills_its_worker_and_no_other():
    async def main():
        async with echo_pool(2) as pool:
            stuck, slow = request(pool, b"stuck", seconds=3600, within=0.5), request(pool, b"a", seconds=1.5)
            with pytest.raises(ApiError) as error:
                await stuck
            return error.value.code, await slow, (await request(pool, b"b"))[:1]

    assert run(main) == ("timeout", b"a0", b"b")


def test_a_pool_that_closes_during_a_request_fails_that_request():
    async def main():
        async with echo_pool() as pool:
            waits = request(pool, b"a", seconds=3600)
            await asyncio.sleep(0.2)
            await asyncio.to_thread(pool.close)
            with pytest.raises(ApiError) as error:
                await waits
            return error.value.code, pool.ready

    assert run(main) == ("not_ready", 0)
