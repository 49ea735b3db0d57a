"""How fast mien is on this machine, each figure beside what it is to be judged by.

    make bench
    python benchmarks/speed.py --out docs/benchmarks.md --json speed.json
    python benchmarks/speed.py --only photos faces --model FILE.onnx --yunet yunet_n_dynamic.onnx

Prints Markdown, or fills the blocks of a page. Measurements that are compared take turns, round by round; a figure is
the median of the rounds, with the quartiles in brackets. Wants a machine that does nothing else, and mien[dev].
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from classifiers import faces
from page import fill
from processes import cold_start, import_cost, installed_size
from setting import PHOTOS, PORTRAIT, VIDEO, Setting, busy, machine, today
from threadpoolctl import threadpool_limits
from throughput import photos

from batch import IMAGES, batch, videos
from live import live
from mien.media.files import write_text

MEASUREMENTS = {
    "cold-start": cold_start,
    "photos": photos,
    "faces": faces,
    "live": live,
    "videos": videos,
    "many": batch,
    "import": import_cost,
    "size": installed_size,
}
ASKED_FOR = ("size", "live", "videos", "many")
"""Measured only on demand: one needs an index, one a display, one a video, one ten minutes."""


def main() -> None:
    """Measures what was asked for."""
    asked = _arguments().parse_args()
    names = asked.only or [name for name in MEASUREMENTS if name not in ASKED_FOR or name in asked.more]
    load = busy()
    if load:
        print(f"other work keeps {load:.1f} cores busy: the figures will be too slow, and say so", file=sys.stderr)
    below = f"{today()}, {machine()}" + (f"; **load {load:.1f} before the run**" if load else "")
    blocks, figures = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        setting = Setting.of(asked, Path(scratch))
        for name in names:
            print(f"measuring: {name}", file=sys.stderr)
            with threadpool_limits(1, "blas"):  # as the command has it
                section = MEASUREMENTS[name](setting)
            blocks[name], figures[name] = f"{section.markdown}\n\n<sub>{below}.</sub>", section.figures
    if asked.out:
        write_text(asked.out, fill(asked.out.read_text(encoding="utf-8"), blocks))
    else:
        print("\n\n".join(f"## {name}\n\n{text}" for name, text in blocks.items()))
    if asked.json:
        write_text(asked.json, json.dumps({"date": today(), "machine": machine(), "load": load, **figures}, indent=1))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--only", nargs="+", choices=list(MEASUREMENTS), help="these alone; the other blocks of the page stay")
    add("--more", nargs="+", choices=ASKED_FOR, default=(), help="also these: size needs an index, live a display")
    add("--out", type=Path, help="a page with a block for each measurement, such as docs/benchmarks.md")
    add("--json", type=Path, help="every figure of every round")
    add("--model", default="compact", help="the classifier, by name or file")
    add("--yunet", type=Path, help="YuNet's .onnx file, where it is not in the model store")
    add("--photo", type=Path, default=PORTRAIT, help="the image of the cold start, with a face")
    add("--photos", type=Path, default=PHOTOS if PHOTOS.is_dir() else None, help="a folder of photos")
    add("--sample", type=int, default=0, help="so many photos of the folder, evenly chosen; 0: all")
    add("--video", type=Path, default=VIDEO if VIDEO.is_file() else None, help="the video of the measurement videos")
    add("--fer", help="a Python that has the fer library, to hold videos against")
    add("--many", type=int, default=IMAGES, help="images of the measurement many")
    add("--peers", default=sys.executable, help="a Python with TensorFlow or PyTorch to hold the cold start against")
    add("--rounds", type=int, default=7)
    add("--passes", type=int, default=3, help="over the photos")
    return parser


if __name__ == "__main__":
    main()
