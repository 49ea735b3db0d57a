"""Initial weights of a backbone: ImageNet weights from Keras' cache, or a file of the same format.

Only arrays are read from such a file, by Keras' own ``load_weights``; no code in it is executed.
"""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from mien.errors import FetchError, TrainingError
from mien.training.transfer.backbones import IMAGENET

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.training.transfer.backbones import Backbone

KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"
LOAD_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)
"""Exceptions of ``load_weights`` on damaged files and on weights of another network."""


def weights_file(weights: str, backbone: Backbone, report: Callable[[str], None], source: str = KERAS_URL) -> Path:
    """The file of a backbone's initial weights; downloads ImageNet weights into Keras' cache if needed.

    Args:
        weights: "imagenet", or the path of an .h5 file.
        backbone: whose weights are needed.
        report: receives a message before a download.
        source: base URL of the ImageNet weights.

    Raises:
        TrainingError: the path is no .h5 file, or the file in Keras' cache is not the one that Keras published.
        FetchError: the ImageNet weights are not in Keras' cache and the download fails.
    """
    if weights == IMAGENET:
        return _imagenet(backbone, report, source)
    path = Path(weights).expanduser()
    if path.suffix != ".h5" or not path.is_file():
        raise TrainingError(
            f"expected weights as 'imagenet', 'none' or an .h5 file that is there; received {weights!r}. "
            f"keras.applications.{backbone.application}(include_top=False).save_weights('NAME.weights.h5') writes one"
        )
    return path


def keras_cache() -> Path:
    """Keras' download cache: the folder models in KERAS_HOME, else in ~/.keras."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"


def load_backbone(network: keras.Model, path: Path, backbone: Backbone) -> None:
    """Load the weights of a file into a backbone.

    Raises:
        TrainingError: the file holds no weights, or those of another network or of one with its top.
    """
    try:
        network.load_weights(path)
    except LOAD_ERRORS as error:
        raise TrainingError(
            f"expected weights of keras.applications.{backbone.application} without its top; {path} holds others, or "
            f"is cut short ({error}). Give the file {_name(backbone)} of {KERAS_URL}{backbone.url}"
        ) from error


def _imagenet(backbone: Backbone, report: Callable[[str], None], source: str) -> Path:
    path = keras_cache() / _name(backbone)
    if not path.is_file():
        report(f"fetching {source}{backbone.url} to {path}")
        _fetch(path, backbone, source)
    # checked here, since Keras would silently overwrite a file with another hash
    if backbone.md5 and _md5(path) != backbone.md5:
        raise TrainingError(
            f"expected the MD5 {backbone.md5} of {path}, as Keras published it; received {_md5(path)}. Remove the file "
            f"to download it again, or use it as it is with --weights {path}"
        )
    return path


def _fetch(path: Path, backbone: Backbone, source: str) -> None:
    """Download a file into Keras' cache with Keras' own function."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with redirect_stdout(sys.stderr):  # keep stdout free for results
            keras.utils.get_file(
                path.name,
                f"{source}{backbone.url}",
                file_hash=backbone.md5,
                cache_dir=str(path.parent.parent),
                cache_subdir=path.parent.name,
            )
    except Exception as error:  # get_file raises plain Exception too
        path.unlink(missing_ok=True)  # Keras leaves a damaged file in place and a failed connection open
        if isinstance(error.__context__, urllib.error.HTTPError):
            error.__context__.close()
        raise FetchError(
            f"expected ImageNet weights at {path}; received none, and the download failed ({error}). "
            f"Copy {source}{backbone.url} there from another machine, give another file with --weights FILE, "
            "or train from random weights with --weights none"
        ) from error


def _name(backbone: Backbone) -> str:
    return backbone.url.rpartition("/")[2]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
