"""The docs can't drift: generated pages match their source, links and names lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

from documents import PAGES, ROOT, anchors, blocks, links, prose


def test_the_command_line_page_names_every_command_and_option(tmp_path):
    page = tmp_path / "cli.md"
    run = subprocess.run(
        [sys.executable, "-m", "typer", "mien.apps.cli", "utils", "docs", "--name", "mien", "--output", page],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    # the text around them varies with the version of typer
    assert named(page.read_text()) == named((ROOT / "docs" / "cli.md").read_text()), "run: make docs"


def named(page: str) -> list[str]:
    return re.findall(r"^#+ `mien [a-z ]+`|^\* `[^`]*?--[a-z-]+", page, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    for link in links(page):
        target, _, anchor = link.partition("#")
        if urlsplit(link).scheme:
            continue
        file = page.parent / target if target else page
        assert file.is_file(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {link}, which has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_elsewhere_are_addresses(page):
    for link in links(page):
        if urlsplit(link).scheme:
            assert urlsplit(link).scheme == "https", f"{page.name} links to {link}"
            assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", urlsplit(link).netloc), f"{page.name} links to {link}"


def test_anchors_are_as_github_makes_them(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# What `a-b` is, [really](x.md)\n\n## Twice\n\n```bash\n# no heading\n```\n\n## Twice\n")
    assert anchors(page) == {"what-a-b-is-really", "twice", "twice-1"}


def test_the_readme_fits_a_screen():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80


def test_the_architecture_page_names_files_and_functions_that_exist():
    page = prose(ROOT / "docs" / "architecture.md")
    files = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py|recognizer\.py|structures\.py)`", page))
    assert len(files) > 30
    missing = [file for file in files if not (ROOT / file).is_file() and not (ROOT / "src" / "mien" / file).is_file()]
    assert not missing
    named = re.findall(r"`(?:\w+\.)?(\w+)`(?: and `(\w+)`)? in\s+`([a-z_/]+\.py)`", page)
    assert len(named) > 30
    for *names, file in named:
        text = (ROOT / "src" / "mien" / file).read_text(encoding="utf-8")
        for name in filter(None, names):
            assert re.search(rf"^\s*(?:async )?(?:def|class) {name}\b", text, re.MULTILINE), f"{file} has no {name}"


def test_the_floor_plan_names_every_package():
    (plan,) = (block.text for block in blocks(ROOT / "docs" / "architecture.md") if block.text.startswith("src/mien/"))
    package = ROOT / "src" / "mien"
    folders = {path.parent.name for path in package.rglob("__init__.py")} - {"mien"}
    modules = {path.name for path in package.glob("*.py")} - {"__main__.py"}
    assert {f"{name}/" for name in folders} | modules <= set(re.findall(r"[a-z_]+(?:/|\.py)", plan))


def test_the_layers_on_the_architecture_page_are_those_of_the_contract():
    (layers,) = (block.text for block in blocks(ROOT / "docs" / "architecture.md") if block.text.startswith("apps "))
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    level = {name: at for at, layer in enumerate(contract) for name in re.findall(r"[a-z]+", layer) if name != "main"}
    rows = [re.findall(r"[a-z]+", line.split("  ")[0]) for line in layers.splitlines()]
    assert {name for row in rows for name in row} == set(level)
    for upper, lower in pairwise(rows):
        assert max(level[name] for name in upper) < min(level[name] for name in lower), f"{upper} above {lower}"
