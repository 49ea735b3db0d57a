"""Data sets for face detectors: images with labelled boxes and landmarks, for training and evaluation.

A folder with ``labels.jsonl``, one object per line::

    {"image": "everyday/1.jpg", "width": 224, "height": 224, "faces": [
        {"box": [left, top, right, bottom], "landmarks": [x, y, ... five points], "score": 0.93}]}

Landmarks are right eye, left eye, nose, right and left corner of the mouth, from the subject's point of view. The score
is a teacher's confidence that there is a face. A box labelled by hand leaves it out, which means 1. A key "split" may
name the split of each image by any synonym of ``mien.data.split_names``; else its path may (``test/1.jpg``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.data.dataset import PUBLIC_TEST, TRAINING
from mien.data.rows import BadRowError, split_of
from mien.data.split_names import is_split_column, split_in_path, unmixed
from mien.errors import DatasetError, ImageError
from mien.media.files import sha256_of
from mien.media.image import read as read_image
from mien.media.resampling import resize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mien.structures import Frame

LABELS = "labels.jsonl"
MAX_IMAGE_PX = 512
"""Longer side of images in memory."""

HELD_OUT_EVERY = 10
"""One image in ten is held out."""

MIRRORED_LANDMARKS = (1, 0, 2, 4, 3)
"""Order of the landmarks of a mirrored face, right for left."""

MAX_FACES = 10_000
"""In one image; more means a damaged file."""


@dataclass(frozen=True)
class BoxedFaces:
    """The labelled faces of one image, in its pixels.

    Attributes:
        boxes: float32 (count, 4): left, top, right, bottom.
        points: float32 (count, 5, 2): right eye, left eye, nose, right and left corner of the mouth, each x and y.
        scores: float32 (count,): confidence of the label, 0 to 1.
    """

    boxes: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.points.shape != (count, 5, 2) or self.scores.shape != (count,):
            raise DatasetError(
                f"expected boxes, points and scores of as many faces; received {self.boxes.shape}, "
                f"{self.points.shape}, {self.scores.shape}"
            )

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def sides(self) -> npt.NDArray[np.float32]:
        """The longer side of each box, float32 (count,)."""
        sides: npt.NDArray[np.float32] = (self.boxes[:, 2:] - self.boxes[:, :2]).max(axis=1, initial=0)
        return sides

    def transformed(self, matrix: npt.NDArray[np.floating]) -> BoxedFaces:
        """The faces after an affine map; a box becomes the bounding box of its mapped inscribed ellipse.

        Args:
            matrix: (2, 3), from old to new pixels; a mirroring one swaps right and left landmarks.
        """
        linear, offset = matrix[:, :2], matrix[:, 2]
        centres = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2 @ linear.T + offset
        halves = np.sqrt(((self.boxes[:, 2:] - self.boxes[:, :2]) / 2) ** 2 @ (linear.T**2))
        points = self.points @ linear.T + offset
        if np.linalg.det(linear) < 0:
            points = points[:, MIRRORED_LANDMARKS]
        boxes = np.hstack([centres - halves, centres + halves])
        return BoxedFaces(boxes.astype(np.float32), points.astype(np.float32), self.scores)

    def select(self, rows: npt.NDArray[Any]) -> BoxedFaces:
        """Some of the faces, by mask or indices."""
        return BoxedFaces(self.boxes[rows], self.points[rows], self.scores[rows])


NO_FACES = BoxedFaces(np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))


def concatenated(parts: Iterable[BoxedFaces]) -> BoxedFaces:
    """The faces of several images in one."""
    all_parts = [NO_FACES, *parts]
    return BoxedFaces(
        *(np.concatenate([getattr(part, name) for part in all_parts]) for name in ("boxes", "points", "scores"))
    )


@dataclass(frozen=True)
class Scene:
    """An image and its faces.

    Attributes:
        path: the image.
        name: its path within the folder.
        faces: its labelled faces.
        split: Training, PublicTest, PrivateTest, or a name of the data's own.
    """

    path: Path
    name: str
    faces: BoxedFaces
    split: str = TRAINING


@dataclass(frozen=True)
class Scenes:
    """Images with labelled faces.

    Attributes:
        name: of the folder.
        scenes: one for each image.
        digest: SHA-256 of the labels, in hex.
        notes: on images that are left out.
    """

    name: str
    scenes: tuple[Scene, ...]
    digest: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.scenes)

    def split(self) -> tuple[Scenes, Scenes]:
        """The training and the validation images.

        Without a validation split, a tenth of Training is held out: chosen by a hash of the name, so it is always the
        same. Other splits are not used.
        """
        scenes = [scene for scene in self.scenes if scene.split == TRAINING]
        validating = [scene for scene in self.scenes if scene.split == PUBLIC_TEST]
        if not validating:
            validating = [
                scene
                for scene in scenes
                if int(hashlib.sha256(scene.name.encode()).hexdigest(), 16) % HELD_OUT_EVERY == 0
            ]
            held_out = {scene.name for scene in validating}
            scenes = [scene for scene in scenes if scene.name not in held_out]
        parts = tuple(scenes), tuple(validating)
        if not all(parts):
            raise DatasetError(
                f"expected images to train on in {self.name}, and enough to hold a tenth out; received "
                f"{sum(scene.split == TRAINING for scene in self.scenes)} of the split Training among {len(self)}"
            )
        training, validation = (dataclasses.replace(self, scenes=part) for part in parts)
        return training, validation

    @cached_property
    def images(self) -> tuple[tuple[Frame, BoxedFaces], ...]:
        """Every image as RGB, its longer side at most ``MAX_IMAGE_PX`` pixels, and its faces at that scale.

        Raises:
            DatasetError: an image can't be read.
        """
        return tuple(map(_loaded, self.scenes))


def read(root: Path) -> Scenes:
    """The images listed in a folder's ``labels.jsonl``, unread.

    Raises:
        DatasetError: there is no such file, a line is invalid, or it names an image that is missing or outside.
    """
    listing = root / LABELS
    scenes = []
    try:
        with listing.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    scenes.append(_scene(line, number, root))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"expected labels of faces in {listing}; they can't be read ({error})") from error
    if not scenes:
        raise DatasetError(f"expected one image per line in {listing}; there is none")
    splits, notes = unmixed(scene.split for scene in scenes)
    named = (dataclasses.replace(scene, split=split) for scene, split in zip(scenes, splits.tolist(), strict=True))
    return Scenes(root.name, tuple(named), sha256_of(listing), notes)


def _scene(line: str, number: int, root: Path) -> Scene:
    try:
        values = json.loads(line)
        name, faces = PurePosixPath(values["image"]), _boxed(values["faces"])
        key = next(filter(is_split_column, values), None)
        split = split_of(values[key], ()) if key else split_in_path(str(name)) or TRAINING
    except (ValueError, KeyError, TypeError, AttributeError, DatasetError, BadRowError) as error:
        raise DatasetError(
            'expected {"image": ..., "faces": [{"box": [4 numbers], "landmarks": [10], "score": 0 to 1}]} in '
            f"line {number} of {root / LABELS}; received something else ({error})"
        ) from error
    path = root / name
    if name.is_absolute() or ".." in name.parts or not path.is_file():
        raise DatasetError(f"expected the image {name} that line {number} of {LABELS} names in {root}; there is none")
    return Scene(path, str(name), faces, split)


def _boxed(faces: list[dict[str, Any]]) -> BoxedFaces:
    count = len(faces)
    if count > MAX_FACES:
        raise DatasetError(f"{count} faces in one image")
    boxed = BoxedFaces(
        np.array([face["box"] for face in faces], np.float32).reshape(count, 4),
        np.array([face["landmarks"] for face in faces], np.float32).reshape(count, 5, 2),
        np.array([face.get("score", 1.0) for face in faces], np.float32),
    )
    if not (np.isfinite(boxed.boxes).all() and np.isfinite(boxed.points).all()):
        raise DatasetError("a coordinate is not a number")
    if not (boxed.boxes[:, 2:] > boxed.boxes[:, :2]).all() or not ((boxed.scores >= 0) & (boxed.scores <= 1)).all():
        raise DatasetError("a box is empty, or a score is not from 0 to 1")
    return boxed


def _loaded(scene: Scene) -> tuple[Frame, BoxedFaces]:
    try:
        frame = read_image(scene.path)
    except ImageError as error:
        raise DatasetError(f"expected an image at {scene.path}; it can't be read ({error})") from error
    scale = MAX_IMAGE_PX / max(frame.shape[:2])
    if scale >= 1:
        return frame, scene.faces
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    spans = np.diag([size[0] / frame.shape[1], size[1] / frame.shape[0]])
    return resize(frame, size), scene.faces.transformed(np.column_stack([spans, np.zeros(2)]))
