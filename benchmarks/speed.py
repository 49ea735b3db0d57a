"""Benchmarks mien on this machine, each figure next to a reference.

    make bench
    python benchmarks/speed.py --out docs/benchmarks.md --json speed.json
    python benchmarks/speed.py --only photos faces --model FILE.onnx --yunet yunet_n_dynamic.onnx

Prints Markdown, or fills the blocks of a page. Compared measurements are interleaved; a figure is the median of the
rounds, with the quartiles in brackets. Needs an idle machine and mien[dev].
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
OPTIONAL = ("size", "live", "videos", "many")
"""Run only on request: they need a package index, a display, a video, and ten minutes."""


def main() -> None:
    """Run the selected measurements."""
    arguments = _arguments().parse_args()
    names = arguments.only or [name for name in MEASUREMENTS if name not in OPTIONAL or name in arguments.more]
    load = busy()
    if load:
        print(f"the load average is {load:.1f}: the figures will be too slow, and the report says so", file=sys.stderr)
    below = f"{today()}, {machine()}" + (f"; **load {load:.1f} before the run**" if load else "")
    blocks, figures = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        setting = Setting.of(arguments, Path(scratch))
        for name in names:
            print(f"measuring: {name}", file=sys.stderr)
            with threadpool_limits(1, "blas"):  # as the mien command does
                section = MEASUREMENTS[name](setting)
            blocks[name], figures[name] = f"{section.markdown}\n\n<sub>{below}.</sub>", section.figures
    if arguments.out:
        write_text(arguments.out, fill(arguments.out.read_text(encoding="utf-8"), blocks))
    else:
        print("\n\n".join(f"## {name}\n\n{text}" for name, text in blocks.items()))
    if arguments.json:
        write_text(
            arguments.json, json.dumps({"date": today(), "machine": machine(), "load": load, **figures}, indent=1)
        )


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--only", nargs="+", choices=list(MEASUREMENTS), help="run only these; the other blocks of the page stay")
    add(
        "--more",
        nargs="+",
        choices=OPTIONAL,
        default=(),
        help="run these too: size needs a package index, live a display",
    )
    add("--out", type=Path, help="page with a block for each measurement, such as docs/benchmarks.md")
    add("--json", type=Path, help="file for the figures of every round")
    add("--model", default="compact", help="classifier, by name or file")
    add("--yunet", type=Path, help="YuNet's .onnx file, if it is not in the model store")
    add("--photo", type=Path, default=PORTRAIT, help="image of the cold start, with a face")
    add("--photos", type=Path, default=PHOTOS if PHOTOS.is_dir() else None, help="folder of photos")
    add("--sample", type=int, default=0, help="number of photos to sample evenly from the folder; 0: all")
    add("--video", type=Path, default=VIDEO if VIDEO.is_file() else None, help="video of the measurement videos")
    add("--fer", help="Python with the fer library, to compare videos with")
    add("--many", type=int, default=IMAGES, help="number of images of the measurement many")
    add(
        "--peers",
        default=sys.executable,
        help="Python with TensorFlow or PyTorch, to compare the cold start with",
    )
    add("--rounds", type=int, default=7)
    add("--passes", type=int, default=3, help="repeats over the photos")
    return parser


if __name__ == "__main__":
    main()
