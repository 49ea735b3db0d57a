"""The direction of imports, as pyproject.toml writes it down, holds; and what breaks it is found."""

from __future__ import annotations

import shutil
import subprocess
import sys

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
    assert "the order of the rooms KEPT" in words
    assert "keras only where networks are trained or opened KEPT" in words


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("errors.py", "import mien.emotions", "the order of the rooms BROKEN"),
        ("classification/face_crop.py", "import mien.detection", "the order of the rooms BROKEN"),
        ("attic.py", "import mien.errors", "the order of the rooms BROKEN"),
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
