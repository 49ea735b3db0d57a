"""Folders of face images, one folder a class: ``root/class/*`` or ``root/split/class/*``.

An image is taken for a face crop of any size: it becomes a face crop as ``mien.classification.face_crop.crop`` makes
one of a face that fills its frame, so an image that is no square is centred in one and its edge repeated, and
pixels are averaged over areas (or interpolated, where the face crop is the larger). Hidden files and folders are passed
over; every other file is a row or is rejected.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.classification.face_crop import crop
from mien.data.dataset import SPLITS, TRAINING, Dataset, Rejected, truth_of_words
from mien.errors import DatasetError, ImageError
from mien.media.files import sha256_of
from mien.media.image import IMAGE_SUFFIXES
from mien.media.image import read as read_image
from mien.models.card import CropRule
from mien.structures import Box, Face

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt


CROPS = "crops.csv"
"""What ``mien data crop`` lists beside the class folders that it makes: no stray file."""


@dataclass(frozen=True, slots=True)
class Found:
    """An image in a class folder, not yet read: its path, the name of its folder, and its split."""

    path: Path
    label: str
    split: str


def read(root: Path, size: int = 48, channels: int = 1) -> Dataset:
    """The data set of a folder of images, in the order of the names.

    Where every class folder names an expression ("happy", "Anger"), the labels are expressions: all seven under the
    head "fer2013" if they are of FER2013, else those found, in the order of ``Emotion``, under "classes". Any other
    word makes all of them the user's own: folder names, sorted, under "classes".

    Args:
        root: the folder; links in it that lead outside are rejected.
        size: side of the face crops in pixels.
        channels: 1 (grey, ITU-R BT.601) or 3 (RGB).

    Returns:
        face crops uint8 (count, size, size, channels); rows are paths within ``root``.

    Raises:
        DatasetError: there is no such folder, or no image in it can be read.
    """
    found, rejected = survey(root)
    kept, crops, digest = [], [], hashlib.sha256()
    for file in found:
        place = _place(file.path, root)
        try:
            crops.append(face_crop(file.path, size, channels))
            digest.update(f"{place}\0{sha256_of(file.path)}\n".encode(errors="surrogateescape"))
        except (ImageError, OSError) as error:
            rejected.append(Rejected(place, str(error)))
        else:
            kept.append(file)
    if not kept:
        reasons = "; ".join(f"{bad.place}: {bad.reason}" for bad in rejected[:3]) or "there are none"
        raise DatasetError(f"expected images in folders by class in {root}; none could be read ({reasons})")
    return Dataset(
        name=root.resolve().name,
        crops=np.stack(crops),
        truths=(truth_of_words([file.label for file in kept]),),
        splits=np.array([file.split for file in kept]),
        rows=np.array([_place(file.path, root) for file in kept]),
        digest=digest.hexdigest(),
        rejected=tuple(sorted(rejected, key=lambda bad: bad.place)),
    )


def face_crop(source: Path, size: int, channels: int) -> npt.NDArray[np.uint8]:
    """An image that is a face crop, as a face crop: uint8 (size, size, channels).

    Raises:
        ImageError: the image can't be read.
    """
    frame = read_image(source)
    height, width = frame.shape[:2]
    return crop(frame, Face(Box(0, 0, width, height)), CropRule(), size, channels)


def survey(root: Path) -> tuple[list[Found], list[Rejected]]:
    """The images in class folders, unread, and all that is none, both in the order of their names.

    The layout is ``root/split/class/*`` where a folder named as a split ("train", "val", "test") holds folders, or
    where no folder in the root holds images; else ``root/class/*``, and every row is Training.

    Raises:
        DatasetError: there is no such folder, or it can't be listed.
    """
    home, files, rejected = root.resolve(), [], []
    for path in _walk(root):
        if path == root / CROPS:
            continue
        reason = _refusal(path, home)
        if reason is None:
            files.append((path.relative_to(root).parts, path))
        else:
            rejected.append(Rejected(_place(path, root), reason))
    depths = {(len(parts), parts[0].lower() in SPLITS) for parts, _ in files}
    depth = 3 if (3, True) in depths or not any(deep == 2 for deep, _ in depths) else 2
    layout = "root/class/image" if depth == 2 else "root/split/class/image"
    found = []
    for parts, path in files:
        if len(parts) == depth:
            split = TRAINING if depth == 2 else SPLITS.get(parts[0].lower(), parts[0])
            found.append(Found(path, parts[-2], split))
        else:
            rejected.append(Rejected(_place(path, root), f"expected {layout}; the image lies elsewhere"))
    return found, sorted(rejected, key=lambda bad: bad.place)


def _walk(root: Path) -> Iterator[Path]:
    """Every file and every linked folder that is not hidden, in the order of names; links are not entered."""

    def refuse(error: OSError) -> None:
        raise DatasetError(f"expected a folder of images by class at {root}; it can't be read ({error})") from error

    for folder, folders, files in os.walk(root, onerror=refuse):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (here / name).is_symlink()]
        yield from (here / name for name in sorted([*links, *files]) if not name.startswith("."))


def _refusal(path: Path, home: Path) -> str | None:
    """Why a path is not read, or None."""
    if path.is_symlink() and path.is_dir():
        return "a link to a folder is not followed"
    if not path.is_file():
        return "it is no file: a broken link, or a pipe"
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return f"expected an image ({', '.join(sorted(IMAGE_SUFFIXES))}); received '{path.suffix}'"
    if not path.resolve().is_relative_to(home):
        return "a link that leads outside the data's folder is not followed"
    return None


def _place(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
