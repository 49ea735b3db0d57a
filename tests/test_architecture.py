"""The direction of imports, as pyproject.toml writes it down, holds; no files import each other in a circle."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(repository, folder):
    """The exit status and the words of import-linter over the package in a folder."""
    pytest.importorskip("importlinter", reason="import-linter checks the direction: pip install 'mien[dev]'")
    options = ["--no-logo", "--no-cache", "--config", str(repository / "pyproject.toml")]
    command = [sys.executable, "-c", LINT, *options]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_imports_go_down_and_keras_stays_where_models_are_made(repository):
    status, words = lint(repository, repository / "src")
    assert status == 0, words
    assert "layers of the package KEPT" in words
    assert "keras only where networks are trained or opened KEPT" in words


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("errors.py", "import mien.media.files", "layers of the package BROKEN"),
        ("classification/face_crop.py", "import mien.recognizer", "layers of the package BROKEN"),
        ("attic.py", "import mien.errors", "layers of the package BROKEN"),
        ("evaluation/metrics.py", "import keras", "keras only where networks are trained or opened BROKEN"),
        ("recognizer.py", "def late():\n    import torch", "keras only where networks are trained or opened BROKEN"),
    ],
)
def test_an_import_the_wrong_way_is_found(repository, tmp_path, file, line, broken):
    shutil.copytree(
        repository / "src" / "mien", tmp_path / "mien", ignore=shutil.ignore_patterns("weights", "__pycache__")
    )
    changed = tmp_path / "mien" / file
    changed.write_text((changed.read_text() if changed.exists() else "") + f"\n{line}\n")
    status, words = lint(repository, tmp_path)
    assert status == 1, words
    assert broken in words


def imports_of(package):
    """Which modules of the package each of its files imports anywhere in it, also for type checkers alone."""
    files = {module_of(path, package): path for path in package.rglob("*.py")}
    return {name: {found for found in _imported(path, files) if found != name} for name, path in files.items()}


def module_of(path, package):
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path, files):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from (name for name in (inner if inner in files else node.module,) if name in files)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)


def circle_in(graph):
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle(repository):
    graph = imports_of(repository / "src" / "mien")
    assert len(graph) > 100
    assert circle_in(graph) == []


def test_a_circle_is_found(tmp_path):
    package = tmp_path / "mien"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("def late():\n    from mien.b import one\n")
    (package / "b.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mien import a\n")
    assert set(circle_in(imports_of(package))) == {"mien.a", "mien.b"}


def test_few_modules_lie_at_the_root(repository):
    assert len(list((repository / "src" / "mien").glob("*.py"))) <= 6
