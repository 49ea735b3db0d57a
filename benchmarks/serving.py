"""Throughput and latency of mien serve, compared with plain loops.

    python benchmarks/serving.py --out docs/server.md
    python benchmarks/serving.py --seconds 5 --overload 5 --workers 1

Prints Markdown, or fills the block "serving" of a page. Capacity is the throughput of POST /v1/predict with images of
640x480, compared with plain loops over the same images, a process a core. Then follow the latency at 70 % of that
capacity, an overload of ten times as many requests, and the time that the server takes to stop. The clients run in a
process of their own. Needs an otherwise idle machine, and mien[dev].
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
from mien.workers.process import ONE_THREAD_ENV

IMAGE_SIZE = (640, 480)
CALM_LOAD = 0.7
OVERLOAD_FACTOR = 10
HEALTH_INTERVAL_SECONDS = 0.1


@dataclass
class Outcome:
    """Seconds of many requests by status, and of requests to /healthz."""

    predicted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0


def main() -> None:
    """Measure, and print or fill a page."""
    options = _arguments().parse_args()
    load = busy()
    image = _image()
    with _RunningServer(options.workers) as (process, port):
        loop, served = [], []
        for _ in range(options.rounds):
            loop.append(_loops(cores(), options.seconds))
            served.append(asyncio.run(_capacity(port, image, 4 * options.workers, options.seconds)))
        capacity = statistics.median(served)
        calm = asyncio.run(_at_rate(port, image, CALM_LOAD * capacity, options.seconds))
        overload = asyncio.run(_at_rate(port, image, OVERLOAD_FACTOR * capacity, options.overload, poll_health=True))
        after = asyncio.run(_at_rate(port, image, CALM_LOAD * capacity, min(options.seconds, 5.0)))
        stop_seconds = asyncio.run(_stop_seconds(process, port, image, 4 * options.workers))
    text = _report(options, list(zip(loop, served, strict=True)), calm, overload, after)
    text += f"\n\nStopped by SIGTERM while {4 * options.workers} clients send requests without a pause: exits after "
    text += f"{stop_seconds:.1f} s."
    text += f"\n\n<sub>{today()}, {machine()}" + (f"; **load {load:.1f} before the run**" if load else "") + ".</sub>"
    if options.out:
        write_text(options.out, fill(options.out.read_text(encoding="utf-8"), {"serving": text}))
    else:
        print(text)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--workers", type=int, default=cores(), help="worker processes")
    add("--seconds", type=float, default=20.0, help="of each measurement")
    add("--overload", type=float, default=60.0, help="seconds of ten times the load")
    add("--rounds", type=int, default=5, help="loops and server take turns; medians are reported")
    add("--out", type=Path, help="a page with a block serving, such as docs/server.md")
    return parser


def _report(
    options: argparse.Namespace,
    rounds: list[tuple[float, float]],
    calm: Outcome,
    overload: Outcome,
    after: Outcome,
) -> str:
    loop, capacity = (statistics.median(each) for each in zip(*rounds, strict=True))
    shares = [served / plain for plain, served in rounds]
    rows = [
        [f"plain loops, {cores()} processes", f"{loop:.1f} images per second"],
        [f"`POST /v1/predict`, {options.workers} workers", f"{capacity:.1f} images per second"],
        ["server / plain loops", f"{statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})"],
        [f"at {CALM_LOAD:.0%} of that: p50, p99", _ms(calm.predicted, 50, 99)],
        [
            f"overload, {OVERLOAD_FACTOR} times that for {overload.seconds:.0f} s: requests per second",
            f"{_count(overload) / overload.seconds:.0f}",
        ],
        ["of these predicted per second", f"{len(overload.predicted) / overload.seconds:.1f}"],
        ["refused with 503: p50, p99, maximum", _ms(overload.refused, 50, 99, 100)],
        ["`/healthz` meanwhile: p50, p99, maximum", _ms(overload.health, 50, 99, 100)],
        ["connections that failed", str(overload.failed)],
        [
            f"after the overload, at {CALM_LOAD:.0%}: p50, p99; refused",
            f"{_ms(after.predicted, 50, 99)}; {len(after.refused)}",
        ],
    ]
    note = f"Images of {IMAGE_SIZE[0]}x{IMAGE_SIZE[1]} with one face; the clients run on the same {cores()} cores."
    return f"{table(['', ''], rows)}\n\n{note}"


def _count(outcome: Outcome) -> int:
    return len(outcome.predicted) + len(outcome.refused) + outcome.failed


def _ms(seconds: list[float], *percentiles: int) -> str:
    """Percentiles in milliseconds."""
    ordered = sorted(seconds)
    if not ordered:
        return "none"
    return ", ".join(
        f"{1000 * ordered[min(len(ordered) * percentile // 100, len(ordered) - 1)]:.1f} ms"
        for percentile in percentiles
    )


def _image() -> bytes:
    """A portrait on a background of 640x480, as JPEG."""
    frame = Image.new("RGB", IMAGE_SIZE, (90, 90, 90))
    portrait = Image.open(PORTRAIT).convert("RGB")
    portrait.thumbnail(IMAGE_SIZE)
    frame.paste(portrait, ((IMAGE_SIZE[0] - portrait.width) // 2, 0))
    target = io.BytesIO()
    frame.save(target, "JPEG", quality=90)
    return target.getvalue()


def _loops(count: int, seconds: float) -> float:
    """Images a second of several plain loops together."""
    os.environ.update(ONE_THREAD_ENV | os.environ)  # as in the server's workers
    context = multiprocessing.get_context("spawn")
    with context.Pool(count) as pool:
        pool.map(_loop, [0.5] * count)
        return sum(pool.map(_loop, [seconds] * count, chunksize=1))


def _loop(seconds: float) -> float:
    import cv2

    cv2.setNumThreads(1)
    recognizer, image = Recognizer.load(), _image()
    recognizer.predict(image)
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        recognizer.predict(image)
        done += 1
    return done / (time.perf_counter() - started)


class _RunningServer:
    """``mien serve`` from when it is ready; gives its process and port."""

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
    """A keep-alive connection without an HTTP library, whose cost would count as the server's."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> int:
        """The status of the response."""
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
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _request(image: bytes) -> bytes:
    head = f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(image)}\r\n\r\n"
    return head.encode() + image


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def _capacity(port: int, image: bytes, clients: int, seconds: float) -> float:
    """Images a second of several clients, each sending the next request after its response (a closed loop)."""
    request, done = _request(image), 0
    end = time.perf_counter() + seconds

    async def send_requests() -> None:
        nonlocal done
        client = _Client(port)
        while time.perf_counter() < end:
            status = await client.send(request)
            done += status == 200  # after the await: another client may have added meanwhile
        client.close()

    started = time.perf_counter()
    await asyncio.gather(*(send_requests() for _ in range(clients)))
    return done / (time.perf_counter() - started)


async def _at_rate(port: int, image: bytes, rate: float, seconds: float, *, poll_health: bool = False) -> Outcome:
    """Send requests at a fixed rate, without waiting for responses (an open loop)."""
    request, outcome, running = _request(image), Outcome(), set()
    idle: list[_Client] = []

    async def send_requests() -> None:
        client = idle.pop() if idle else _Client(port)
        started = time.perf_counter()
        try:
            status = await client.send(request)
        except (OSError, asyncio.IncompleteReadError):
            outcome.failed += 1
            return
        (outcome.predicted if status == 200 else outcome.refused).append(time.perf_counter() - started)
        idle.append(client)

    polling = asyncio.create_task(_poll_health(port, outcome)) if poll_health else None
    started = time.perf_counter()
    for number in itertools.count():
        due = started + number / rate
        if due - started > seconds:
            break
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(send_requests())
        running.add(task)
        task.add_done_callback(running.discard)
        if number % 20 == 0:
            await asyncio.sleep(0)
    outcome.seconds = time.perf_counter() - started
    await asyncio.gather(*running)
    if polling:
        polling.cancel()
    for client in idle:
        client.close()
    return outcome


async def _stop_seconds(process: subprocess.Popen[str], port: int, image: bytes, clients: int) -> float:
    """Seconds from SIGTERM to the server's exit, while several clients send requests."""
    request = _request(image)

    async def send_requests() -> None:
        client = _Client(port)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await client.send(request)

    clients_running = [asyncio.create_task(send_requests()) for _ in range(clients)]
    await asyncio.sleep(1.0)
    started = time.perf_counter()
    process.terminate()
    await asyncio.to_thread(process.wait)
    took = time.perf_counter() - started
    await asyncio.gather(*clients_running)
    return took


async def _poll_health(port: int, outcome: Outcome) -> None:
    client = _Client(port)
    while True:
        started = time.perf_counter()
        await client.send(HEALTH)
        outcome.health.append(time.perf_counter() - started)
        await asyncio.sleep(HEALTH_INTERVAL_SECONDS)


if __name__ == "__main__":
    main()
