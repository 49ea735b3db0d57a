"""Folders of images: face crops or photos by class, and photos with a ``legend.csv``.

``read_crops`` reads ``root/class/*``, ``root/split/class/*`` or ``root/class/split/*`` as a data set of face crops.
``mien.data.split_names`` has the names of split folders. An image of any size is converted as
``mien.classification.face_crop.crop`` converts a face that fills its frame: centred in a square with its edge
replicated, and resized. Hidden files and folders are skipped; every other file is a row or is rejected.

``read_photos`` lists labelled photos unread, to evaluate detector and classifier together.
"""

from __future__ import annotations

import csv
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

import numpy as np

from mien.classification.face_crop import crop
from mien.data.dataset import TRAINING, Dataset, Rejected, truth_of_labels
from mien.data.rows import SPLIT_NAME
from mien.data.split_names import is_split_column, split_in_path, split_named, unmixed
from mien.emotions import Emotion, emotion_named
from mien.errors import DatasetError, ImageError
from mien.media.file_kind import IMAGE_SUFFIXES, kind_of
from mien.media.files import sha256_of
from mien.media.image import read as read_image
from mien.models.card import CropRule
from mien.structures import Box, Face

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

CROPS = "crops.csv"
"""The list that ``mien data crop`` writes next to its class folders; it is skipped."""

LEGEND = "legend.csv"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An unread image in a class folder: its path, the name of the folder, and its split."""

    path: Path
    label: str
    split: str


@dataclass(frozen=True)
class LabelledPhotos:
    """Photos by path, each with the expression that its face shows.

    Attributes:
        paths: the files, unread.
        labels: the name of an ``Emotion`` for each.
        splits: of each, as the legend names it; empty if it has no such column.
        rejected: entries that could not be used: line number of the legend, or path within the folder.
    """

    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()
    splits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.paths) != len(self.labels) or not set(self.labels) <= set(Emotion):
            raise DatasetError("expected the name of an expression for each photo")

    def __len__(self) -> int:
        return len(self.paths)


def read_crops(root: Path, size: int = 48, channels: int = 1) -> Dataset:
    """The data set of a folder of face crops, sorted by name.

    The names of the class folders become labels as ``truth_of_labels`` has it.

    Args:
        root: the folder; links that lead outside are rejected.
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
    splits, notes = unmixed(file.split for file in kept)
    return Dataset(
        name=root.resolve().name,
        crops=np.stack(crops),
        truths=(truth_of_labels([file.label for file in kept]),),
        splits=splits,
        rows=np.array([_place(file.path, root) for file in kept]),
        digest=digest.hexdigest(),
        rejected=tuple(sorted(rejected, key=lambda bad: bad.place)),
        notes=notes,
    )


def read_photos(root: Path) -> LabelledPhotos:
    """The labelled photos of a folder: by its ``legend.csv`` (columns image and emotion), else by class folders.

    Expressions may be named by any of ``mien.emotions.SYNONYMS``. A name in the legend is a path within the folder; one
    that leads outside, by ``..``, a root or a link, is never opened.

    Raises:
        DatasetError: the folder or its legend can't be read, or no photo in it can be used.
    """
    labels: dict[Path, str] = {}
    splits: list[str] = []
    rejected: list[Rejected] = []
    for entry in _listed(root) if (root / LEGEND).is_file() else _foldered(root, rejected):
        reason = name_refusal(entry.name, root)
        emotion = emotion_named(entry.label)
        if reason is not None:
            rejected.append(Rejected(entry.place, reason))
        elif emotion is None:
            rejected.append(
                Rejected(entry.place, f"expected an expression ({', '.join(Emotion)}); received {entry.label!r}")
            )
        elif root / entry.name in labels:
            rejected.append(Rejected(entry.place, f"{entry.name!r} is listed twice; the first label is used"))
        else:
            labels[root / entry.name] = emotion.value
            splits.append(entry.split)
    if not labels:
        reasons = "; ".join(f"{bad.place}: {bad.reason}" for bad in rejected[:3]) or "there are none"
        raise DatasetError(
            f"expected photos in {root} with {LEGEND} or in folders by expression; none is usable ({reasons})"
        )
    return LabelledPhotos(tuple(labels), tuple(labels.values()), tuple(rejected), tuple(splits) if any(splits) else ())


def face_crop(source: Path | bytes, size: int, channels: int) -> npt.NDArray[np.uint8]:
    """Read an image, a file or its bytes, as a face crop: uint8 (size, size, channels).

    Raises:
        ImageError: the image can't be read.
    """
    frame = read_image(source)
    height, width = frame.shape[:2]
    return crop(frame, Face(Box(0, 0, width, height)), CropRule(), size, channels)


def survey(root: Path) -> tuple[list[ImageFile], list[Rejected]]:
    """The unread images in class folders, and rejected files, both sorted by name.

    The layout is ``root/split/class/*`` if a folder named as a split ("train", "val_set", "Test") holds folders, or if
    no folder in the root holds images; ``root/class/split/*`` if every folder in a class is named as a split; else
    ``root/class/*``, and every row is Training, save files whose own names name another split ("PrivateTest_17.jpg",
    "test_0003.jpg"). Folders around all of that are passed.

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
    skip, split_at = _layout([parts[:-1] for parts, _ in files])
    depth = skip + (1 if split_at is None else 2)
    classes = {parts[skip] for parts, _ in files if len(parts) == skip + 2 and not split_named(parts[skip])}
    of_emotions = all(map(emotion_named, classes))  # among them, a folder "test" is no class
    layout = {None: "root/class/image", 0: "root/split/class/image", 1: "root/class/split/image"}[split_at]
    found = []
    for parts, path in files:
        folders = parts[skip:-1]
        if len(parts) - 1 != depth:
            rejected.append(Rejected(_place(path, root), f"expected {layout}; the image lies elsewhere"))
        elif split_at is None and of_emotions and split_named(folders[0]):
            rejected.append(Rejected(_place(path, root), "expected a class; the folder has the name of a split"))
        elif split_at is None:
            found.append(ImageFile(path, folders[0], split_in_path(path.name) or TRAINING))
        else:
            split = split_named(folders[split_at]) or folders[split_at]
            found.append(ImageFile(path, folders[1 - split_at], split))
    return found, sorted(rejected, key=lambda bad: bad.place)


def _layout(folders: list[tuple[str, ...]]) -> tuple[int, int | None]:
    """How many outer folders to pass, and which of the two within them names the split; None if only classes do.

    Args:
        folders: of each image, outermost first.
    """
    skip = 0
    while folders and min(map(len, folders)) > skip + 2 and len({names[skip] for names in folders}) == 1:
        skip += 1
    pairs = {names[skip:] for names in folders if len(names) == skip + 2}
    single = {names[skip] for names in folders if len(names) == skip + 1}
    if any(split_named(first) for first, _ in pairs) or (single and all(map(split_named, single))):
        return skip, 0
    if pairs and all(split_named(second) for _, second in pairs):
        return skip, 1
    return skip, None if single else 0


def _walk(root: Path) -> Iterator[Path]:
    """Every file and linked folder that is not hidden, sorted by name; links are not followed."""

    def refuse(error: OSError) -> None:
        raise DatasetError(f"expected a folder of images by class at {root}; it can't be read ({error})") from error

    for folder, folders, files in os.walk(root, onerror=refuse):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if (here / name).is_symlink()]
        yield from (here / name for name in sorted([*links, *files]) if not name.startswith("."))


def _refusal(path: Path, home: Path) -> str | None:
    """Why a path is rejected, or None."""
    if path.is_symlink() and path.is_dir():
        return "a link to a folder is not followed"
    if not path.is_file():
        return "it is no file: a broken link, or a pipe"
    if path.suffix.lower() not in IMAGE_SUFFIXES and kind_of(path) != "image":
        return f"expected an image; received '{path.suffix}'"
    if not path.resolve().is_relative_to(home):
        return "a link that leads outside the data's folder is not followed"
    return None


def _place(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A labelled photo as listed: its place in the legend, its name within the folder, its label, perhaps a split."""

    place: str
    name: str
    label: str
    split: str = ""


def _foldered(root: Path, rejected: list[Rejected]) -> Iterator[_Entry]:
    found, refused = survey(root)
    rejected += refused
    for file in found:
        name = _place(file.path, root)
        yield _Entry(name, name, file.label)


def _listed(root: Path) -> Iterator[_Entry]:
    legend = root / LEGEND
    try:
        with legend.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip().lower() for name in next(rows, [])]
            if not {"image", "emotion"} <= set(header):
                raise DatasetError(f"expected the columns image and emotion in {legend}; received {header[:10]}")
            image, emotion = header.index("image"), header.index("emotion")
            usage = next((at for at, name in enumerate(header) if is_split_column(name)), len(header))
            for row in filter(None, rows):
                name, label, split = (row[at].strip() if at < len(row) else "" for at in (image, emotion, usage))
                if usage < len(header):
                    split = split_named(split) or (split if SPLIT_NAME.fullmatch(split) else "unnamed")
                yield _Entry(str(rows.line_num), name, label, split)
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"expected a legend of image and emotion at {legend}; it can't be read ({error})") from error


def name_refusal(name: str, root: Path) -> str | None:
    """Why an image listed by name is rejected, or None; the name is checked before the disk is accessed."""
    windows = PureWindowsPath(name)
    if not name or "\0" in name:
        return "expected the name of an image; received none"
    if PurePosixPath(name).is_absolute() or windows.anchor or ".." in windows.parts:
        return f"expected a name within the folder; received {name!r}"
    try:
        there = (root / name).is_file()
    except OSError:  # the name is longer than the file system allows
        there = False
    if not there:
        return f"expected an image {name[:100]!r} in the folder; there is none"
    if not (root / name).resolve().is_relative_to(root.resolve()):
        return "a link that leads outside the folder is not followed"
    return None
