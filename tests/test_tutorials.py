"""Each tutorial runs from first to last line as a plain script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mien.tutorial.data import DATA_VARIABLE, OLD_DATA_VARIABLE

TUTORIALS = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.py"))
SAYS = {
    "how_computers_see.py": ["row 0, column 2: +4", "stride 2, same : (6, 7) -> (3, 4)", "happy", "mouth"],
    "digits.py": ["DRAWN DATA", "50,890 parameters", "105,866 parameters", "digits-conv, shuffled", "4 px"],
    "first_expression_network.py": ["DRAWN DATA", "'Training': 700", "knows nothing        loss 1.95", "1,179,776",
                                    "calibrated", "shows "],
    "overfitting.py": ["DRAWN DATA", "of 8 epochs", "'flip': 0.5", "both: best", "against nothing"],
    "transfer_learning.py": ["DRAWN DATA", "to choose the epoch", "from scratch", "random, frozen + MLP",
                             "other expressions, fine-tuned", "RANDOM", "features kept", "sha256:"],
    "evaluating_honestly.py": ["DRAWN DATA", "40 images of the test have a copy", "by heart, the copies alone",
                            "fitted on half", "of the sure answers wrong", "without a face found", "occlusion: mouth"],
    "to_a_product.py": ["one bit of the file changed: refused", "the card's", "in one call:  happy",
                        "decompression bomb", "steadied: changes of word", "'code': 'unreadable_image'",
                        "ended with exit code 0"],
}  # fmt: skip
LEARNT = {"digits.py": r"digits-conv +105,866 parameters, ([\d.]+)%",
          "first_expression_network.py": r"([\d.]+)% right, 95 % interval",
          "overfitting.py": r"nothing: best ([\d.]+)%"}  # fmt: skip
"""Where a tutorial that trains prints the validation accuracy of its network."""

CHANCE = {"digits.py": 10, "first_expression_network.py": 14, "overfitting.py": 14}
"""Per cent that guessing gets right."""


def test_each_tutorial_has_expected_output_here():
    assert {path.name for path in TUTORIALS} == set(SAYS)


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda tutorial: tutorial.stem)
def test_a_tutorial_runs(tutorial, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'mien[plots]'")
    if "mien.training" in tutorial.read_text():
        pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")
    drawn = {name: value for name, value in os.environ.items() if name not in (DATA_VARIABLE, OLD_DATA_VARIABLE)}
    run = subprocess.run(
        [sys.executable, tutorial], cwd=tmp_path, env=drawn, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    for words in SAYS[tutorial.name]:
        assert words in run.stdout
    if tutorial.name in LEARNT:
        right = re.search(LEARNT[tutorial.name], run.stdout)
        assert float(right[1]) > 3 * CHANCE[tutorial.name]


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda tutorial: tutorial.stem)
def test_a_tutorial_is_a_notebook_in_the_percent_format(tutorial):
    text = tutorial.read_text()
    assert "format_name: percent" in text
    assert text.count("\n# %% [markdown]\n") >= 3
    assert text.count("\n# %%\n") >= 3
