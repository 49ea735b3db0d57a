"""The documentation's site: plain Markdown as GitHub shows it, the Python API from docstrings. Built by ``make docs``.

The pages hold no navigation of their own: it is defined here and added to the start page when that is read.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import mien

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
TUTORIALS = [
    "how_computers_see",
    "digits",
    "first_expression_network",
    "overfitting",
    "transfer_learning",
    "evaluating_honestly",
    "to_a_product",
]
# the sidebar of every page, in this order
NAVIGATION = {
    "Use": ["photos", "videos", "Live window <live>", "web_page", "Server <server>", "batch", "explain", "python"],
    "Train": ["training", "fine_tuning", "distillation", "gpu_training", "detector_training"],
    "Understand": ["how_networks_see", "tutorials/index"],
    "Accuracy, speed, limits": ["model", "detector", "benchmarks", "peers", "responsible_use"],
    "Reference": ["Command line <cli>", "api/index", "glossary", "architecture"],
}

project = "mien"
author = "the authors of mien"
copyright = "2026, the authors of mien; MIT licence"  # noqa: A001  # Sphinx' name for it
version = release = mien.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["tutorials/*.py", "images/*.py"]
suppress_warnings = ["myst.header"]

myst_heading_anchors = 3  # anchors of headings as on GitHub
highlight_language = "none"  # of blocks without a language

napoleon_attr_annotations = False  # they are in the signature
autodoc_mock_imports = ["keras"]  # the site is built without it
default_role = "py:obj"  # a name in backticks in a docstring links to its documentation, if any
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
linkcheck_anchors = False  # those of pages that scripts render exist only in a browser


def setup(app: Sphinx) -> None:
    """Connect the hooks; called by Sphinx."""
    app.connect("source-read", _with_navigation)
    app.connect("autodoc-process-docstring", _with_code)
    app.connect("autodoc-skip-member", _constants_left_out)


def _with_navigation(_app: Sphinx, page: str, source: list[str]) -> None:
    if page == "index":
        source[0] += "".join(_contents(pages, caption) for caption, pages in NAVIGATION.items())
    if page == "tutorials/index":
        source[0] += _contents([name for name in TUTORIALS if (HERE / "tutorials" / f"{name}.md").is_file()])


def _contents(pages: list[str], caption: str = "") -> str:
    """A hidden table of contents, as MyST writes one."""
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}" if caption else "", "", *pages, "```", ""])


def _with_code(_app: Sphinx, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Show the indented parts of a module's docstring, code or a tree, as literal blocks."""
    if what != "module":
        return
    for number in reversed(range(2, len(lines))):
        before = lines[number - 2 : number]
        if lines[number].startswith("    ") and before[1] == "" and not before[0].startswith(" "):
            lines[number:number] = ["::", ""]


def _constants_left_out(_app: Sphinx, what: str, _name: str, made: object, skip: bool, _options: object) -> bool | None:  # noqa: FBT001
    """Leave the constants of modules out; docs/api names those that users need."""
    if what == "module" and not (inspect.isclass(made) or inspect.isroutine(made)):
        return True
    return skip or None
