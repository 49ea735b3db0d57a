"""What mien serve can do on this machine, beside the same work in plain loops.

    python benchmarks/serving.py --out docs/server.md
    python benchmarks/serving.py --seconds 5 --overload 5 --workers 1

Prints Markdown, or fills the block "serving" of a page. Capacity is that of POST /v1/predict with images of 640x480;
beside it the same images read by plain loops, a process a core. Then the latency at 70 % of that capacity, what
becomes of ten times as many requests as that, and how long the server takes to end. Whoever asks is a process beside
the server's. Wants a machine that does nothing else, and mien[dev].
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import itertools
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from page import fill, table
from PIL import Image
from setting import PORTRAIT, busy, machine, today

from mien.media.files import write_text
from mien.media.prefetch import cores
from mien.recognizer import Recognizer
from mien.workers.process import ONE_THREAD

SIZE = (640, 480)
SHARE = 0.7
TIMES = 10
WATCHED = 0.1
"""Seconds from one look at /healthz to the next."""


@dataclass
class Asked:
    """What came of many requests: seconds that each took by status, and looks at /healthz."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    healthy: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0


def main() -> None:
    """Measures, and prints or fills a page."""
    asked = _arguments().parse_args()
    load = busy()
    image = _image()
    with _served(asked.workers) as (process, port):
        loop, served = [], []
        for _ in range(asked.rounds):
            loop.append(_loops(cores(), asked.seconds))
            served.append(asyncio.run(_capacity(port, image, 4 * asked.workers, asked.seconds)))
        capacity = statistics.median(served)
        calm = asyncio.run(_at_rate(port, image, SHARE * capacity, asked.seconds))
        before = asyncio.run(_at_rate(port, image, TIMES * capacity, asked.overload, watched=True))
        after = asyncio.run(_at_rate(port, image, SHARE * capacity, min(asked.seconds, 5.0)))
        ended = asyncio.run(_ended(process, port, image, 4 * asked.workers))
    text = _told(asked, list(zip(loop, served, strict=True)), calm, before, after)
    text += f"\n\nStopped by SIGTERM while {4 * asked.workers} clients ask without a pause: gone after {ended:.1f} s."
    text += f"\n\n<sub>{today()}, {machine()}" + (f"; **load {load:.1f} before the run**" if load else "") + ".</sub>"
    if asked.out:
        write_text(asked.out, fill(asked.out.read_text(encoding="utf-8"), {"serving": text}))
    else:
        print(text)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--workers", type=int, default=cores(), help="processes that read")
    add("--seconds", type=float, default=20.0, help="of each measurement")
    add("--overload", type=float, default=60.0, help="seconds of ten times the load")
    add("--rounds", type=int, default=5, help="loops and server take turns; medians are told")
    add("--out", type=Path, help="a page with a block serving, such as docs/server.md")
    return parser


def _told(asked: argparse.Namespace, rounds: list[tuple[float, float]], calm: Asked, much: Asked, after: Asked) -> str:
    loop, capacity = (statistics.median(each) for each in zip(*rounds, strict=True))
    shares = [served / plain for plain, served in rounds]
    rows = [
        [f"plain loops, {cores()}", f"{loop:.1f} images a second"],
        [f"`POST /v1/predict`, {asked.workers} workers", f"{capacity:.1f} images a second"],
        ["served over plain", f"{statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})"],
        [f"at {SHARE:.0%} of that: p50, p99", _ms(calm.answered, 50, 99)],
        [f"{TIMES} times that for {much.seconds:.0f} s: asked a second", f"{_count(much) / much.seconds:.0f}"],
        ["answered a second", f"{len(much.answered) / much.seconds:.1f}"],
        ["refused with 503: p50, p99, longest", _ms(much.refused, 50, 99, 100)],
        ["`/healthz` meanwhile: p50, p99, longest", _ms(much.healthy, 50, 99, 100)],
        ["connections that failed", str(much.failed)],
        [f"afterwards at {SHARE:.0%}: p50, p99; refused", f"{_ms(after.answered, 50, 99)}; {len(after.refused)}"],
    ]
    note = f"Images of {SIZE[0]}x{SIZE[1]} with one face; who asks runs on the same {cores()} cores."
    return f"{table(['', ''], rows)}\n\n{note}"


def _count(one: Asked) -> int:
    return len(one.answered) + len(one.refused) + one.failed


def _ms(seconds: list[float], *shares: int) -> str:
    """Percentiles in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return "none"
    return ", ".join(f"{1000 * ordered[min(len(ordered) * share // 100, len(ordered) - 1)]:.1f} ms" for share in shares)


def _image() -> bytes:
    """A portrait on a ground of 640x480, as JPEG."""
    frame = Image.new("RGB", SIZE, (90, 90, 90))
    portrait = Image.open(PORTRAIT).convert("RGB")
    portrait.thumbnail(SIZE)
    frame.paste(portrait, ((SIZE[0] - portrait.width) // 2, 0))
    target = io.BytesIO()
    frame.save(target, "JPEG", quality=90)
    return target.getvalue()


def _loops(count: int, seconds: float) -> float:
    """Images a second that so many plain loops read together."""
    os.environ.update(ONE_THREAD | os.environ)  # as the server's own processes have it
    context = multiprocessing.get_context("spawn")
    with context.Pool(count) as pool:
        pool.map(_loop, [0.5] * count)
        return sum(pool.map(_loop, [seconds] * count, chunksize=1))


def _loop(seconds: float) -> float:
    import cv2

    cv2.setNumThreads(1)
    recognizer, image = Recognizer.load(), _image()
    recognizer.predict(image)
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        recognizer.predict(image)
        done += 1
    return done / (time.perf_counter() - begun)


class _served:  # noqa: N801  it is used as a function
    """A server of the command, from when it answers; gives its process and port."""

    def __init__(self, workers: int) -> None:
        command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--workers", str(workers)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> tuple[subprocess.Popen[str], int]:
        line = next(line for line in self._process.stderr or () if "serves at" in line)
        return self._process, int(re.search(r":(\d+)/", line)[1])  # type: ignore[index]

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


class _Client:
    """A connection that is kept, and asks over again; what HTTP libraries cost would be taken for the server's."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """The status of an answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            raise
        if b"connection: close" in head.lower():
            self.close()
        return int(head.split()[1])

    def close(self) -> None:
        """Ends the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _request(image: bytes) -> bytes:
    head = f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(image)}\r\n\r\n"
    return head.encode() + image


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def _capacity(port: int, image: bytes, clients: int, seconds: float) -> float:
    """Images a second that so many clients get, each asking again when it has its answer."""
    request, done = _request(image), 0
    end = time.perf_counter() + seconds

    async def ask() -> None:
        nonlocal done
        client = _Client(port)
        while time.perf_counter() < end:
            status = await client.ask(request)
            done += status == 200  # in one go: another client may have added meanwhile
        client.close()

    begun = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(clients)))
    return done / (time.perf_counter() - begun)


async def _at_rate(port: int, image: bytes, rate: float, seconds: float, *, watched: bool = False) -> Asked:
    """Asks at a rate that does not wait for answers (an open loop); what came of it."""
    request, came, running = _request(image), Asked(), set()
    idle: list[_Client] = []

    async def ask() -> None:
        client = idle.pop() if idle else _Client(port)
        begun = time.perf_counter()
        try:
            status = await client.ask(request)
        except (OSError, asyncio.IncompleteReadError):
            came.failed += 1
            return
        (came.answered if status == 200 else came.refused).append(time.perf_counter() - begun)
        idle.append(client)

    watching = asyncio.create_task(_watch(port, came)) if watched else None
    begun = time.perf_counter()
    for number in itertools.count():
        due = begun + number / rate
        if due - begun > seconds:
            break
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(ask())
        running.add(task)
        task.add_done_callback(running.discard)
        if number % 20 == 0:
            await asyncio.sleep(0)
    came.seconds = time.perf_counter() - begun
    await asyncio.gather(*running)
    if watching:
        watching.cancel()
    for client in idle:
        client.close()
    return came


async def _ended(process: subprocess.Popen[str], port: int, image: bytes, clients: int) -> float:
    """Seconds from a SIGTERM to the server's end, while so many clients ask."""
    request = _request(image)

    async def ask() -> None:
        client = _Client(port)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await client.ask(request)

    asking = [asyncio.create_task(ask()) for _ in range(clients)]
    await asyncio.sleep(1.0)
    begun = time.perf_counter()
    process.terminate()
    await asyncio.to_thread(process.wait)
    took = time.perf_counter() - begun
    await asyncio.gather(*asking)
    return took


async def _watch(port: int, came: Asked) -> None:
    client = _Client(port)
    while True:
        begun = time.perf_counter()
        await client.ask(HEALTH)
        came.healthy.append(time.perf_counter() - begun)
        await asyncio.sleep(WATCHED)


if __name__ == "__main__":
    main()
