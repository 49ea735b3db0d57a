"""Markdown: tables, and the blocks of a page that a benchmark fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Section:
    """The outcome of one benchmark.

    Attributes:
        markdown: the table for a page.
        figures: the same numbers and more, for ``json.dumps``.
    """

    markdown: str
    figures: Mapping[str, Any]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def fill(page: str, blocks: Mapping[str, str]) -> str:
    """Replace blocks of a page; the rest stays as it is.

    A block NAME lies between the lines ``<!-- NAME -->`` and ``<!-- /NAME -->``.

    Raises:
        ValueError: the page has no such block, or has it more than once.
    """
    for name, text in blocks.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        head, _, rest = page.partition(begin)
        _, found, tail = rest.partition(end)
        if not found or page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"expected one block {begin.strip()} to {end.strip()} in the page; found none, or several")
        page = f"{head}{begin}\n{text}\n\n{end}{tail}"
    return page
