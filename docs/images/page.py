"""Draws the pictures of the page: page.png and page-phone.png beside this file, or all of them in a folder.

Run from the root with the tests' helpers at hand: ``PYTHONPATH=tests/apps/page python docs/images/page.py [FOLDER]``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import matplotlib.cbook
import numpy as np
from browser import CHROMIUM, QUIET, npm_package, swaying, write_camera
from fake_server import FakeServer
from PIL import Image
from playwright.sync_api import sync_playwright
from skimage.data import astronaut

from mien.recognizer import Recognizer

SIZES = {"": {"width": 1280, "height": 900}, "-phone": {"width": 390, "height": 844}}


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        aside = Path(scratch)
        camera = write_camera(aside / "camera.y4m", swaying(90, (960, 720), reach=8))
        server = FakeServer(Recognizer.load(), npm_package("onnxruntime-web", Path("/tmp/npm")) / "dist")
        portrait = aside / "grace_hopper.jpg"
        Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).save(portrait)
        whole = aside / "astronaut.jpg"
        Image.fromarray(astronaut()).save(whole)
        both = aside / "two.jpg"
        with Image.open(portrait) as other:
            Image.fromarray(np.hstack([astronaut()[:400], np.asarray(other.convert("RGB"))[:400]])).save(both)
        with sync_playwright() as play:
            browser = play.chromium.launch(
                executable_path=CHROMIUM, args=[*QUIET, f"--use-file-for-fake-video-capture={camera}"]
            )
            for size, viewport in SIZES.items():
                for scheme in ("light", "dark"):
                    page = browser.new_page(viewport=viewport, color_scheme=scheme)
                    page.on("console", lambda message: print("console:", message.text))
                    page.on("pageerror", lambda error: print("error:", error))
                    page.goto(server.address)
                    page.wait_for_timeout(300)
                    page.screenshot(path=folder / f"welcome{size}-{scheme}.png")
                    page.click("#start")
                    page.wait_for_selector("#boxes .box:not([hidden])")
                    # a fake camera is named after its file
                    page.evaluate("() => { document.querySelector('#camera option').text = 'Integrated camera'; }")
                    page.wait_for_timeout(6000 if size == "" else 2000)
                    page.screenshot(path=folder / f"page{size}-{scheme}.png", full_page=bool(size))
                    page.keyboard.press("c")
                    page.wait_for_timeout(800)
                    page.screenshot(path=folder / f"covered{size}-{scheme}.png")
                    page.click("#start")
                    page.set_input_files("#file", [portrait, both, whole, Path(__file__)])
                    page.wait_for_selector("#cards .card.failed", timeout=20000)
                    page.wait_for_timeout(600)
                    page.screenshot(path=folder / f"photos{size}-{scheme}.png", full_page=True)
                    page.evaluate(
                        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')); }"
                    )
                    page.click("#start")
                    page.wait_for_timeout(300)
                    page.screenshot(path=folder / f"denied{size}-{scheme}.png")
                    page.close()
            browser.close()
        server.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
