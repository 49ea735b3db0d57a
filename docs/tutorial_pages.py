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
PUBLIC_TAG = "public"
SYNTHETIC_NOTE = "*Images from the run on synthetic data: mien has no right to publish images of the real data.*"
CELL_TIMEOUT_SECONDS = 3600

Output = dict[str, Any]
"""An output of a cell in the notebook format: a stream, displayed data or a result."""


@dataclass(frozen=True)
class Cell:
    """A cell of a tutorial.

    Attributes:
        text: Markdown or Python code.
        is_code: True for Python.
        is_public: whether its images may be published: they show nothing of the real data.
    """

    text: str
    is_code: bool
    is_public: bool = False


def main() -> None:
    """Renders the given tutorials, or all."""
    paths = [Path(name) for name in sys.argv[1:]] or sorted(TUTORIALS.glob("*.py"))
    has_data = tutorial_data.folder() is not None
    folder = TUTORIALS if has_data else ROOT / "build" / "tutorials"
    variables = (tutorial_data.DATA_VARIABLE, tutorial_data.OLD_DATA_VARIABLE)
    without_data = {name: value for name, value in os.environ.items() if name not in variables}
    for path in paths:
        sys.stderr.write(f"{path.name}\n")
        text = path.read_text()
        cells = cells_of(text)
        synthetic = outputs_of(cells, without_data)
        full = outputs_of(cells, dict(os.environ)) if has_data and "tutorial_data" in text else synthetic
        page, images = render(path.stem, cells, full, synthetic)
        for stale in (folder / "images").glob(f"{path.stem}-[0-9]*"):
            stale.unlink()
        for name, content in images.items():
            write_bytes(folder / "images" / name, content)
        write_text(folder / f"{path.stem}.md", page)


def cells_of(text: str) -> list[Cell]:
    """The cells of a tutorial in the percent format; text before the first is skipped."""
    headers = list(re.finditer(r"^# %%(.*)\n", text, re.MULTILINE))
    ends = [*(header.start() for header in headers[1:]), len(text)]
    return [_cell(header[1], text[header.end() : end].strip("\n")) for header, end in zip(headers, ends, strict=True)]


def _cell(header: str, body: str) -> Cell:
    if "[markdown]" in header:
        return Cell("\n".join(line.removeprefix("#").removeprefix(" ") for line in body.splitlines()), is_code=False)
    return Cell(body, is_code=True, is_public=PUBLIC_TAG in header)


def outputs_of(cells: list[Cell], environment: dict[str, str]) -> list[list[Output]]:
    """The outputs of each cell, run in order in a new kernel and an empty folder; none for Markdown."""
    from nbclient import NotebookClient
    from nbformat import v4

    notebook = v4.new_notebook(
        cells=[v4.new_code_cell(cell.text) if cell.is_code else v4.new_markdown_cell(cell.text) for cell in cells]
    )
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT_SECONDS,
            resources={"metadata": {"path": folder}},
            kernel_name="python3",
        )
        executed = client.execute(env=environment)
    return [list(cell.get("outputs", [])) for cell in executed.cells]


def render(
    name: str, cells: list[Cell], full: list[list[Output]], synthetic: list[list[Output]]
) -> tuple[str, dict[str, bytes]]:
    """A page in Markdown, and its images by file name.

    Args:
        name: of the tutorial.
        cells: of the tutorial.
        full: the outputs of each cell in the run on the real data.
        synthetic: the outputs of each cell in the run on synthetic data.
    """
    parts = [f"<!-- made by `make tutorials` from {name}.py: edit that file -->"]
    images: dict[str, bytes] = {}
    heading = name
    for cell, outputs, stand_ins in zip(cells, full, synthetic, strict=True):
        if not cell.is_code:
            parts.append(cell.text)
            heading = (re.findall(r"^#+ (.+)$", cell.text, re.MULTILINE) or [heading])[-1]
            continue
        parts.append(f"```python\n{cell.text}\n```")
        is_replaced = not cell.is_public and outputs != stand_ins and any(map(_image, outputs))
        replacements = filter(None, map(_image, stand_ins))
        for image, group in groupby(outputs, _image):
            if not image:
                text = "".join(map(_text, group)).strip("\n")
                parts += [f"```text\n{text}\n```"] if text else []
            elif shown := next(replacements, b"") if is_replaced else image:
                file = f"{name}-{len(images) + 1}.{'svg' if shown.startswith(b'<') else 'webp'}"
                images[file] = shown
                parts.append(f"![{heading}](images/{file})")
        if is_replaced:
            parts.append(SYNTHETIC_NOTE)
    parts.append(f"The tutorial as a script and notebook: [{name}.py]({name}.py).")
    return "\n\n".join(parts) + "\n", images


def _image(output: Output) -> bytes:
    """The image of an output, SVG or the smaller of lossless and lossy WebP; empty if it has none."""
    if svg := output.get("data", {}).get("image/svg+xml"):
        return str(svg).encode()
    encoded = output.get("data", {}).get("image/png")
    if not encoded:
        return b""
    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    options: list[dict[str, Any]] = [{"lossless": True}, {"quality": 85}]
    return min((_webp(image, option) for option in options), key=len)


def _webp(image: Image.Image, option: dict[str, Any]) -> bytes:
    content = io.BytesIO()
    image.save(content, "WEBP", method=6, **option)
    return content.getvalue()


def _text(output: Output) -> str:
    """The text of an output, without stderr and without TensorFlow's warnings, which notebooks get on stdout."""
    if output["output_type"] == "stream":
        lines = str(output["text"]).splitlines(keepends=True) if output["name"] == "stdout" else []
        return "".join(line for line in lines if not line.startswith("WARNING:tensorflow"))
    return str(output.get("data", {}).get("text/plain", ""))


if __name__ == "__main__":
    main()
