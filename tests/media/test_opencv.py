"""OpenCV on demand: absent, broken and too new ones give one line with the command that mends them."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mien.apps.cli.first_steps import PORTRAIT
from mien.errors import MissingExtraError
from mien.media import opencv
from mien.media.opencv import CASCADE, load_opencv

MEND = "pip uninstall -y {} && pip install --force-reinstall --no-deps 'opencv-python-headless>=4.12.0.88,<5'"


def message_of(monkeypatch, found, module):
    """The message where some distributions are installed, and importing cv2 gives a module or raises."""

    def load(name):
        assert name == "cv2"
        if isinstance(module, Exception):
            raise module
        return module

    monkeypatch.setattr(importlib, "import_module", load)
    monkeypatch.setattr(opencv, "installed", lambda: found)
    with pytest.raises(MissingExtraError) as caught:
        load_opencv("the Haar detector")
    return str(caught.value)


def test_without_it_the_pip_line_is_named(monkeypatch):
    message = message_of(monkeypatch, [], ModuleNotFoundError("No module named 'cv2'", name="cv2"))
    assert message.startswith("the Haar detector needs opencv-python-headless, which is not installed: pip install ")
    assert "opencv-python-headless" in message.partition("pip install")[2]
    assert "mien" not in message.partition(":")[2]


@pytest.mark.parametrize(
    ("module", "fault"),
    [
        (
            ImportError("libGL.so.1: cannot open shared object file"),
            "can't be imported (libGL.so.1: cannot open shared",
        ),
        (ImportError("numpy.core.multiarray failed to import\n\nA module"), "(numpy.core.multiarray failed to import)"),
        (AttributeError("_ARRAY_API not found"), "can't be imported (_ARRAY_API not found)"),
        (ModuleNotFoundError("No module named 'cv2'", name="cv2"), "can't be imported (No module named 'cv2')"),
        (SimpleNamespace(), "has lost its files"),
        (SimpleNamespace(__version__="5.0.0"), "has no cascade classifier in version 5.0.0"),
        (SimpleNamespace(__version__="4.14.0", CascadeClassifier=object), "lacks its cascade files in version 4.14.0"),
    ],
)
def test_a_broken_one_gives_one_line_with_the_command_that_mends_it(monkeypatch, module, fault):
    message = message_of(monkeypatch, ["opencv-python"], module)
    assert message.startswith("the Haar detector needs OpenCV, which ")
    assert fault in message
    assert message.endswith(": " + MEND.format("opencv-python"))
    assert "\n" not in message


def test_two_distributions_are_both_removed(monkeypatch):
    message = message_of(monkeypatch, ["opencv-python-headless", "opencv-python"], ImportError("undefined symbol"))
    assert message.endswith(MEND.format("opencv-python-headless opencv-python"))


def test_a_whole_one_is_loaded(monkeypatch, tmp_path):
    (tmp_path / CASCADE).touch()
    data = SimpleNamespace(haarcascades=str(tmp_path) + "/")
    module = SimpleNamespace(__version__="4.12.0", CascadeClassifier=object, data=data)
    monkeypatch.setattr(importlib, "import_module", lambda name: module)
    assert load_opencv("the Haar detector") is module


def test_the_command_line_says_so_in_one_line(tmp_path):
    code = "import sys; sys.modules['cv2'] = None; from mien.apps.cli import main; main()"
    shutil.copy(PORTRAIT, tmp_path)
    command = [sys.executable, "-c", code, "predict", tmp_path, "--detector", "haar"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the Haar detector needs" in done.stderr
    assert "Traceback" not in done.stderr
