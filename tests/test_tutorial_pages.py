"""Pages of tutorials report a full run, show no image of the data, and match the tutorials' sources."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))

from tutorial_pages import SYNTHETIC_NOTE, TUTORIALS, Cell, cells_of, render

PAGES = sorted(path for path in TUTORIALS.glob("*.md") if path.with_suffix(".py").is_file())
MAX_IMAGE_BYTES = 400_000
"""Of all images of a tutorial together."""

TUTORIAL = """# ---
# jupyter: a header
# ---

# %% [markdown]
# # Faces
#
# Look at them.

# %%
show(faces)

# %% tags=["public"]
show(curves)
"""


def image_output(colour):
    content = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(content, "PNG")
    encoded = base64.b64encode(content.getvalue()).decode()
    return {"output_type": "display_data", "data": {"image/png": encoded, "text/plain": "<PIL>"}}


def text_output(text, stream="stdout"):
    return {"output_type": "stream", "name": stream, "text": text}


def test_a_tutorial_is_split_into_its_cells():
    assert cells_of(TUTORIAL) == [
        Cell("# Faces\n\nLook at them.", is_code=False),
        Cell("show(faces)", is_code=True),
        Cell("show(curves)", is_code=True, is_public=True),
    ]


def test_only_public_cells_show_images_of_the_full_run():
    full = [
        [],
        [text_output("full\n"), image_output("red"), image_output("pink")],
        [text_output("found\n"), text_output("57 %\n"), text_output("W", "stderr"), image_output("blue")],
    ]
    synthetic = [[], [text_output("synthetic "), image_output("lime")], [text_output("13 %\n"), image_output("white")]]
    page, images = render("faces", cells_of(TUTORIAL), full, synthetic)
    colours = [Image.open(io.BytesIO(content)).getpixel((0, 0)) for content in images.values()]
    assert colours == [(0, 255, 0), (0, 0, 255)]
    assert list(images) == ["faces-1.webp", "faces-2.webp"]
    assert "```text\nfound\n57 %\n```\n\n![Faces](images/faces-2.webp)" in page
    assert "```text\nfull\n```\n\n![Faces](images/faces-1.webp)" in page
    assert page.count(SYNTHETIC_NOTE) == 1
    assert "13 %" not in page
    assert "<PIL>" not in page


def test_a_tutorial_without_data_shows_all_its_images():
    only = [[], [text_output("seen\n"), image_output("red")], []]
    page, images = render("faces", cells_of(TUTORIAL), only, only)
    assert len(images) == 1
    assert SYNTHETIC_NOTE not in page


def test_an_svg_stays_an_svg():
    svg = {"output_type": "display_data", "data": {"image/svg+xml": "<svg/>", "text/plain": "<SVG>"}}
    page, images = render("faces", cells_of(TUTORIAL), [[], [], [svg]], [[], [], []])
    assert images == {"faces-1.svg": b"<svg/>"}
    assert "![Faces](images/faces-1.svg)" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_matches_its_tutorial(page):
    text = page.read_text()
    for cell in cells_of(page.with_suffix(".py").read_text()):
        assert cell.text in text, f"{page.name} does not match {page.stem}.py: make tutorials"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_of_the_full_run_and_small(page):
    assert "DRAWN DATA" not in page.read_text()
    images = list((page.parent / "images").glob(f"{page.stem}-*.webp"))
    assert sum(image.stat().st_size for image in images) < MAX_IMAGE_BYTES
    assert all(image.name in page.read_text() for image in images)
