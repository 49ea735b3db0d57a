"""The docs can't drift: generated pages are as generated, links lead somewhere, commands named are commands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_command_line_page_names_every_command_and_option(tmp_path):
    page = tmp_path / "cli.md"
    run = subprocess.run(
        [sys.executable, "-m", "typer", "mien.apps.cli", "utils", "docs", "--name", "mien", "--output", page],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    # the words around them vary with the version of typer
    assert named(page.read_text()) == named((ROOT / "docs" / "cli.md").read_text()), "run: make docs"


def named(page: str) -> list[str]:
    return re.findall(r"^#+ `mien [a-z ]+`|^\* `[^`]*?--[a-z-]+", page, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_are_commands(page):
    known = set(re.findall(r"^## `mien ([a-z]+)`", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE))
    text = page.read_text()
    blocks = "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL))
    for command in re.findall(r"`mien ([a-z]+)", text) + re.findall(r"^(?:\$ )?mien ([a-z]+)", blocks, re.MULTILINE):
        assert command in known, f"{page.name} names: mien {command}"


def test_the_readme_fits_a_screen():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80
