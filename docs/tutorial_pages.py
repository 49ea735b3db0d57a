"""Renders the tutorials as pages with images: ``make tutorials``, or ``python docs/tutorial_pages.py [FILE]...``.

A page reports the figures of the full run, on the data in the folder MIEN_TUTORIAL_DATA, but shows no image of it: mien
has no right to publish them. A cell's images come from the full run only if the cell is tagged "public"
(``# %% tags=["public"]``: charts, the portrait); all other images come from the run on synthetic data.

With the variable the pages are written next to the tutorials, to docs/tutorials/NAME.md and docs/tutorials/images/.
Without it there is only the run on synthetic data, and its pages go to build/tutorials. Needs nbclient and ipykernel.
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image

from mien.media.files import write_bytes, write_text
from mien.tutorial import data as tutorial_data

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
PUBLIC = "public"
NOTE = "*Drawn here: images of the data are not mien's to show.*"
SECONDS = 3600
"""That a cell may take."""

Output = dict[str, Any]
"""What a cell gave, as notebooks keep it."""


@dataclass(frozen=True)
class Cell:
    """A cell of a tutorial.

    Attributes:
        text: Markdown, or Python.
        is_code: which of the two.
        is_public: whether its images hold nothing of the data.
    """

    text: str
    is_code: bool
    is_public: bool = False


def main() -> None:
    """Renders the given tutorials, or all."""
    names = [Path(name) for name in sys.argv[1:]] or sorted(TUTORIALS.glob("*.py"))
    real = tutorial_data.folder() is not None
    folder = TUTORIALS if real else ROOT / "build" / "tutorials"
    for path in names:
        sys.stderr.write(f"{path.name}\n")
        cells = cells_of(path.read_text())
        folders = (tutorial_data.DATA_VARIABLE, tutorial_data.OLD_DATA_VARIABLE)
        drawn = outputs_of(cells, {name: value for name, value in os.environ.items() if name not in folders})
        full = outputs_of(cells, dict(os.environ)) if real and "tutorial_data" in path.read_text() else drawn
        page, images = rendered(path.stem, cells, full, drawn)
        for old in (folder / "images").glob(f"{path.stem}-[0-9]*"):
            old.unlink()
        for name, content in images.items():
            write_bytes(folder / "images" / name, content)
        write_text(folder / f"{path.stem}.md", page)


def cells_of(text: str) -> list[Cell]:
    """The cells of a tutorial in the percent format, without what precedes the first."""
    heads = list(re.finditer(r"^# %%(.*)\n", text, re.MULTILINE))
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return [_cell(head[1], text[head.end() : end].strip("\n")) for head, end in zip(heads, ends, strict=True)]


def _cell(head: str, body: str) -> Cell:
    if "[markdown]" in head:
        return Cell("\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines()), is_code=False)
    return Cell(body, is_code=True, is_public=PUBLIC in head)


def outputs_of(cells: list[Cell], environment: dict[str, str]) -> list[list[Output]]:
    """What each cell gave when all were run in order, in a new kernel and an empty folder; nothing for Markdown."""
    import nbformat
    from nbclient import NotebookClient

    form = nbformat.v4
    notes = [form.new_code_cell(cell.text) if cell.is_code else form.new_markdown_cell(cell.text) for cell in cells]
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        client = NotebookClient(form.new_notebook(cells=notes), timeout=SECONDS, resources=place, kernel_name="python3")
        done = client.execute(env=environment)
    return [list(cell.get("outputs", [])) for cell in done.cells]


def rendered(
    name: str, cells: list[Cell], full: list[list[Output]], drawn: list[list[Output]]
) -> tuple[str, dict[str, bytes]]:
    """A page and its images by file name.

    Args:
        name: of the tutorial.
        cells: of it.
        full: what each cell gave on the data.
        drawn: likewise on drawn data.
    """
    parts = [f"<!-- made by `make tutorials` from {name}.py: change that -->"]
    images: dict[str, bytes] = {}
    heading = name
    for cell, found, made in zip(cells, full, drawn, strict=True):
        if not cell.is_code:
            parts.append(cell.text)
            heading = (re.findall(r"^#+ (.+)$", cell.text, re.MULTILINE) or [heading])[-1]
            continue
        parts.append(f"```python\n{cell.text}\n```")
        hidden = not cell.is_public and found != made and any(map(_image, found))
        instead = filter(None, map(_image, made))
        for image, outputs in groupby(found, _image):
            if not image:
                text = "".join(map(_text, outputs)).strip("\n")
                parts += [f"```text\n{text}\n```"] if text else []
            elif shown := next(instead, b"") if hidden else image:
                file = f"{name}-{len(images) + 1}.{'svg' if shown.startswith(b'<') else 'webp'}"
                images[file] = shown
                parts.append(f"![{heading}](images/{file})")
        if hidden:
            parts.append(NOTE)
    parts.append(f"The tutorial as a script and notebook: [{name}.py]({name}.py).")
    return "\n\n".join(parts) + "\n", images


def _image(output: Output) -> bytes:
    """The image of an output: its SVG, or WebP by whichever way is smaller; empty where there is none."""
    if drawing := output.get("data", {}).get("image/svg+xml"):
        return str(drawing).encode()
    encoded = output.get("data", {}).get("image/png")
    if not encoded:
        return b""
    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    ways: list[dict[str, Any]] = [{"lossless": True}, {"quality": 85}]
    return min((_webp(image, way) for way in ways), key=len)


def _webp(image: Image.Image, way: dict[str, Any]) -> bytes:
    content = io.BytesIO()
    image.save(content, "WEBP", method=6, **way)
    return content.getvalue()


def _text(output: Output) -> str:
    """What an output says; nothing of what libraries write to stderr, TensorFlow in notebooks to stdout."""
    if output["output_type"] == "stream":
        lines = str(output["text"]).splitlines(keepends=True) if output["name"] == "stdout" else []
        return "".join(line for line in lines if not line.startswith("WARNING:tensorflow"))
    return str(output.get("data", {}).get("text/plain", ""))


if __name__ == "__main__":
    main()
