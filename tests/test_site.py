"""The documentation site builds without a warning, loads nothing from elsewhere, and describes the public API."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module

import pytest

from documents import ROOT

pytest.importorskip("sphinx", reason="needs Sphinx: pip install 'mien[docs]'")

PACKAGES = (
    "mien",
    "mien.visualization.avatar",
    "mien.data",
    "mien.detection",
    "mien.explain",
    "mien.live",
    "mien.outputs",
    "mien.batch",
    "mien.tracking",
)
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
        assert path == "index.html" or f'href="{path}"' in start, f"nothing links to {path}: docs/conf.py, NAVIGATION"


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


@pytest.fixture(scope="module")
def index(site):
    """The site's search index: names of pages, and pages by the stems of words in their text and titles."""
    text = (site / "searchindex.js").read_text()
    return json.loads(text[text.index("(") + 1 : text.rindex(")")])


def pages_found(index, query):
    """The pages that hold every word of a query, as the site's search finds them."""
    from sphinx.search.en import SearchEnglish

    language = SearchEnglish({})
    pages = set(range(len(index["docnames"])))
    for word in language.split(query):
        stem = language.stem(word.lower())
        found = set()
        for terms in (index["terms"], index["titleterms"]):
            of = terms.get(stem, [])
            found |= {of} if isinstance(of, int) else set(of)
        pages &= found
    return {index["docnames"][page] for page in pages}


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("webcam", "live"),
        ("fps", "live"),
        ("latency", "live"),
        ("confusion matrix", "model"),
        ("bounding box", "photos"),
        ("anonymize faces", "videos"),
        ("blur faces", "videos"),
        ("GPU", "gpu_training"),
        ("fine-tuning", "fine_tuning"),
        ("distillation", "distillation"),
        ("inference", "glossary"),
    ],
)
def test_search_finds_the_page_on_a_term_of_the_field(index, query, page):
    assert page in pages_found(index, query)


def test_search_finds_nothing_for_what_is_not_there(index):
    assert pages_found(index, "quaternion webcam") == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_classes_and_functions_of_a_package_are_described(site, package):
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        known = InventoryFile.load(file, "", lambda *parts: "/".join(parts))
    # under the package itself, or the module that defines it
    described = {
        name.rpartition(".")[2] for names in known.values() for name in names if name.startswith(f"{package}.")
    }
    module = import_module(package)
    public = {
        name for name in module.__all__ if inspect.isclass(part := getattr(module, name)) or inspect.isfunction(part)
    }
    assert public <= described
    assert public
