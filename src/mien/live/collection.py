"""Images of expressions that are shown on purpose, in folders that ``mien train`` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.classification.face_crop import crop
from mien.emotions import FER2013
from mien.errors import UsageError
from mien.media.files import timestamped_path
from mien.media.image import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.models.card import CropRule
    from mien.structures import Face, Frame

SIDE = 96
"""Pixels of a face crop: twice what the shipped networks read, for networks to come."""

CONSENT = """Images of faces will be written to

{folder}

They stay there until you delete them, and nothing is sent anywhere. Images of a face are personal data: collect \
them only of people who know what they are for and agree, and delete them when somebody asks."""


class Collection:
    """A folder of images, one folder for each expression; what is there already counts.

    Args:
        folder: made with the first image.
        rule: how face crops are cut; None keeps whole frames, for ``mien data crop``.
        wanted: images of each expression.
        labels: names of the expressions, which are the names of the folders.

    Raises:
        UsageError: the folder is a file, or a label can't be a folder's name.
    """

    def __init__(self, folder: Path, rule: CropRule | None, wanted: int = 20, labels: Sequence[str] = FER2013) -> None:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"expected a folder to collect in; received the file {folder}")
        wrong = [label for label in labels if not label.strip() or Path(label).name != label or label.startswith(".")]
        if wrong or not labels:
            raise UsageError(f"expected names of expressions that folders can have; received {wrong or 'none'}")
        self.folder, self.labels = folder, tuple(map(str, labels))
        self._rule, self.wanted = rule, wanted
        self._taken: list[Path] = []

    def count(self, label: str) -> int:
        """How many images of an expression there are."""
        return sum(1 for path in (self.folder / label).glob("*.png") if not path.name.startswith("."))

    def missing(self, label: str) -> int:
        """How many are still wanted."""
        return max(self.wanted - self.count(label), 0)

    def keep(self, label: str, frame: Frame, face: Face) -> Path:
        """Writes an image of an expression; the file.

        Args:
            label: one of the labels.
            frame: uint8 (height, width, 3), RGB.
            face: the one that shows it.

        Raises:
            OSError: it can't be written.
        """
        image = frame if self._rule is None else crop(frame, face, self._rule, SIDE, 3)
        folder = self.folder / label
        folder.mkdir(parents=True, exist_ok=True)
        path = timestamped_path(folder, ".png")
        write(path, image)
        self._taken.append(path)
        return path

    def delete_last(self) -> Path | None:
        """Deletes the image that was taken last, one by one back to the start of this session; None at its start."""
        if not self._taken:
            return None
        path = self._taken.pop()
        path.unlink(missing_ok=True)
        return path
