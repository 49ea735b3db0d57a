"""Every error that mien raises on purpose.

    MienError
    ├── ImageError         an image can't be read, or an array is no image
    ├── VideoError           a camera or a video can't be opened, or stopped giving images
    ├── DatasetError         a data set, csv or folder can't be read or used
    ├── ModelError           a model file is no model of mien's, or was changed
    │   └── ModelMissingError    a named model is not on this machine
    ├── FetchError           a download failed or brought the wrong bytes
    ├── MissingExtraError    an optional dependency is not installed
    ├── TrainingError        a training run can't start or go on
    │   └── DivergedError        its loss or its weights are no longer finite
    └── UsageError           an argument that no run could use

A message says what was expected, what came, and what to do about it.
"""

from __future__ import annotations


class MienError(Exception):
    """The base of all: ``except MienError`` catches whatever mien refuses."""


class ImageError(MienError):
    """An image can't be read: unknown format, damaged, too large; or an array is no RGB image."""


class VideoError(MienError):
    """A camera or a video can't be opened, or stopped giving images."""


class DatasetError(MienError):
    """A data set can't be read, or lacks what was asked of it."""


class ModelError(MienError):
    """A model file is not one of mien's, or its bytes are not those that were written."""


class ModelMissingError(ModelError):
    """A model is known by name but is not on this machine."""


class FetchError(MienError):
    """A download failed, or what came is not what the manifest says."""


class MissingExtraError(MienError):
    """An optional dependency is absent; the message names the pip line that brings it."""

    def __init__(self, needed_for: str, package: str, extra: str) -> None:
        super().__init__(f"{needed_for} needs {package}, which is not installed: pip install 'mien[{extra}]'")


class TrainingError(MienError):
    """A training run can't start or go on."""


class DivergedError(TrainingError):
    """A training run's loss or weights are no longer finite."""


class UsageError(MienError, ValueError):
    """An argument that no run could use."""
