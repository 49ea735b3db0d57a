"""``import mien`` costs little, loads nothing heavy, and gives every public name."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mien

TRAINING = ["tensorflow", "torch", "keras", "jax"]
HEAVY = [*TRAINING, "cv2", "onnxruntime", "numpy", "PIL", "typer", "rich"]


def output_of(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.split()


def seconds_of(code):
    began = time.perf_counter()
    output_of(code)
    return time.perf_counter() - began


def test_importing_loads_nothing_heavy():
    assert output_of(f"import sys, mien; print(*(set({HEAVY}) & set(sys.modules)))") == []


def test_using_loads_no_training_library():
    loaded = output_of("import sys; from mien import *; Recognizer.load(detector='haar'); print(*sys.modules)")
    assert "onnxruntime" in loaded
    assert not set(TRAINING) & set(loaded)


def test_importing_takes_less_than_three_tenths_of_a_second():
    empty = min(seconds_of("pass") for _ in range(5))
    assert min(seconds_of("import mien") for _ in range(5)) - empty < 0.3


def test_the_public_names_are_sorted_and_once_each():
    # constants, then classes, each by the alphabet: as ruff sorts __all__
    assert mien.__all__ == sorted(set(mien.__all__), key=lambda name: (not name.isupper(), name))
    assert dir(mien) == sorted(mien.__all__)


@pytest.mark.parametrize("name", mien.__all__)
def test_every_public_name_loads(name):
    assert getattr(getattr(mien, name), "__name__", name) == name  # the label sets are tuples, which have no name


def test_type_checkers_see_the_same_names_from_the_same_rooms():
    tree = ast.parse(Path(mien.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: statement.module for statement in block.body for alias in statement.names}
    assert sorted(seen) == sorted(mien.__all__)
    for name, room in seen.items():
        assert getattr(sys.modules[room], name) is getattr(mien, name)


@pytest.mark.parametrize("name", ["recogniser", "import_module_", "__path_to_nowhere__"])
def test_another_name_is_no_attribute(name):
    with pytest.raises(AttributeError, match=f"module 'mien' has no attribute '{name}'"):
        getattr(mien, name)


def test_the_version_is_that_of_the_installed_package():
    assert mien.__version__ == importlib.metadata.version("mien")
