"""The site of the documentation builds without a warning, needs nothing but itself, and names all that is public."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module

import pytest

from documents import ROOT

pytest.importorskip("sphinx", reason="needs Sphinx: pip install 'mien[docs]'")

ROOMS = (
    "mien",
    "mien.visualization.avatar",
    "mien.data",
    "mien.detection",
    "mien.explain",
    "mien.live",
    "mien.outputs",
)
ROOMS += ("mien.outputs", "mien.batch", "mien.tracking")
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src")}


class Loads(HTMLParser):
    """What a page makes a browser load, as written."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if (tag, name) in LOADED and value]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built once."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    run = subprocess.run(
        [*command, "--doctree-dir", folder / "kept", ROOT / "docs", folder / "site"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return folder / "site"


def test_every_page_of_the_docs_is_in_it_and_in_its_navigation(site):
    start = (site / "index.html").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        path = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert (site / path).is_file()
        assert path == "index.html" or f'href="{path}"' in start, f"no way leads to {path}: docs/conf.py, NAVIGATION"


def test_it_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert pages
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text())
        for target in loads.found:
            file = page.parent / re.sub(r"[?#].*", "", target)
            assert file.is_file() or target.startswith("#"), f"{page.name} loads {target}"
    for sheet in site.rglob("*.css"):
        for target in re.findall(r"url\(([^)]+)\)|@import", sheet.read_text()):
            assert target.strip("'\"").startswith("data:") or (sheet.parent / target.strip("'\"")).is_file(), target


def test_it_can_be_searched_for_a_word_of_a_page(site):
    assert '"unsur"' in (site / "searchindex.js").read_text()  # the stem of unsure


@pytest.mark.parametrize("room", ROOMS)
def test_the_classes_and_functions_of_a_room_are_described(site, room):
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        known = InventoryFile.load(file, "", lambda *parts: "/".join(parts))
    # under the room itself, or where it is made in it
    described = {name.rpartition(".")[2] for names in known.values() for name in names if name.startswith(f"{room}.")}
    module = import_module(room)
    made = {
        name for name in module.__all__ if inspect.isclass(part := getattr(module, name)) or inspect.isfunction(part)
    }
    assert made <= described
    assert made
