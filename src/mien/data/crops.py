"""Make a data set of face crops from folders of photos, with the detection and cropping code of ``mien predict``.

``photos/class/a.jpg`` becomes ``crops/class/a.png``, ``photos/split/class/a.jpg`` keeps its split, and the photos of a
``legend.csv`` go to a folder for their expression. ``crops/crops.csv`` lists the result of every photo. An interrupted
run resumes, and no existing file is overwritten: a photo is identified by its name and SHA-256, a face crop by its
bytes, and if another file has the name, the next free one is used (``a-2.png``).
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
from mien.data.folders import CROPS, LEGEND, read_photos, survey
from mien.data.rows import SIDES
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
"""The status of a photo."""

SAVE_INTERVAL_S = 5.0
"""Seconds between two writes of the list."""


@dataclass(frozen=True)
class CropSettings:
    """How faces are detected and cropped.

    Attributes:
        detector: finds the faces.
        rule: crop rule of the model that the face crops are for.
        size: side of the face crops in pixels.
        largest: take the largest of several faces; otherwise such photos are only listed.
    """

    detector: Detector
    rule: CropRule
    size: int = 48
    largest: bool = False

    def __post_init__(self) -> None:
        if self.size not in SIDES:
            raise UsageError(f"expected face crops of {SIDES[0]} to {SIDES[-1]} pixels a side; received {self.size}")

    def __str__(self) -> str:
        """Everything that a face crop depends on besides its photo."""
        rule = crop_rule_for(self.detector, self.rule)
        return f"{type(self.detector).__name__} factor={rule.factor} align={rule.align_beyond} size={self.size}"

    def crop(self, photo: Path) -> tuple[list[Face], npt.NDArray[np.uint8] | None]:
        """The faces of a photo, largest first, and the grey face crop (size, size) of the chosen one, or None.

        Raises:
            ImageError: the photo can't be read.
        """
        frame = read_image(photo)
        faces = self.detector.detect(frame)
        if not faces or (len(faces) > 1 and not self.largest):
            return faces, None
        return faces, crop_faces(frame, faces[:1], crop_rule_for(self.detector, self.rule), self.size, 1)[0, ..., 0]


@dataclass(frozen=True, slots=True)
class CropResult:
    """The result for one photo: a line of ``crops.csv``.

    Attributes:
        source: path within the folder of photos.
        status: "cropped", "no face", "several faces" or "unreadable".
        file: the face crop's path within its folder; empty if there is none.
        left: edge of the face's box in pixels of the photo, as the next three; empty without a face crop.
        top: see left.
        right: see left.
        bottom: see left.
        sha256: of the photo's bytes.
        cutting: the settings, as text.
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


COLUMNS = tuple(column.name for column in fields(CropResult))


def crop_photos(
    photos: Path, out: Path, settings: CropSettings, on_progress: Callable[[float], None] = lambda _: None
) -> tuple[CropResult, ...]:
    """Crop the face of each photo; a photo without a face, or with several, is only listed.

    Args:
        photos: ``root/class/*``, ``root/split/class/*``, or a folder with ``legend.csv``; only read.
        out: the folder of face crops, new or of an earlier run with the same settings; nothing is written outside it.
        settings: detector, crop rule and size.
        on_progress: called with the share done, 0 to 1.

    Returns:
        The result of every photo of this folder, sorted by name.

    Raises:
        DatasetError: there are no photos, one folder lies in the other, or ``out`` has face crops of other settings.
    """
    here, there = photos.resolve(), out.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise DatasetError(f"expected a folder for the face crops outside the photos at {photos}; received {out}")
    sources, results = _sources(photos)
    listing = _Listing(out, str(settings))
    for result in results:
        listing.add(result)
    try:
        for number, (source, folder) in enumerate(sources.items(), 1):
            results.append(_crop_one(photos / source, source, folder, settings, listing))
            listing.add(results[-1])
            on_progress(number / len(sources))
    finally:
        listing.save()
    return tuple(sorted(results, key=lambda result: result.source))


def count_by_status(results: tuple[CropResult, ...]) -> Mapping[str, int]:
    """The number of photos with each status."""
    found = Counter(result.status for result in results)
    return {status: found[status] for status in (CROPPED, NO_FACE, SEVERAL, UNREADABLE)}


def _sources(photos: Path) -> tuple[dict[str, str], list[CropResult]]:
    """Each photo's path within the folder with the folder of its face crop; and rejected files."""
    if (photos / LEGEND).is_file():
        legend = read_photos(photos)
        names = [path.relative_to(photos).as_posix() for path in legend.paths]
        parents = legend.labels
        if legend.splits:
            parents = tuple(f"{split}/{label}" for split, label in zip(legend.splits, legend.labels, strict=True))
        sources = dict(sorted(zip(names, parents, strict=True)))
        rejected = [(f"{LEGEND}:{bad.place}", bad.reason) for bad in legend.rejected]
    else:
        found, refused = survey(photos)
        places = [file.path.relative_to(photos) for file in found]
        sources = {place.as_posix(): place.parent.as_posix() for place in places}
        rejected = [(bad.place, bad.reason) for bad in refused]
    if not sources:
        reasons = "; ".join(f"{place}: {reason}" for place, reason in rejected[:3]) or "there are none"
        raise DatasetError(f"expected photos in folders by class in {photos}; none can be used ({reasons})")
    return sources, [CropResult(place, UNREADABLE, reason=reason) for place, reason in rejected]


def _crop_one(photo: Path, source: str, folder: str, settings: CropSettings, listing: _Listing) -> CropResult:
    """Crop one photo, unless that was done before."""
    try:
        digest = sha256_of(photo)
        before = listing.done(source, digest, again=settings.largest)
        if before:
            return before
        faces, crop = settings.crop(photo)
    except (ImageError, OSError) as error:
        return CropResult(source, UNREADABLE, reason=str(error))
    known = {"source": source, "sha256": digest, "cutting": str(settings)}
    if crop is None:
        reason = f"{len(faces)} faces" if faces else "no face was found"
        return CropResult(**known, status=SEVERAL if faces else NO_FACE, reason=reason)
    file = listing.write(folder, PurePosixPath(source).stem, _png(crop))
    box = faces[0].box
    left, top, right, bottom = map(str, (box.left, box.top, box.right, box.bottom))
    return CropResult(**known, status=CROPPED, file=file, left=left, top=top, right=right, bottom=bottom)


def _png(crop: npt.NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(crop).save(content, "PNG")
    return content.getvalue()


class _Listing:
    """The results known so far, of this run and earlier ones, and the file that stores them."""

    def __init__(self, out: Path, settings: str) -> None:
        self.out = out
        self.saved = time.monotonic()
        self.known: dict[tuple[str, str], CropResult] = {}
        self.taken: set[str] = set()
        for result in _read(out / CROPS):
            if result.cutting not in ("", settings):
                raise DatasetError(
                    f"expected face crops in {out} of the same settings ({settings}); {result.source} has others "
                    f"({result.cutting}). Name another folder"
                )
            self._remember(result)

    def done(self, source: str, digest: str, *, again: bool) -> CropResult | None:
        """The result of a photo if nothing is left to do; ``again``: retry photos with several faces."""
        result = self.known.get((source, digest))
        if result is None or result.status == UNREADABLE or (result.status == SEVERAL and again):
            return None
        if result.status == CROPPED and not (self.out / result.file).is_file():
            self.taken.discard(result.file.casefold())
            return None
        return result

    def write(self, folder: str, stem: str, crop: bytes) -> str:
        """Write a face crop under the first free name, unless it is already there; its path within ``out``."""
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

    def add(self, result: CropResult) -> None:
        """Store a result; write the list at intervals."""
        self._remember(result)
        if time.monotonic() - self.saved > SAVE_INTERVAL_S:
            self.save()

    def save(self) -> None:
        """Write the list, whole or not at all."""
        content = io.StringIO()
        rows = csv.writer(content, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows(astuple(self.known[key]) for key in sorted(self.known))
        write_bytes(self.out / CROPS, content.getvalue().encode(errors="surrogateescape"))
        self.saved = time.monotonic()

    def _remember(self, result: CropResult) -> None:
        self.known.pop((result.source, ""), None)  # it could not be read before
        self.known[result.source, result.sha256] = result
        if result.file:
            self.taken.add(result.file.casefold())


def _read(listing: Path) -> list[CropResult]:
    """The results of an earlier run; empty if there was none."""
    try:
        with listing.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *rows = csv.reader(file)
        results = [CropResult(**dict(zip(COLUMNS, row, strict=True))) for row in rows]
        if tuple(header) == COLUMNS and not any(_outside(result.file) for result in results):
            return results
        problem = "it has other columns, or lists files outside the folder"
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
