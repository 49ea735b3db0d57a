"""Reads the pages of the documentation: links, headings and blocks of code."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SHELLS = ("", "bash", "sh", "console")


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        page: the file.
        line: of its first line of code, from 1.
        language: of the fence; empty if it has none.
        text: the code.
    """

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start(2)) + 1, found[1], found[2])
        for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```\w*\n.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[str]:
    """The targets of the links and images of a page, as written."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    found: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()).replace(" ", "-")
        found[slug] = found.get(slug, 0) + 1
    return {slug if not number else f"{slug}-{number}" for slug, count in found.items() for number in range(count)}


def commands(block: Block) -> list[list[str]]:
    """The arguments of each ``mien`` command in a shell block, without environment variables and pipes."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if command := re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*mien (.*)", line):
            words = shlex.split(command[1], comments=True)
            end = min((words.index(sign) for sign in ("|", ">") if sign in words), default=len(words))
            found.append(words[:end])
    return found
