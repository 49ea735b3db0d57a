"""Throughput of whole videos against a frame loop, and of batch runs over ten thousand images."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from page import Section, table
from timing import Sample, interleaved

from mien.media.prefetch import cores
from mien.media.video import FileSource, Sampling
from mien.recognizer import Recognizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from setting import Setting

ROUNDS = 3
IMAGES = 10_000
KILLS = 20

FER = """
import sys, time
from fer.classes import Video
from fer.fer import FER
detector, video = FER(mtcnn=False), Video(sys.argv[1])
started = time.perf_counter()
video.analyze(detector, display=False, save_frames=False, save_video=False, annotate_frames=False, zip_images=False)
print("seconds", time.perf_counter() - started)
"""
"""The fer library on a video, with its own Haar detector and without its default output files."""


def videos(setting: Setting) -> Section:
    """Frames per second of a video with tracking, compared with a frame-by-frame loop and with fer."""
    if setting.video is None:
        raise SystemExit("expected a video to measure on: --video FILE")
    frames = sum(1 for _ in FileSource(setting.video).frames(Sampling()))
    tasks: dict[str, Callable[[], float]] = {}
    recognizers = {name: Recognizer.load(setting.model, name, store=setting.store) for name in ("auto", "haar")}
    for name, recognizer in recognizers.items():
        tasks[f"`mien predict`, {name}"] = partial(_stream_seconds, recognizer, setting.video)
    tasks["a loop of `predict`, auto"] = partial(_loop_seconds, recognizers["auto"], setting.video)
    if setting.fer:
        tasks["fer's `Video.analyze`, Haar"] = partial(_fer_seconds, setting.fer, setting.video)
    rates = {name: Sample(values).into(frames) for name, values in interleaved(tasks, ROUNDS).items()}
    first = rates[next(iter(rates))]
    rows = [[name, sample.text(1), first.over(sample).text(2)] for name, sample in rates.items()]
    note = (
        f"{setting.video.name}: {frames} frames of {'x'.join(map(str, _size(setting.video)))}, {ROUNDS} rounds; the "
        "last column is the speed of the first row relative to this one."
    )
    text = [table(["", "fps", "speedup of the first row"], rows), note]
    rounds = {name: sample.values for name, sample in rates.items()}
    return Section("\n\n".join(text), {"frames": frames, "rates": rounds})


def batch(setting: Setting) -> Section:
    """Ten thousand images by one process, by one a core, and by Ray; and by a run that is killed repeatedly."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "images"
        _repeat(setting.photos, folder, setting.many)
        engines = {"one process": ["--processes", "1"], f"{cores()} processes": []}
        if find_spec("ray"):
            engines["Ray Data on this machine"] = ["--engine", "ray"]
        tasks = {name: partial(_seconds, setting, folder, options) for name, options in engines.items()}
        seconds = {name: Sample(values) for name, values in interleaved(tasks, 1).items()}
        killed, rows_there = _killed(setting, folder)
    first = seconds["one process"]
    rows = [
        [name, f"{sample.median:,.0f}", f"{setting.many / sample.median:,.1f}", f"{first.over(sample).median:.2f}"]
        for name, sample in seconds.items()
    ]
    note = (
        f"{setting.many:,} images, {len(setting.photos)} different ones, complete runs of `mien predict FOLDER "
        f"--out TABLE.parquet`, start included. Killed {killed} times (kill -9 of the run, or of one of its "
        f"processes) and resumed each time: {rows_there:,} images in the table, no duplicates."
    )
    text = [table(["", "seconds", "images per second", "speedup"], rows), note]
    return Section("\n\n".join(text), {"seconds": {name: sample.values for name, sample in seconds.items()}})


def _stream_seconds(recognizer: Recognizer, video: Path) -> float:
    started = time.perf_counter()
    for _ in recognizer.stream(video):
        pass
    return time.perf_counter() - started


def _loop_seconds(recognizer: Recognizer, video: Path) -> float:
    started = time.perf_counter()
    for frame in FileSource(video).frames(Sampling()):
        recognizer.predict(frame.image)
    return time.perf_counter() - started


def _fer_seconds(python: str, video: Path) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        run = subprocess.run(
            [python, "-c", FER, str(video.absolute())],
            cwd=scratch,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            check=True,
        )
    return float(run.stdout.rpartition("seconds ")[2])


def _size(video: Path) -> tuple[int, int]:
    height, width = next(FileSource(video).frames(Sampling())).image.shape[:2]
    return width, height


def _repeat(photos: Sequence[Path], folder: Path, count: int) -> None:
    """Fill a folder with links to the photos, repeated until there are enough."""
    folder.mkdir()
    for number, photo in zip(range(count), itertools.cycle(photos), strict=False):
        (folder / f"{number:06}{photo.suffix}").symlink_to(photo.absolute())


def _command(folder: Path, out: Path, options: Sequence[str] = ()) -> list[str]:
    return [sys.executable, "-m", "mien", "predict", str(folder), "--out", str(out), *options]


def _seconds(setting: Setting, folder: Path, options: Sequence[str]) -> float:
    out = folder.with_name("table.parquet")
    started = time.perf_counter()
    subprocess.run(_command(folder, out, options), env=setting.environment, stderr=subprocess.DEVNULL, check=False)
    out.unlink()
    return time.perf_counter() - started


def _killed(setting: Setting, folder: Path) -> tuple[int, int]:
    """How often a run was killed, and the number of images in its table."""
    import pyarrow.parquet as pq

    out, dice, kills = folder.with_name("killed.parquet"), random.Random(0), 0
    while not out.exists():
        run = subprocess.Popen(_command(folder, out), env=setting.environment, stderr=subprocess.DEVNULL)
        if kills == KILLS:
            run.wait()
            break
        time.sleep(dice.uniform(1.0, setting.many / 1000))
        victims = [run.pid, *_children(run.pid)]
        if run.poll() is None:
            os.kill(dice.choice(victims), signal.SIGKILL)
            time.sleep(dice.uniform(0.0, 2.0))
            kills += 1
        run.kill()
        run.wait()
    sources = pq.read_table(out, columns=["source", "face"]).to_pylist()
    images = [row["source"] for row in sources if not row["face"]]
    if len(images) != len(set(images)) or len(images) != setting.many:
        raise SystemExit(f"expected each of {setting.many} images once; received {len(images)}")
    return kills, len(images)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
