"""Draws page.png and page-phone.png beside this file, or every state of the page into a folder.

Run from the root: ``PYTHONPATH=tests/apps/page python docs/images/page.py [FOLDER]``; needs Chromium, playwright, and
scikit-image for the portrait that a fake camera shows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.cbook
import numpy as np
from browser import CHROMIUM, QUIET, swaying, write_camera
from fake_server import FakeServer
from PIL import Image
from playwright.sync_api import sync_playwright
from skimage.data import astronaut

from mien.recognizer import Recognizer

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
CHOSEN = {"live-desktop-light": "page.png", "live-phone-dark": "page-phone.png"}
WIDTHS = {"page.png": 1280, "page-phone.png": 468}
REFUSE = (
    "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')); }"
)
RENAME = "() => { document.querySelector('#camera option').text = 'Integrated camera'; }"


def draw(folder: Path) -> None:
    """Every state of the page, at both sizes, light and dark."""
    camera = write_camera(folder / "camera.y4m", swaying(90, (960, 720), reach=8))
    photos = write_photos(folder)
    server = FakeServer(Recognizer.load())
    args = [*QUIET, f"--use-file-for-fake-video-capture={camera}"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=args)
        for size, viewport in SIZES.items():
            for scheme in ("brightness", "dark"):
                page = browser.new_page(viewport=viewport, color_scheme=scheme, device_scale_factor=1.5)
                page.goto(server.address)
                draw_states(page, folder, f"{size}-{scheme}", photos)
                page.close()
        browser.close()
    server.close()


def draw_states(page: Page, folder: Path, name: str, photos: list[Path]) -> None:
    """One page: before, live, covered, with photos, without a camera."""
    page.wait_for_timeout(500)
    page.screenshot(path=folder / f"welcome-{name}.png")
    page.keyboard.press("Space")
    page.wait_for_selector("#boxes .box:not([hidden])")
    page.evaluate(RENAME)  # a fake camera is named after its file
    page.wait_for_timeout(9000)
    page.screenshot(path=folder / f"live-{name}.png")
    page.keyboard.press("c")
    page.wait_for_function("() => document.getElementById('read').width > 0")
    page.wait_for_timeout(800)
    page.screenshot(path=folder / f"covered-{name}.png")
    page.keyboard.press("Space")
    page.set_input_files("#file", photos)
    page.wait_for_selector("#cards .card.failed")
    page.wait_for_timeout(800)
    page.screenshot(path=folder / f"photos-{name}.png", full_page=True)
    page.evaluate(REFUSE)
    page.keyboard.press("Space")
    page.wait_for_timeout(800)
    page.evaluate("() => scrollTo(0, 0)")
    page.screenshot(path=folder / f"denied-{name}.png")


def write_photos(folder: Path) -> list[Path]:
    """Two portraits, one image of both, and what is no image."""
    whole = astronaut()
    with Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        other = np.asarray(file.convert("RGB"))
    images = {"grace_hopper": other, "astronaut": whole, "both": np.hstack([whole[:400], other[:400]])}
    for name, image in images.items():
        Image.fromarray(image).save(folder / f"{name}.jpg")
    broken = folder / "notes.txt"
    broken.write_text("no image", encoding="utf-8")
    return [*(folder / f"{name}.jpg" for name in images), broken]


def in_few_colours(image: Image.Image) -> Image.Image:
    """At most 256: those of the whole, and those of small things, such as the legend's dots."""
    whole = image.quantize(176, Image.Quantize.MEDIANCUT).getpalette() or []
    small = image.quantize(80, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(whole[: 3 * 176] + small[: 3 * 80])
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def keep(folder: Path) -> None:
    """The chosen two, in few colours so that they are small."""
    for name, kept in CHOSEN.items():
        with Image.open(folder / f"{name}.png") as image:
            size = WIDTHS[kept], round(image.height * WIDTHS[kept] / image.width)
            small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            in_few_colours(small).save(HERE / kept, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        draw(Path(sys.argv[1]))
        keep(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            draw(Path(scratch))
            keep(Path(scratch))
