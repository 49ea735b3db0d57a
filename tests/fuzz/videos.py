"""Fuzzes the video reader in a process of its own: a hang ends it with a traceback, a crash with a signal.

Run in tests as ``python -m fuzz.videos COUNT``: writes how they ended as one JSON object.
"""

from __future__ import annotations

import collections
import faulthandler
import json
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from fuzz.images import mutated, peak_memory
from mien.errors import IncompleteVideoError, VideoError
from mien.media.video import FileSource, Sampling
from mien.media.video_writer import open_video
from videos import swaying_face, write_frames

MAX_SECONDS = 10.0
"""Time for one clip; longer counts as hanging."""

FRAMES = 12

SEEDS = (
    (".ts", "libx264", {"flags": "+ildct+ilme", "x264-params": "tff=1"}),
    (".mpg", "mpeg2video", {"flags": "+ildct+ilme"}),
    (".webm", "libvpx-vp9", {"deadline": "realtime"}),
    (".flv", "flv", {}),
    (".wmv", "wmv2", {}),
    (".m4v", "mpeg4", {}),
    (".mov", "libx265", {"x265-params": "log-level=none"}),
)
"""Suffix, codec and options of the clips that FFmpeg's encoders write."""


def seeds(folder: Path) -> dict[str, bytes]:
    """Small clips in the forms that files come in, by suffix."""
    frames = [frame[::4, ::4] for frame in swaying_face(FRAMES)]
    found = {".avi": write_frames(folder / "seed.avi", frames).read_bytes()}
    for suffix, codec, options in SEEDS:
        path = write_frames(folder / f"seed{suffix}", frames, 25, codec, "yuv420p", **options)
        found[suffix] = path.read_bytes()
    for suffix in (".mp4", ".mkv"):
        path = folder / f"seed{suffix}"
        with open_video(path) as writer:
            for number, frame in enumerate(frames):
                writer.write(frame, number / 25)
        found[suffix] = path.read_bytes()
    return found


def end_of(path: Path) -> str:
    """How reading ended: how many frames came, refused, or the name of what should not have happened."""
    times, good, incomplete = [], True, False
    try:
        source = FileSource(path)
        try:
            for frame in source.frames(Sampling()):
                times.append(frame.seconds)
                good &= frame.image.dtype == np.uint8 and frame.image.ndim == 3
        except IncompleteVideoError:
            incomplete = True
        finally:
            source.close()
    except VideoError:
        return "refused"
    except BaseException as escaped:  # noqa: BLE001 - what escapes is what is looked for
        return f"{type(escaped).__name__}: {escaped}"
    rising = all(one < other for one, other in pairwise(times))
    if not (good and rising):
        return "bad frames" if rising else "times that do not rise"
    if incomplete:
        return "incomplete"
    return "all frames" if len(times) >= FRAMES else "some frames"


def main(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = seeds(folder)
        ends, slowest = collections.Counter(), 0.0
        for suffix in clips:
            if (end := end_of(folder / f"seed{suffix}")) != "all frames":
                raise SystemExit(f"the clips to mutate must be readable: {suffix} {end}")
        before = peak_memory(anew=True)
        for number in range(count):
            suffix = list(clips)[number % len(clips)]
            path = folder / f"mutated{suffix}"
            path.write_bytes(mutated(clips[suffix], random))
            faulthandler.dump_traceback_later(MAX_SECONDS, exit=True)
            begun = time.monotonic()
            ends[end_of(path)] += 1
            slowest = max(slowest, time.monotonic() - begun)
        faulthandler.cancel_dump_traceback_later()
    json.dump({"ends": ends, "slowest": slowest, "memory": peak_memory() - before}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
