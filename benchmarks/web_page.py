"""Speed of the web page with both inference backends: frames per second, and time to the first expression.

    PYTHONPATH=tests/apps/web python benchmarks/web_page.py --out docs/web_page.md

Needs Chromium, npm, mien[dev] and an otherwise idle machine. The webcam is Chromium's fake device, which plays a
portrait of 640x480 at 30 frames per second.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from browser import CHROMIUM, CHROMIUM_ARGS, RUNTIME, npm_package, swaying_astronaut, write_camera
from page import fill, table
from playwright.sync_api import sync_playwright
from setting import busy, machine, today
from timing import Sample

from mien.media.files import write_text
from mien.models.store import ModelStore

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROUNDS = 3
SECONDS = 10.0
RESULT_COUNT = "() => parseInt(document.getElementById('result-count').textContent.replace(',', '')) || 0"
LOCATIONS = {"server": "on the server", "browser": "in the browser"}


def main() -> None:
    """Measure both backends, round by round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a page with a block named browser, such as docs/web_page.md")
    args = parser.parse_args()
    load = busy()
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(Path(scratch))
    setup = f"{today()}, {machine()}" + (f"; **load {load:.1f} before the run**" if load else "")
    text = f"{table(['', 'frames per second', 'time to the first expression, s'], rows)}\n\n<sub>{setup}.</sub>"
    if args.out:
        write_text(args.out, fill(args.out.read_text(encoding="utf-8"), {"browser": text}))
    else:
        print(text)


def measure(scratch: Path) -> list[list[str]]:
    """A table row for each backend."""
    archive = next(npm_package(RUNTIME, scratch / "npm").parent.glob("*.tgz"))
    ModelStore(cache=scratch / "models").add(archive)
    camera = write_camera(scratch / "camera.y4m", swaying_astronaut())
    environment = os.environ | {"MIEN_CACHE": str(scratch)}
    server = subprocess.Popen(
        [sys.executable, "-m", "mien", "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        address = re.search(r"http://\S+", server.stderr.readline())[0]
        with sync_playwright() as play:
            samples = {location: [] for location in LOCATIONS}
            for _ in range(ROUNDS):
                for location in LOCATIONS:
                    browser = play.chromium.launch(
                        executable_path=CHROMIUM, args=[*CHROMIUM_ARGS, f"--use-file-for-fake-video-capture={camera}"]
                    )
                    samples[location].append(measure_once(browser, address, location))
                    browser.close()
    finally:
        server.terminate()
        server.communicate()
    return [
        [
            name,
            *(
                Sample(values).text(digits)
                for values, digits in zip(zip(*samples[location], strict=True), (1, 2), strict=True)
            ),
        ]
        for location, name in LOCATIONS.items()
    ]


def measure_once(browser: Browser, address: str, location: str) -> tuple[float, float]:
    """Frames per second once the page runs, and seconds from the press of Start to the first label."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.check(f"input[name=inference][value={location}]", force=True)
    start = time.perf_counter()
    page.click("#start")
    page.wait_for_selector("#boxes .box:not([hidden])")
    first = time.perf_counter() - start
    page.wait_for_timeout(1000)
    count, start = page.evaluate(RESULT_COUNT), time.perf_counter()
    page.wait_for_timeout(1000 * SECONDS)
    return (page.evaluate(RESULT_COUNT) - count) / (time.perf_counter() - start), first


if __name__ == "__main__":
    main()
