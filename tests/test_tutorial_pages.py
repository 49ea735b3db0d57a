"""Pages of tutorials report a full run, show no image of the data, and match the tutorials' sources."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))

from tutorial_pages import NOTE, TUTORIALS, Cell, cells_of, rendered

PAGES = sorted(path for path in TUTORIALS.glob("*.md") if path.with_suffix(".py").is_file())
LARGEST = 400_000
"""Total bytes of a tutorial's images."""

TUTORIAL = """# ---
# jupyter: a head
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


def shown(colour):
    content = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(content, "PNG")
    encoded = base64.b64encode(content.getvalue()).decode()
    return {"output_type": "display_data", "data": {"image/png": encoded, "text/plain": "<PIL>"}}


def said(words, stream="stdout"):
    return {"output_type": "stream", "name": stream, "text": words}


def test_a_tutorial_is_split_into_its_cells():
    assert cells_of(TUTORIAL) == [
        Cell("# Faces\n\nLook at them.", is_code=False),
        Cell("show(faces)", is_code=True),
        Cell("show(curves)", is_code=True, is_public=True),
    ]


def test_only_public_cells_show_images_of_the_full_run():
    full = [
        [],
        [said("full\n"), shown("red"), shown("pink")],
        [said("found\n"), said("57 %\n"), said("W", "stderr"), shown("blue")],
    ]
    drawn = [[], [said("drawn "), shown("lime")], [said("13 %\n"), shown("white")]]
    page, images = rendered("faces", cells_of(TUTORIAL), full, drawn)
    colours = [Image.open(io.BytesIO(content)).getpixel((0, 0)) for content in images.values()]
    assert colours == [(0, 255, 0), (0, 0, 255)]
    assert list(images) == ["faces-1.webp", "faces-2.webp"]
    assert "```text\nfound\n57 %\n```\n\n![Faces](images/faces-2.webp)" in page
    assert "```text\nfull\n```\n\n![Faces](images/faces-1.webp)" in page
    assert page.count(NOTE) == 1
    assert "13 %" not in page
    assert "<PIL>" not in page


def test_a_tutorial_without_data_shows_all_its_images():
    only = [[], [said("seen\n"), shown("red")], []]
    page, images = rendered("faces", cells_of(TUTORIAL), only, only)
    assert len(images) == 1
    assert NOTE not in page


def test_a_drawing_stays_one():
    drawing = {"output_type": "display_data", "data": {"image/svg+xml": "<svg/>", "text/plain": "<SVG>"}}
    page, images = rendered("faces", cells_of(TUTORIAL), [[], [], [drawing]], [[], [], []])
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
    assert sum(image.stat().st_size for image in images) < LARGEST
    assert all(image.name in page.read_text() for image in images)
