"""Folders of photos become a data set of face crops, by the very code that ``mien predict`` finds and cuts faces with.

``photos/class/a.jpg`` becomes ``crops/class/a.png``, ``photos/split/class/a.jpg`` keeps its split, and the photos of a
``legend.csv`` go to a folder for their expression. ``crops/crops.csv`` tells what became of every photo. A run that
was broken off goes on where it was, and no file that is there is written over: a photo is known by its name and its
SHA-256, a face crop with the very bytes that it would get is its own, and another file's name is passed over
(``a-2.png``).
"""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from dataclasses import astuple, dataclass, fields
from itertools import count
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from PIL import Image

from mien.classification.face_crop import crop_faces
from mien.data import photos as labelled_photos
from mien.data.csv_rows import SIDES
from mien.data.folder import CROPS, survey
from mien.detection import Detector, crop_rule_for
from mien.errors import DatasetError, ImageError, UsageError
from mien.media.files import sha256_of, write_bytes
from mien.media.image import read as read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from mien.models.card import CropRule
    from mien.structures import Face

CROPPED, NO_FACE, SEVERAL, UNREADABLE = "cropped", "no face", "several faces", "unreadable"
"""What becomes of a photo."""

SAVED_EVERY = 5.0
"""Seconds from one writing of the list to the next."""


@dataclass(frozen=True)
class Cutting:
    """How faces are found and cut.

    Attributes:
        detector: finds them.
        rule: of the model that the face crops are for.
        size: side of the face crops in pixels.
        largest: takes the largest of several faces; else such photos are only listed.
    """

    detector: Detector
    rule: CropRule
    size: int = 48
    largest: bool = False

    def __post_init__(self) -> None:
        if self.size not in SIDES:
            raise UsageError(f"expected face crops of {SIDES[0]} to {SIDES[-1]} pixels a side; received {self.size}")

    def __str__(self) -> str:
        """All that a face crop depends on besides its photo."""
        rule = crop_rule_for(self.detector, self.rule)
        return f"{type(self.detector).__name__} factor={rule.factor} align={rule.align_beyond} size={self.size}"

    def cut(self, photo: Path) -> tuple[list[Face], npt.NDArray[np.uint8] | None]:
        """The faces of a photo, largest first, and the grey face crop (size, size) of the one that is wanted, or None.

        Raises:
            ImageError: the photo can't be read.
        """
        frame = read_image(photo)
        faces = self.detector.detect(frame)
        if not faces or (len(faces) > 1 and not self.largest):
            return faces, None
        return faces, crop_faces(frame, faces[:1], crop_rule_for(self.detector, self.rule), self.size, 1)[0, ..., 0]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one photo: a line of ``crops.csv``.

    Attributes:
        source: path within the folder of photos.
        status: "cropped", "no face", "several faces" or "unreadable".
        file: the face crop's path within its folder; empty where there is none.
        left: of the face's box in pixels of the photo, as the next three; empty where no face crop was cut.
        top: see left.
        right: see left.
        bottom: see left.
        sha256: of the photo's bytes.
        cutting: how the face was found and cut.
        reason: why there is no face crop.
    """

    source: str
    status: str
    file: str = ""
    left: str = ""
    top: str = ""
    right: str = ""
    bottom: str = ""
    sha256: str = ""
    cutting: str = ""
    reason: str = ""


COLUMNS = tuple(column.name for column in fields(Fate))


def crop_photos(
    photos: Path, out: Path, cutting: Cutting, tell: Callable[[float], None] = lambda _: None
) -> tuple[Fate, ...]:
    """Cuts the face out of each photo; what has none, or several, is listed and not cut.

    Args:
        photos: ``root/class/*``, ``root/split/class/*``, or a folder with ``legend.csv``; only read.
        out: the folder of face crops, new or of an earlier run with the same cutting; nothing is written outside it.
        cutting: how.
        tell: is told the share that is done.

    Returns:
        the fate of every photo of this folder, in the order of their names.

    Raises:
        DatasetError: there are no photos, one folder lies in the other, or ``out`` holds face crops cut otherwise.
    """
    here, there = photos.resolve(), out.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise DatasetError(f"expected a folder for the face crops apart from the photos at {photos}; received {out}")
    sources, fates = _sources(photos)
    listing = _Listing(out, str(cutting))
    for fate in fates:
        listing.add(fate)
    try:
        for number, (source, folder) in enumerate(sources.items(), 1):
            fates.append(_fate(photos / source, source, folder, cutting, listing))
            listing.add(fates[-1])
            tell(number / len(sources))
    finally:
        listing.save()
    return tuple(sorted(fates, key=lambda fate: fate.source))


def counted(fates: tuple[Fate, ...]) -> Mapping[str, int]:
    """How many photos had each fate."""
    found = Counter(fate.status for fate in fates)
    return {status: found[status] for status in (CROPPED, NO_FACE, SEVERAL, UNREADABLE)}


def _sources(photos: Path) -> tuple[dict[str, str], list[Fate]]:
    """Each photo's path within the folder and the folder that its face crop goes to; and what is no photo."""
    if (photos / labelled_photos.LEGEND).is_file():
        legend = labelled_photos.read(photos)
        names = [path.relative_to(photos).as_posix() for path in legend.paths]
        sources = dict(sorted(zip(names, legend.answers, strict=True)))
        rejected = [(f"{labelled_photos.LEGEND}:{bad.place}", bad.reason) for bad in legend.rejected]
    else:
        found, refused = survey(photos)
        places = [file.path.relative_to(photos) for file in found]
        sources = {place.as_posix(): place.parent.as_posix() for place in places}
        rejected = [(bad.place, bad.reason) for bad in refused]
    if not sources:
        reasons = "; ".join(f"{place}: {reason}" for place, reason in rejected[:3]) or "there are none"
        raise DatasetError(f"expected photos in folders by class in {photos}; none can be used ({reasons})")
    return sources, [Fate(place, UNREADABLE, reason=reason) for place, reason in rejected]


def _fate(photo: Path, source: str, folder: str, cutting: Cutting, listing: _Listing) -> Fate:
    """Cuts a photo into a folder, unless that was done before."""
    try:
        digest = sha256_of(photo)
        before = listing.done(source, digest, again=cutting.largest)
        if before:
            return before
        faces, crop = cutting.cut(photo)
    except (ImageError, OSError) as error:
        return Fate(source, UNREADABLE, reason=str(error))
    known = {"source": source, "sha256": digest, "cutting": str(cutting)}
    if crop is None:
        reason = f"{len(faces)} faces" if faces else "no face was found"
        return Fate(**known, status=SEVERAL if faces else NO_FACE, reason=reason)
    file = listing.write(folder, PurePosixPath(source).stem, _png(crop))
    box = faces[0].box
    left, top, right, bottom = map(str, (box.left, box.top, box.right, box.bottom))
    return Fate(**known, status=CROPPED, file=file, left=left, top=top, right=right, bottom=bottom)


def _png(crop: npt.NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(crop).save(content, "PNG")
    return content.getvalue()


class _Listing:
    """The fates known so far, of this run and of those before, and the file that keeps them."""

    def __init__(self, out: Path, cutting: str) -> None:
        self.out = out
        self.saved = time.monotonic()
        self.known: dict[tuple[str, str], Fate] = {}
        self.taken: set[str] = set()
        for fate in _read(out / CROPS):
            if fate.cutting not in ("", cutting):
                raise DatasetError(
                    f"expected face crops in {out} that were cut as now ({cutting}); {fate.source} was cut otherwise "
                    f"({fate.cutting}). Name another folder"
                )
            self._know(fate)

    def done(self, source: str, digest: str, *, again: bool) -> Fate | None:
        """The fate of a photo, where nothing is left to do; ``again``: several faces are no obstacle now."""
        fate = self.known.get((source, digest))
        if fate is None or fate.status == UNREADABLE or (fate.status == SEVERAL and again):
            return None
        if fate.status == CROPPED and not (self.out / fate.file).is_file():
            self.taken.discard(fate.file.casefold())
            return None
        return fate

    def write(self, folder: str, stem: str, crop: bytes) -> str:
        """Writes a face crop under the first name that is free, or finds it there; the path within ``out``."""
        for number in count(1):
            file = f"{folder}/{stem}{f'-{number}' if number > 1 else ''}.png"
            path = self.out / file
            if not path.parent.resolve().is_relative_to(self.out.resolve()):
                raise DatasetError(f"expected the folder {folder} in {self.out}; received a link that leads outside")
            if file.casefold() in self.taken:
                continue
            if not (path.exists() or path.is_symlink()):
                write_bytes(path, crop)
                break
            if path.is_file() and path.stat().st_size == len(crop) and path.read_bytes() == crop:
                break
        self.taken.add(file.casefold())
        return file

    def add(self, fate: Fate) -> None:
        """Keeps a fate; writes the list now and then."""
        self._know(fate)
        if time.monotonic() - self.saved > SAVED_EVERY:
            self.save()

    def save(self) -> None:
        """Writes the list, whole."""
        content = io.StringIO()
        rows = csv.writer(content, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows(astuple(self.known[key]) for key in sorted(self.known))
        write_bytes(self.out / CROPS, content.getvalue().encode(errors="surrogateescape"))
        self.saved = time.monotonic()

    def _know(self, fate: Fate) -> None:
        self.known.pop((fate.source, ""), None)  # it could not be read before
        self.known[fate.source, fate.sha256] = fate
        if fate.file:
            self.taken.add(fate.file.casefold())


def _read(listing: Path) -> list[Fate]:
    """The fates that an earlier run wrote; none where there was no such run."""
    try:
        with listing.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *rows = csv.reader(file)
        fates = [Fate(**dict(zip(COLUMNS, row, strict=True))) for row in rows]
        if tuple(header) == COLUMNS and not any(_outside(fate.file) for fate in fates):
            return fates
        problem = "its columns, or the files that it names, are others"
    except FileNotFoundError:
        return []
    except (OSError, TypeError, ValueError, csv.Error) as error:
        problem = str(error)
    raise DatasetError(
        f"expected the list of an earlier run at {listing}; received another file ({problem}). "
        "Name another folder for the face crops, or move that file away"
    )


def _outside(file: str) -> bool:
    return PurePosixPath(file).is_absolute() or ".." in PureWindowsPath(file).parts
