"""How fast the page reads a camera, in both ways: readings a second, and seconds to the first expression on screen.

    PYTHONPATH=tests/apps/page python benchmarks/web_page.py --out docs/page.md

Wants Chromium, npm, mien[dev], and a machine that does nothing else. The camera is Chromium's fake one, which plays a
portrait of 640x480 thirty times a second.
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

from browser import CHROMIUM, QUIET, RUNTIME, npm_package, swaying, write_camera
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
COUNT = "() => parseInt(document.getElementById('kept').textContent.replace(',', '')) || 0"
WAYS = {"server": "this computer's server", "browser": "in the browser"}


def main() -> None:
    """Measures both ways, round by round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a page with a block named browser, such as docs/page.md")
    asked = parser.parse_args()
    load = busy()
    with tempfile.TemporaryDirectory() as scratch:
        rows = measured(Path(scratch))
    below = f"{today()}, {machine()}" + (f"; **load {load:.1f} before the run**" if load else "")
    text = f"{table(['', 'readings a second', 'first expression after, s'], rows)}\n\n<sub>{below}.</sub>"
    if asked.out:
        write_text(asked.out, fill(asked.out.read_text(encoding="utf-8"), {"browser": text}))
    else:
        print(text)


def measured(scratch: Path) -> list[list[str]]:
    """A row for each way."""
    archive = next(npm_package(RUNTIME, scratch / "npm").parent.glob("*.tgz"))
    ModelStore(cache=scratch / "models").add(archive)
    camera = write_camera(scratch / "camera.y4m", swaying())
    environment = os.environ | {"MIEN_CACHE": str(scratch)}
    server = subprocess.Popen(
        [sys.executable, "-m", "mien", "serve", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        address = re.search(r"http://\S+", server.stderr.readline())[0]
        with sync_playwright() as play:
            found = {way: [] for way in WAYS}
            for _ in range(ROUNDS):
                for way in WAYS:
                    browser = play.chromium.launch(
                        executable_path=CHROMIUM, args=[*QUIET, f"--use-file-for-fake-video-capture={camera}"]
                    )
                    found[way].append(one_round(browser, address, way))
                    browser.close()
    finally:
        server.terminate()
        server.communicate()
    return [
        [
            name,
            *(
                Sample(values).text(digits)
                for values, digits in zip(zip(*found[way], strict=True), (1, 2), strict=True)
            ),
        ]
        for way, name in WAYS.items()
    ]


def one_round(browser: Browser, address: str, way: str) -> tuple[float, float]:
    """Readings a second once it runs, and seconds from the press of Start to the first word on a face."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.check(f"input[name=where][value={way}]", force=True)
    begun = time.perf_counter()
    page.click("#start")
    page.wait_for_selector("#boxes .box:not([hidden])")
    first = time.perf_counter() - begun
    page.wait_for_timeout(1000)
    before, begun = page.evaluate(COUNT), time.perf_counter()
    page.wait_for_timeout(1000 * SECONDS)
    return (page.evaluate(COUNT) - before) / (time.perf_counter() - begun), first


if __name__ == "__main__":
    main()
