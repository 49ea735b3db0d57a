"""Each lesson runs from its first line to its last as a plain script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LESSONS = sorted((Path(__file__).parents[1] / "docs" / "lessons").glob("*.py"))
SAYS = {"how_computers_see.py": ["row 0, column 2: +4", "stride 2, same : (6, 7) -> (3, 4)", "happy", "mouth"]}


def test_each_lesson_says_something_here():
    assert {path.name for path in LESSONS} == set(SAYS)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_a_lesson_runs(lesson, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'mien[plots]'")
    run = subprocess.run([sys.executable, lesson], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for words in SAYS[lesson.name]:
        assert words in run.stdout


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_a_lesson_is_a_notebook_in_the_percent_format(lesson):
    text = lesson.read_text()
    assert "format_name: percent" in text
    assert text.count("\n# %% [markdown]\n") >= 3
    assert text.count("\n# %%\n") >= 3
