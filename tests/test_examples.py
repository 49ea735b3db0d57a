"""Every example runs as its first line says, and stays short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mien.apps.cli.first_steps import PORTRAIT

EXAMPLES = Path(__file__).parents[1] / "examples"
ARGUMENTS = {
    "predict.py": [str(PORTRAIT), "missing.jpg"],
    "own_boxes.py": [str(PORTRAIT), "180", "70", "270", "180"],
    "draw.py": [str(PORTRAIT), "drawn.png"],
}
PRINTS = {"predict.py": "happy", "own_boxes.py": "happy", "draw.py": "1 faces annotated"}


def test_each_example_has_its_arguments_here():
    assert set(ARGUMENTS) == {path.name for path in EXAMPLES.glob("*.py")}


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_an_example_runs(name, tmp_path):
    run = subprocess.run(
        [sys.executable, EXAMPLES / name, *ARGUMENTS[name]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert PRINTS[name] in run.stdout


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_an_example_is_under_thirty_lines(name):
    assert len((EXAMPLES / name).read_text().splitlines()) < 30
