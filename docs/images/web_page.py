"""Takes the screenshots web_page.png and web_page-phone.png in this folder, or of every state of the page in FOLDER.

Run from the root: ``PYTHONPATH=tests/apps/web python docs/images/web_page.py [FOLDER]``. Needs Chromium, playwright,
and scikit-image for the portrait that a fake camera shows.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.cbook
import numpy as np
from browser import CHROMIUM, CHROMIUM_ARGS, swaying_astronaut, write_camera
from fake_server import FakeServer
from PIL import Image
from playwright.sync_api import sync_playwright
from skimage.data import astronaut

from mien.recognizer import Recognizer

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
DOC_IMAGES = {"live-desktop-light": ("web_page.png", 1280), "live-phone-dark": ("web_page-phone.png", 468)}
REJECT_CAMERA = (
    "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')); }"
)
RENAME_CAMERA = "() => { document.querySelector('#camera option').text = 'Integrated camera'; }"


def take_all(folder: Path) -> None:
    """Every state of the page, on desktop and phone, light and dark."""
    camera = write_camera(folder / "camera.y4m", swaying_astronaut(90, (960, 720), reach=8))
    photos = write_photos(folder)
    server = FakeServer(Recognizer.load())
    args = [*CHROMIUM_ARGS, f"--use-file-for-fake-video-capture={camera}"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=args)
        for size, viewport in SIZES.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport=viewport, color_scheme=scheme, device_scale_factor=1.5)
                page.goto(server.address)
                take_states(page, folder, f"{size}-{scheme}", photos)
                page.close()
        browser.close()
    server.close()


def take_states(page: Page, folder: Path, name: str, photos: list[Path]) -> None:
    """One page: before the start, live, anonymized, with photos, without camera access."""
    page.wait_for_timeout(500)
    page.screenshot(path=folder / f"welcome-{name}.png")
    page.keyboard.press("Space")
    page.wait_for_selector("#boxes .box:not([hidden])")
    page.evaluate(RENAME_CAMERA)  # a fake camera is named after its file
    page.wait_for_timeout(9000)
    page.screenshot(path=folder / f"live-{name}.png")
    page.keyboard.press("c")
    page.wait_for_function("() => document.getElementById('anonymized-frame').width > 0")
    page.wait_for_timeout(800)
    page.screenshot(path=folder / f"anonymized-{name}.png")
    page.keyboard.press("Space")
    page.set_input_files("#file", photos)
    page.wait_for_selector("#cards .card.failed")
    page.wait_for_timeout(800)
    page.screenshot(path=folder / f"photos-{name}.png", full_page=True)
    page.evaluate(REJECT_CAMERA)
    page.keyboard.press("Space")
    page.wait_for_timeout(800)
    page.evaluate("() => scrollTo(0, 0)")
    page.screenshot(path=folder / f"denied-{name}.png")


def write_photos(folder: Path) -> list[Path]:
    """Two portraits, both in one image, and a text file."""
    portrait = astronaut()
    with Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        other = np.asarray(file.convert("RGB"))
    images = {"grace_hopper": other, "astronaut": portrait, "both": np.hstack([portrait[:400], other[:400]])}
    for name, image in images.items():
        Image.fromarray(image).save(folder / f"{name}.jpg")
    broken = folder / "notes.txt"
    broken.write_text("no image", encoding="utf-8")
    return [*(folder / f"{name}.jpg" for name in images), broken]


def quantize(image: Image.Image) -> Image.Image:
    """Reduces to 256 colours: those of the whole image, and those of small details such as the legend's dots."""
    whole = image.quantize(176, Image.Quantize.MEDIANCUT).getpalette() or []
    small = image.quantize(80, Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(whole[: 3 * 176] + small[: 3 * 80])
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def save_doc_images(folder: Path) -> None:
    """The two images of the docs, with few colours so that the files are small."""
    for name, (file, width) in DOC_IMAGES.items():
        with Image.open(folder / f"{name}.png") as image:
            size = width, round(image.height * width / image.width)
            small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            quantize(small).save(HERE / file, optimize=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        take_all(Path(sys.argv[1]))
        save_doc_images(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            take_all(Path(scratch))
            save_doc_images(Path(scratch))
