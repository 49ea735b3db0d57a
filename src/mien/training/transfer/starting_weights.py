"""The weights that a transfer network begins with: ImageNet's from Keras' cache, or a file of the same form.

Only arrays are read from such a file, by Keras' own ``load_weights``; code in it is never looked at.
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
from mien.training.transfer.choices import IMAGENET

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.training.architectures.pretrained import Family

KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications/"
UNLOADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)
"""What ``load_weights`` raises on files that are none, or are of another network."""


def weights_file(weights: str, family: Family, tell: Callable[[str], None], source: str = KERAS_FILES) -> Path:
    """The file that a network's base begins with.

    Args:
        weights: "imagenet", or a path.
        family: what the network is made from.
        tell: told of a download.
        source: where ImageNet's are fetched from.

    Raises:
        TrainingError: the path is no .h5 file; or the file in Keras' cache is not the one that Keras published.
        FetchError: ImageNet's are not in Keras' cache and can't be fetched.
    """
    if weights == IMAGENET:
        return _imagenet(family, tell, source)
    path = Path(weights).expanduser()
    if path.suffix != ".h5" or not path.is_file():
        raise TrainingError(
            f"expected weights as 'imagenet', 'none' or an .h5 file that is there; received {weights!r}. "
            f"keras.applications.{family.application}(include_top=False).save_weights('NAME.weights.h5') writes one"
        )
    return path


def keras_cache() -> Path:
    """Where Keras keeps what it fetched: the folder models under KERAS_HOME, else under ~/.keras."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"


def load_base(base: keras.Model, path: Path, family: Family) -> None:
    """Gives a base the weights in a file.

    Raises:
        TrainingError: the file holds no weights, or those of another network or of one with its top.
    """
    try:
        base.load_weights(path)
    except UNLOADABLE as error:
        raise TrainingError(
            f"expected weights of keras.applications.{family.application} without its top; {path} holds others, or "
            f"is cut short ({error}). Give the file {_name(family)} of {KERAS_FILES}{family.url}"
        ) from error


def _imagenet(family: Family, tell: Callable[[str], None], source: str) -> Path:
    path = keras_cache() / _name(family)
    if not path.is_file():
        tell(f"fetching {source}{family.url} to {path}")
        _fetch(path, family, source)
    # looked at first: Keras would fetch over a file that is not the one it published
    if family.md5 and _md5(path) != family.md5:
        raise TrainingError(
            f"expected the MD5 {family.md5} of {path}, as Keras published it; received {_md5(path)}. Remove the file "
            f"to have it fetched again, or begin with it as it is by --weights {path}"
        )
    return path


def _fetch(path: Path, family: Family, source: str) -> None:
    """Brings a file into Keras' cache in Keras' own way."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with redirect_stdout(sys.stderr):  # where words for people go
            keras.utils.get_file(
                path.name,
                f"{source}{family.url}",
                file_hash=family.md5,
                cache_dir=str(path.parent.parent),
                cache_subdir=path.parent.name,
            )
    except Exception as error:  # get_file raises plain Exception too
        path.unlink(missing_ok=True)  # Keras leaves wrong bytes in place, and a refused connection open
        if isinstance(error.__context__, urllib.error.HTTPError):
            error.__context__.close()
        raise FetchError(
            f"expected ImageNet weights at {path}; there are none, and they could not be fetched ({error}). "
            f"Put {source}{family.url} there from a machine that can fetch it, give another file by --weights FILE, "
            "or begin with random ones by --weights none"
        ) from error


def _name(family: Family) -> str:
    return family.url.rpartition("/")[2]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
