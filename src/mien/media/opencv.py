"""OpenCV, which only Haar cascades, training and robustness need: loaded on demand, with a remedy where it can't be."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADLESS = "opencv-python-headless"
DISTRIBUTIONS = (HEADLESS, "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
"""All that bring the module ``cv2``; two of them overwrite each other's files."""

REQUIREMENT = f"{HEADLESS}>=4.12.0.88,<5"
"""OpenCV 5 has neither the cascade classifier nor its files."""

CASCADE = "haarcascade_frontalface_default.xml"


def load_opencv(needed_for: str) -> Any:
    """The module ``cv2``.

    Args:
        needed_for: what needs it, for the message.

    Raises:
        MissingExtraError: it is not installed, can't be imported, or lacks what mien uses.
    """
    try:
        module = importlib.import_module("cv2")
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and not installed():
            raise MissingExtraError(needed_for, HEADLESS, "opencv") from error
        # a shared library is missing, or another NumPy than it was built for
        raise _broken(needed_for, f"can't be imported ({first_line(error)})") from error
    fault = fault_of(module)
    if fault:
        raise _broken(needed_for, fault)
    return module


def _broken(needed_for: str, fault: str) -> MissingExtraError:
    return MissingExtraError(needed_for, "OpenCV", "opencv", fault, mending_command(installed()))


def fault_of(module: Any) -> str:
    """What is wrong with an imported ``cv2``, such as "has no cascade classifier in version 5.0.0"; "" if nothing."""
    version = getattr(module, "__version__", "")
    if not version:  # the folder of an installation that was removed by half
        return "has lost its files"
    if not hasattr(module, "CascadeClassifier"):
        return f"has no cascade classifier in version {version}"
    folder = getattr(getattr(module, "data", None), "haarcascades", "")
    return "" if (Path(folder) / CASCADE).is_file() else f"lacks its cascade files in version {version}"


def installed() -> list[str]:
    """The installed distributions of OpenCV."""
    return [name for name in DISTRIBUTIONS if _is_installed(name)]


def mending_command(found: Sequence[str]) -> str:
    """The command that replaces the distributions of OpenCV that were found by the right one."""
    removal = f"pip uninstall -y {' '.join(found)} && " if found else ""
    return f"{removal}pip install --force-reinstall --no-deps '{REQUIREMENT}'"


def first_line(error: Exception) -> str:
    """The first line of an error's message; NumPy's on a mismatch of versions fills a screen."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
