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
EXPECTED_OUTPUT = {
    "how_computers_see.py": ["row 0, column 2: +4", "stride 2, same : (6, 7) -> (3, 4)", "happy", "mouth"],
    "digits.py": ["DRAWN DATA", "50,890 parameters", "105,866 parameters", "digits-conv, shuffled", "4 px"],
    "first_expression_network.py": ["DRAWN DATA", "'Training': 700", "knows nothing        loss 1.95", "1,179,776",
                                    "calibrated", "shows "],
    "overfitting.py": ["DRAWN DATA", "of 8 epochs", "'flip': 0.5", "both: best", "compared with nothing"],
    "transfer_learning.py": ["DRAWN DATA", "to choose the epoch", "from scratch", "random, frozen + MLP",
                             "other expressions, fine-tuned", "RANDOM", "cached features", "sha256:"],
    "evaluating_honestly.py": ["DRAWN DATA", "40 images of the test have a copy", "memorised, copies only",
                               "fitted on half", "of the sure predictions wrong", "without a face found",
                               "occlusion: mouth"],
    "to_a_product.py": ["one bit of the file changed: refused", "the card's", "in one call:  happy",
                        "decompression bomb", "smoothed: ", "'code': 'unreadable_image'",
                        "exit code 0"],
}  # fmt: skip
ACCURACY = {"digits.py": r"digits-conv +105,866 parameters, accuracy ([\d.]+)%",
            "first_expression_network.py": r"accuracy ([\d.]+)%, 95 % interval",
            "overfitting.py": r"nothing: best validation accuracy ([\d.]+)%"}  # fmt: skip
"""Pattern of the validation accuracy, in per cent, that a tutorial prints for its trained network."""

CHANCE_PERCENT = {"digits.py": 10, "first_expression_network.py": 14, "overfitting.py": 14}
"""Accuracy of guessing."""

SHORT = "how_computers_see"
"""The tutorial that takes seconds; the others are run by ``make long``."""

RUNS = [
    pytest.param(tutorial, id=tutorial.stem, marks=[] if tutorial.stem == SHORT else pytest.mark.long)
    for tutorial in TUTORIALS
]


def test_each_tutorial_has_expected_output_here():
    assert {path.name for path in TUTORIALS} == set(EXPECTED_OUTPUT)


@pytest.mark.parametrize("tutorial", RUNS)
def test_a_tutorial_runs(tutorial, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'mien[plots]'")
    if "mien.training" in tutorial.read_text():
        pytest.importorskip("keras", reason="needs Keras and a backend: pip install 'mien[train]'")
    without_data = {name: value for name, value in os.environ.items() if name not in (DATA_VARIABLE, OLD_DATA_VARIABLE)}
    run = subprocess.run(
        [sys.executable, tutorial], cwd=tmp_path, env=without_data, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    for text in EXPECTED_OUTPUT[tutorial.name]:
        assert text in run.stdout
    if tutorial.name in ACCURACY:
        accuracy = re.search(ACCURACY[tutorial.name], run.stdout)
        assert float(accuracy[1]) > 3 * CHANCE_PERCENT[tutorial.name]


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda tutorial: tutorial.stem)
def test_a_tutorial_is_a_notebook_in_the_percent_format(tutorial):
    text = tutorial.read_text()
    assert "format_name: percent" in text
    assert text.count("\n# %% [markdown]\n") >= 3
    assert text.count("\n# %%\n") >= 3
