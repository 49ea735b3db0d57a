"""The exceptions that mien raises, and how text is made safe for a terminal.

    MienError
    ├── ImageError           an image can't be read, or an array is not an image
    ├── VideoError           a camera or a video can't be opened, or stopped giving frames
    │   └── IncompleteVideoError all frames were read but some that are missing or damaged
    ├── DatasetError         a data set, csv or folder can't be read or used
    ├── ModelError           a model file is not one of mien's, or was changed
    │   └── ModelMissingError    a named model is not installed
    ├── FetchError           a download failed or delivered the wrong bytes
    ├── MissingExtraError    an optional dependency is not installed
    ├── TrainingError        a training run can't start or continue
    │   └── DivergedError        its loss or its weights are no longer finite
    └── UsageError           an argument that can't be used

A message says what was expected, what was received, and how to fix it.
"""

from __future__ import annotations


class MienError(Exception):
    """Base of all exceptions of mien: ``except MienError`` catches every one."""


class ImageError(MienError):
    """An image can't be read: unknown format, damaged, too large; or an array is not an RGB image."""


class VideoError(MienError):
    """A camera or a video can't be opened, or stopped giving frames."""


class IncompleteVideoError(VideoError):
    """A video was read to its end, and frames are missing or damaged; raised after the last frame."""


class DatasetError(MienError):
    """A data set can't be read, or lacks what is required of it."""


class ModelError(MienError):
    """A model file is not one of mien's, or its bytes are not those that were written."""


class ModelMissingError(ModelError):
    """A model is known by name but is not installed."""


class FetchError(MienError):
    """A download failed, or its bytes differ from those in the manifest."""


class MissingExtraError(MienError):
    """An optional dependency is not installed; the message gives the pip command that installs it."""

    def __init__(self, needed_for: str, package: str, extra: str) -> None:
        super().__init__(f"{needed_for} needs {package}, which is not installed: pip install 'mien[{extra}]'")
        self._arguments = (needed_for, package, extra)

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str, str]]:
        """Pickled with the arguments, not with the message that they give."""
        return type(self), self._arguments


class TrainingError(MienError):
    """A training run can't start or continue."""


class DivergedError(TrainingError):
    """The loss or the weights of a training run are no longer finite."""


class UsageError(MienError, ValueError):
    """An argument that can't be used."""


def printable(text: str, keep: str = "\n") -> str:
    r"""Escape what could control a terminal: escape codes, control characters, lone surrogates.

    Args:
        text: such as a file name or a label.
        keep: characters that stay as they are; "" gives one line.

    >>> printable("a\x1b[2J.jpg\nb.jpg")
    'a\\x1b[2J.jpg\nb.jpg'
    """
    return "".join(
        character if character.isprintable() or character in keep else character.encode("unicode_escape").decode()
        for character in text
    )
