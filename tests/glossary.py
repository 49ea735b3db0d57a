"""The words that mien no longer uses, and where they still stand: ``python tests/glossary.py [PATH ...]``.

docs/glossary.md is the table for people; the patterns here are its left column. They are held to the docs, the help of
the command line, the texts of windows and pages, and the docstrings of public names.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

INSTEAD = {
    r"teach(?:es|ing)?|taught": "train, trained",
    r"learnt": "trained on, learned",
    r"chips?": "face crop",
    r"pictures?": "image",
    r"told|tells?|telling": "output, report, print, show, say",
    r"asked|asks|asking": "request, call",
    r"said": "report, output",
    r"judged?|judges|judging": "evaluate",
    r"answers?|answered|answering": "prediction, fused prediction, output, response, target",
    r"lessons?": "tutorial, training task",
    r"zoo": "architectures",
    r"recipes?": "training config",
    r"hardships?": "corruption",
    r"readings?": "output head, inference, prediction",
    r"mean recall": "balanced accuracy",
    r"false (?:ones )?(?:a|an|per) (?:picture|image)": "false positives per image (FPPI)",
    r"flaws?": "quality issue",
    r"steadiness": "tracker config",
    r"beside": "next to, alongside; worker process",
    r"merit": "validation score",
    r"gentle": "fine-tune phase",
    r"soft[ _]share": "distillation weight",
    r"out[ _-]of[ _-]fold": "cross-fitting",
    r"surest": "most confident",
    r"hung on|hangs on|speaks? (?:for|against)": "attribution, supports, opposes",
    r"taken for what": "confusion matrix",
    r"how far (?:its|their|the) probabilities": "calibration",
    r"a word that holds|held word": "label hysteresis",
    r"doubtful": "uncertain",
    r"cover(?:ed|s)? (?:their |the )?faces?": "anonymize faces",
    r"--without|--leave-out|--alike|--mask": "--exclude, --exclude-label, --similarity, --anonymize",
    r"rooms?|house": "package, module",
}
BANNED = re.compile(
    "|".join(rf"(?P<g{number}>(?<![\w-])(?:{word})(?![\w-]))" for number, word in enumerate(INSTEAD)), re.I
)
ALLOWED = re.compile(r"answer key|question[- ]and[- ]answer|living room|room for|teacher", re.I)
"""What reads like an old word and is none: a teacher is the field's word in distillation."""


OLD_NAMES = ("legacy.py", "old_options.py")
"""The tables of old names, which hold them on purpose."""


class Hit(NamedTuple):
    """A word of the left column."""

    place: str
    word: str
    instead: str
    line: str


def hits_in(text: str, place: str) -> Iterator[Hit]:
    """Old words in a text, line by line."""
    for number, line in enumerate(text.splitlines(), start=1):
        for match in BANNED.finditer(ALLOWED.sub(lambda found: "·" * len(found[0]), line)):
            instead = list(INSTEAD.values())[int(str(match.lastgroup)[1:])]
            yield Hit(f"{place}:{number}", match[0], instead, line.strip())


def docs(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Every page of the docs but the glossary and the changelog, without code blocks and addresses."""
    pages = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]
    pages += sorted((root / "docs").rglob("*.rst"))
    for page in pages:
        if page.name == "glossary.md":
            continue
        text = page.read_text(encoding="utf-8")
        yield str(page.relative_to(root)), re.sub(r"https?://\S+|\]\([^)]*\)", "", text)


def docstrings(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """The docstrings of modules and of public classes, functions and constants of the package."""
    for path in sorted((root / "src" / "mien").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node, text in _public(tree):
            yield f"{path.relative_to(root)}:{node}", text


def _public(node: ast.AST, name: str = "module") -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        text = ast.get_docstring(node)
        if text:
            yield name, text
        body = node.body if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []
        for before, one in zip([None, *body], body, strict=False):
            if isinstance(one, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                if not one.name.startswith("_"):
                    yield from _public(one, one.name)
            elif (
                isinstance(one, ast.Expr)
                and isinstance(one.value, ast.Constant)
                and isinstance(one.value.value, str)
                and isinstance(before, ast.Assign | ast.AnnAssign)
            ):
                yield f"line {one.lineno}", one.value.value


def page_texts(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """What the web page shows: its HTML without tags, and the strings of its JavaScript that have a space."""
    for path in sorted((root / "src" / "mien" / "apps" / "web").rglob("*.html")):
        yield str(path.relative_to(root)), re.sub(r"<[^>]*>", " ", path.read_text(encoding="utf-8"))
    for path in sorted((root / "src" / "mien" / "apps" / "web").rglob("*.js")):
        text = re.sub(r"/\*.*?\*/|^\s*//.*$", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
        strings = re.findall(r'"((?:[^"\\\n]|\\.)* (?:[^"\\\n]|\\.)*)"|`([^`]* [^`]*)`', text)
        yield str(path.relative_to(root)), "\n".join(re.sub(r"\$\{[^}]*\}", "", "".join(pair)) for pair in strings)


def messages(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """What the command line, windows, reports and errors say: strings of the package that have a space."""
    for path in sorted((root / "src" / "mien").rglob("*.py")):
        if path.name in OLD_NAMES:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        found = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            and " " in node.value.strip() and id(node) not in described
        ]  # fmt: skip
        yield str(path.relative_to(root)), "\n".join(text.replace("\n", " ") for text in found)


def all_hits(root: Path = ROOT) -> list[Hit]:
    """Every old word that is left."""
    sources = (docs, docstrings, page_texts, messages)
    return [hit for source in sources for place, text in source(root) for hit in hits_in(text, place)]


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for hit in all_hits():
        if not wanted or any(hit.place.startswith(path) for path in wanted):
            sys.stdout.write(f"{hit.place}  {hit.word!r} -> {hit.instead}\n    {hit.line[:150]}\n")
