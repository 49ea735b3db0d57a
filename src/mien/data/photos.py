"""Labelled photos, to judge the whole chain by: faces have to be found in them first."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from mien.data.dataset import Rejected
from mien.data.folder import survey
from mien.emotions import Emotion, emotion_named
from mien.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEGEND = "legend.csv"


@dataclass(frozen=True)
class LabelledPhotos:
    """Photos by path, and the expression that the face in each shows.

    Attributes:
        paths: the files, unread.
        answers: the name of an ``Emotion`` for each.
        rejected: what could not be used: line number of the legend, or path within the folder.
    """

    paths: tuple[Path, ...]
    answers: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()

    def __post_init__(self) -> None:
        if len(self.paths) != len(self.answers) or not set(self.answers) <= set(Emotion):
            raise DatasetError("expected the name of an expression for each photo")

    def __len__(self) -> int:
        return len(self.paths)


def read(root: Path) -> LabelledPhotos:
    """The photos of a folder with a ``legend.csv`` (columns image and emotion), else of its class folders.

    Words for expressions may be any of ``mien.emotions.SYNONYMS``. A name in the legend is a path within the folder;
    one that leads outside, by ``..``, a root or a link, is never opened.

    Raises:
        DatasetError: the folder or its legend can't be read, or no photo in it can be used.
    """
    answers: dict[Path, str] = {}
    rejected: list[Rejected] = []
    for claim in _listed(root) if (root / LEGEND).is_file() else _foldered(root, rejected):
        reason = _refusal(claim, root)
        emotion = emotion_named(claim.word)
        if reason is not None:
            rejected.append(Rejected(claim.place, reason))
        elif emotion is None:
            rejected.append(
                Rejected(claim.place, f"expected an expression ({', '.join(Emotion)}); received {claim.word!r}")
            )
        elif root / claim.name in answers:
            rejected.append(Rejected(claim.place, f"{claim.name!r} was named before; its first label holds"))
        else:
            answers[root / claim.name] = emotion.value
    if not answers:
        reasons = "; ".join(f"{bad.place}: {bad.reason}" for bad in rejected[:3]) or "there are none"
        raise DatasetError(
            f"expected photos in {root} with {LEGEND} or in folders by expression; none is usable ({reasons})"
        )
    return LabelledPhotos(tuple(answers), tuple(answers.values()), tuple(rejected))


@dataclass(frozen=True, slots=True)
class _Claim:
    """A place that says of a photo, by its name within the folder, what it shows."""

    place: str
    name: str
    word: str


def _foldered(root: Path, rejected: list[Rejected]) -> Iterator[_Claim]:
    found, refused = survey(root)
    rejected += refused
    for file in found:
        name = file.path.relative_to(root).as_posix()
        yield _Claim(name, name, file.label)


def _listed(root: Path) -> Iterator[_Claim]:
    legend = root / LEGEND
    try:
        with legend.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip().lower() for name in next(rows, [])]
            if not {"image", "emotion"} <= set(header):
                raise DatasetError(f"expected the columns image and emotion in {legend}; received {header[:10]}")
            image, emotion = header.index("image"), header.index("emotion")
            for row in filter(None, rows):
                name, word = (row[at].strip() if at < len(row) else "" for at in (image, emotion))
                yield _Claim(str(rows.line_num), name, word)
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(f"expected a legend of image and emotion at {legend}; it can't be read ({error})") from error


def _refusal(claim: _Claim, root: Path) -> str | None:
    """Why a photo is not used, whatever its word; the name is judged before the disk is asked."""
    name = claim.name
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
