"""``import mien`` costs little, loads nothing heavy, and gives every public name."""

from __future__ import annotations

import ast
import builtins
import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mien

TRAINING = ["tensorflow", "torch", "keras", "jax"]
ALIASES = ("Crops", "Frame", "ImageLike", "Probabilities")
HEAVY = [*TRAINING, "cv2", "onnxruntime", "numpy", "PIL", "typer", "rich"]


def output_of(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.split()


def test_importing_loads_nothing_heavy():
    assert output_of(f"import sys, mien; print(*(set({HEAVY}) & set(sys.modules)))") == []


def test_using_loads_no_training_library():
    loaded = output_of("import sys; from mien import *; Recognizer.load(detector='haar'); print(*sys.modules)")
    assert "onnxruntime" in loaded
    assert not set(TRAINING) & set(loaded)


NO_OPENCV = "import sys; sys.modules['cv2'] = None\n"


def test_a_base_install_has_no_opencv(tmp_path):
    """What it does with a photo works without, on the portrait."""
    code = f"""{NO_OPENCV}
from pathlib import Path
from mien.apps.cli import main
from mien.apps.cli.first_steps import PORTRAIT
try:
    main([{{command}}])
except SystemExit as stop:
    print(stop.code or 0)
"""
    drawn, covered, explained, demo = (str(tmp_path / name) for name in ("drawn", "covered", "explained", "demo"))
    for command in (
        f"'predict', str(PORTRAIT), '--draw', {drawn!r}, '--anonymize', {covered!r}",
        f"'explain', str(PORTRAIT), '--out', {explained!r}",
        f"'demo', '--out', {demo!r}",
    ):
        assert output_of(code.replace("{command}", command))[-1] == "0"
    assert [len([*Path(folder).rglob("*.jpg")]) for folder in (drawn, covered, demo)] == [1, 1, 1]
    assert [*Path(explained).rglob("*.html")]


@pytest.mark.parametrize(
    "module", ["recognizer", "live", "workers.main", "batch", "apps.doctor", "evaluation.evaluate"]
)
def test_no_module_of_the_base_install_needs_opencv(module):
    assert output_of(f"{NO_OPENCV}import mien.{module}; print(sys.modules['cv2'])") == ["None"]


def test_importing_loads_no_module_of_mien_and_no_other_package():
    """How long it takes is measured: benchmarks/speed.py."""
    loaded = output_of("import sys; before = set(sys.modules); import mien; print(*(set(sys.modules) - before))")
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"mien"}
    assert {name for name in loaded if name.startswith("mien.")} == set()


def test_the_public_names_are_sorted_and_once_each():
    # constants, then classes, each by the alphabet: as ruff sorts __all__
    assert mien.__all__ == sorted(set(mien.__all__), key=lambda name: (not name.isupper(), name))
    assert dir(mien) == sorted(mien.__all__)


@pytest.mark.parametrize("name", mien.__all__)
def test_every_public_name_loads(name):
    value = getattr(mien, name)
    if name not in ALIASES:  # which have the name of what they stand for
        assert getattr(value, "__name__", name) == name  # the label sets are tuples, which have no name


def test_type_checkers_see_the_same_names_from_the_same_modules():
    tree = ast.parse(Path(mien.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: statement.module for statement in block.body for alias in statement.names}
    assert sorted(seen) == sorted(mien.__all__)
    for name, module in seen.items():
        assert getattr(sys.modules[module], name) is getattr(mien, name)


def names_from_mien(module):
    """The names in a module that are mien's: imported from it (for type checkers too), or defined there."""
    tree = ast.parse(inspect.getsource(module))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in imports if (node.module or "").startswith("mien") for alias in node.names}
    names |= {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    return names | {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}


def signature_of(cls):
    """The annotations of a class's fields and public methods, and the exceptions in their docstrings."""
    methods = [
        member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        for name, member in vars(cls).items()
        if name == "__init__" or not name.startswith("_")
    ]
    # a NamedTuple has methods of the library's own
    methods = [one for one in methods if inspect.isfunction(one) and one.__module__ == cls.__module__]
    annotations = [str(value) for one in (cls, *methods) for value in inspect.get_annotations(one).values()]
    sections = [re.search(r"Raises:\n((?:[ ]+\S.*\n?)+)", inspect.getdoc(one) or "") for one in (cls, *methods)]
    raised = [name for section in sections if section for name in re.findall(r"^ +(\w+):", section[1], re.MULTILINE)]
    return annotations, raised


@pytest.mark.parametrize("name", [name for name in mien.__all__ if inspect.isclass(getattr(mien, name))])
def test_every_type_of_a_public_signature_is_public(name):
    cls = getattr(mien, name)
    annotations, raised = signature_of(cls)
    used = {word for annotation in annotations for word in re.findall(r"\w+", annotation)}
    assert (used & names_from_mien(sys.modules[cls.__module__])) - set(mien.__all__) == set()
    assert [error for error in raised if error not in mien.__all__ and not hasattr(builtins, error)] == []


def test_the_check_of_signatures_sees_annotations_and_errors():
    annotations, raised = signature_of(mien.Recognizer)
    assert {"Detector", "Classifier", "Sampling | None", "Iterator[FrameResult]"} <= set(annotations)
    assert {"ModelError", "UsageError", "ImageError", "VideoError"} <= set(raised)


def test_the_old_name_of_an_error_warns():
    with pytest.warns(DeprecationWarning, match="mien.PictureError is now mien.ImageError"):
        old = mien.PictureError
    assert old is mien.ImageError


@pytest.mark.parametrize("name", ["recogniser", "import_module_", "__path_to_nowhere__"])
def test_another_name_is_no_attribute(name):
    with pytest.raises(AttributeError, match=f"module 'mien' has no attribute '{name}'"):
        getattr(mien, name)


def test_the_version_is_that_of_the_installed_package():
    assert mien.__version__ == importlib.metadata.version("mien")
