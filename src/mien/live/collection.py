"""Collects images of posed expressions in class folders, as training data for ``mien train``."""

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

CROP_PX = 96
"""Side of a face crop: twice the input of the shipped networks, to leave room for larger ones."""

CONSENT = """Images of faces will be written to

{folder}

They stay there until you delete them, and nothing is sent anywhere. Images of a face are personal data: collect \
them only from people who know the purpose and agree, and delete them on request."""


class Collection:
    """A folder with one subfolder of images per expression; existing images count.

    Args:
        folder: created with the first image.
        rule: the crop rule for face crops; None keeps whole frames, for ``mien data crop``.
        per_label: images per expression.
        labels: the expressions, which are also the names of the subfolders.

    Raises:
        UsageError: the folder is a file, or a label is no valid folder name.
    """

    def __init__(
        self, folder: Path, rule: CropRule | None, per_label: int = 20, labels: Sequence[str] = FER2013
    ) -> None:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"expected a folder to collect in; received the file {folder}")
        wrong = [label for label in labels if not label.strip() or Path(label).name != label or label.startswith(".")]
        if wrong or not labels:
            raise UsageError(f"expected names of expressions that folders can have; received {wrong or 'none'}")
        self.folder, self.labels = folder, tuple(map(str, labels))
        self._rule, self.per_label = rule, per_label
        self._saved: list[Path] = []

    def count(self, label: str) -> int:
        """The number of images of an expression."""
        return sum(1 for path in (self.folder / label).glob("*.png") if not path.name.startswith("."))

    def missing(self, label: str) -> int:
        """The number of images still to collect."""
        return max(self.per_label - self.count(label), 0)

    def save(self, label: str, frame: Frame, face: Face) -> Path:
        """Write an image of an expression and return its path.

        Args:
            label: one of the labels.
            frame: uint8 (height, width, 3), RGB.
            face: the face that shows the expression.

        Raises:
            OSError: the image cannot be written.
        """
        image = frame if self._rule is None else crop(frame, face, self._rule, CROP_PX, 3)
        folder = self.folder / label
        folder.mkdir(parents=True, exist_ok=True)
        path = timestamped_path(folder, ".png")
        write(path, image)
        self._saved.append(path)
        return path

    def delete_last(self) -> Path | None:
        """Delete the last image of this session and return its path; None when there is none left."""
        if not self._saved:
            return None
        path = self._saved.pop()
        path.unlink(missing_ok=True)
        return path
