"""The documentation's site: plain Markdown as GitHub shows it, the Python API from docstrings. Built by ``make docs``.

The pages hold no navigation of their own: it stands here, and goes into the start page when that is read.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import mien

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
LESSONS = [
    "how_computers_see",
    "digits",
    "first_expression_network",
    "overfitting",
    "transfer_learning",
    "judging_honestly",
    "to_a_product",
]
# what is read to the left of every page, in this order
NAVIGATION = {
    "Use": ["photos", "videos", "The live window <live>", "page", "The server <server>", "many", "explain", "python"],
    "Teach": ["training", "how_networks_see", "lessons/index"],
    "How good, and for what": ["model", "detector", "benchmarks", "peers", "responsible_use"],
    "Look up": ["The command line <cli>", "api/index", "architecture"],
}

project = "mien"
author = "the authors of mien"
copyright = "2026, the authors of mien; MIT licence"  # noqa: A001  # Sphinx' name for it
version = release = mien.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["lessons/*.py", "images/*.py"]
suppress_warnings = ["myst.header"]

myst_heading_anchors = 3  # links to headings as GitHub makes them
highlight_language = "none"  # of blocks that name none

napoleon_attr_annotations = False  # the signature has them
autodoc_mock_imports = ["keras"]  # the pages are made without it
default_role = "py:obj"  # in docstrings a name in backticks leads to what it names, where that is documented
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "mien"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False

linkcheck_timeout = 20
linkcheck_anchors = False  # pages made by scripts have theirs only in a browser


def setup(app: Sphinx) -> None:
    """Sphinx calls it."""
    app.connect("source-read", _with_navigation)
    app.connect("autodoc-process-docstring", _with_code)
    app.connect("autodoc-skip-member", _constants_left_out)


def _with_navigation(_app: Sphinx, page: str, source: list[str]) -> None:
    if page == "index":
        source[0] += "".join(_contents(pages, caption) for caption, pages in NAVIGATION.items())
    if page == "lessons/index":
        source[0] += _contents([name for name in LESSONS if (HERE / "lessons" / f"{name}.md").is_file()])


def _contents(pages: list[str], caption: str = "") -> str:
    """A hidden table of contents, as MyST writes one."""
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}" if caption else "", "", *pages, "```", ""])


def _with_code(_app: Sphinx, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """What is indented in a module's docstring is code, or a tree: shown as it stands."""
    if what != "module":
        return
    for number in reversed(range(2, len(lines))):
        before = lines[number - 2 : number]
        if lines[number].startswith("    ") and before[1] == "" and not before[0].startswith(" "):
            lines[number:number] = ["::", ""]


def _constants_left_out(_app: Sphinx, what: str, _name: str, made: object, skip: bool, _options: object) -> bool | None:  # noqa: FBT001
    """Of a module its classes and functions are told; constants that users need are named in docs/api themselves."""
    if what == "module" and not (inspect.isclass(made) or inspect.isroutine(made)):
        return True
    return skip or None
