"""Training images of the face detector, composed from scenes as a pure function of (seed, epoch, index).

There are four kinds: a scaled part of a scene; a mosaic of four scenes; a close-up of a portrait; and portraits or face
crops pasted into a scene (copy-paste). Each is rotated, mirrored and degraded: see ``degradation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mien.data.scenes import NO_FACES, BoxedFaces, concatenated
from mien.training.tasks.detection.degradation import degraded, half_occluded, log_uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.data.scenes import Scenes
    from mien.structures import Frame

    Image = tuple[Frame, BoxedFaces]
    Matrix = npt.NDArray[np.float64]

COMPOSITIONS = ("scene", "mosaic", "close-up", "copy-paste")
COMPOSITION_SHARES = (0.4, 0.2, 0.15, 0.25)

SCENE_SCALE = (0.8, 2.8)
"""Longer side of a scene in sides of its image (of its tile in a mosaic), log-uniform."""

NEGATIVE_SHARE = 0.3
"""Share of images from scenes without a confident face, where there are any: they reduce false positives."""

MAX_FACE_SCALE = 1.2
"""Largest side of a face in a scene, in sides of the image."""

CLOSE_UP_PX = (48.0, 640.0)
PASTED_PX = (9.0, 150.0)
"""Longer side of the face in the composed image, log-uniform. A face larger than the image shows only in part, and
should not count as one: a nose above a mouth can look like a face."""

MAX_PASTED = 4
CROP_SHARE = 0.5
"""Share of pasted faces that come from face crops, where there are any."""

MAX_CROP_PX = 64.0
"""Largest side of a face pasted from a face crop; face crops have 48 pixels."""

PASTE_MARGIN = 1.7
"""Size of the pasted ellipse, in sides of the face box."""

ROTATED_SHARE = 0.4
MAX_ROTATION_DEG, ROTATION_SIGMA_DEG = 40.0, 8.0
"""A share of the images is rotated by up to the maximum, uniformly; the others by a normal distribution."""

MIN_CONFIDENCE = 0.7
"""Score from which a label counts as a confident face."""

MIN_VISIBLE = 0.4
"""Share of a box inside the image from which a face counts; below it the face is ignored."""

IGNORED_SCORE = 0.0
"""Score of a face that no cell is trained on, neither as face nor as background."""

MAX_OCCLUSION = 0.5
"""Share of a face hidden by a pasted one from which its label is dropped."""


class Composed(NamedTuple):
    """A training image and its faces.

    Attributes:
        image: uint8 (side, side, 3) RGB.
        clear: the same before occlusion and degradation, as the teacher sees it.
        faces: in pixels of the image.
    """

    image: Frame
    clear: Frame
    faces: BoxedFaces


@dataclass(frozen=True)
class Composer:
    """Composes training images from scenes.

    Attributes:
        scenes: the labelled scenes.
        side: of the images in pixels.
        crops: grey face crops with their face, for copy-paste.
    """

    scenes: Scenes
    side: int
    crops: Sequence[Image] = ()

    @cached_property
    def portraits(self) -> tuple[int, ...]:
        """Indices of scenes with exactly one large and confident face."""
        return tuple(index for index, scene in enumerate(self.scenes.scenes) if _is_portrait(scene.faces))

    @cached_property
    def negatives(self) -> tuple[int, ...]:
        """Indices of scenes without a confident face."""
        scenes = enumerate(self.scenes.scenes)
        return tuple(index for index, scene in scenes if not (scene.faces.scores >= MIN_CONFIDENCE).any())

    def compose(self, random: np.random.Generator) -> Composed:
        """Compose one image and its faces."""
        kind = random.choice(COMPOSITIONS, p=COMPOSITION_SHARES)
        if kind in ("close-up", "copy-paste") and not self.portraits:
            kind = "scene"
        if kind == "mosaic":
            image, faces = self._mosaic(random)
        elif kind == "close-up":
            image, faces = self._close_up(random)
        else:
            image, faces = self._part(random, self.side)
            if kind == "copy-paste":
                image, faces = self._with_pasted(random, image, faces)
        occluded = half_occluded(random, image.copy(), faces)
        return Composed(degraded(random, occluded), image, faces)

    def _part(self, random: np.random.Generator, side: int) -> Image:
        candidates = self.negatives if self.negatives and random.random() < NEGATIVE_SHARE else range(len(self.scenes))
        frame, faces = self.scenes.images[candidates[int(random.integers(len(candidates)))]]
        height, width = frame.shape[:2]
        scale = side / max(height, width) * log_uniform(random, *SCENE_SCALE)
        scale = min(scale, MAX_FACE_SCALE * side / max(float(faces.sides.max(initial=0)), 1.0))
        if len(faces) and random.random() < 0.7:  # centred on a face
            box = faces.boxes[random.integers(len(faces))]
            middle = (box[:2] + box[2:]) / 2
        else:
            middle = random.uniform(0, 1, 2) * (width, height)
        mirrored = random.random() < 0.5
        before = np.array([width - middle[0] if mirrored else middle[0], middle[1]])
        # little of the image is border (exactly so without rotation)
        edges = np.stack([side - scale * (np.array([width, height]) - before), scale * before])
        place = random.uniform(0, side, 2).clip(*np.sort(edges, axis=0).clip(0, side))
        return _warped(frame, faces, _matrix(random, scale, middle, place, mirrored), side, _border(random))

    def _mosaic(self, random: np.random.Generator) -> Image:
        half = self.side // 2
        image = np.empty((self.side, self.side, 3), np.uint8)
        parts = []
        for row in (0, 1):
            for column in (0, 1):
                part, faces = self._part(random, half)
                image[row * half : (row + 1) * half, column * half : (column + 1) * half] = part
                parts.append(faces.transformed(np.array([[1.0, 0.0, column * half], [0.0, 1.0, row * half]])))
        return image, concatenated(parts)

    def _close_up(self, random: np.random.Generator) -> Image:
        frame, faces = self._portrait(random)
        scale = log_uniform(random, *CLOSE_UP_PX) / float(faces.sides.max())
        box = faces.boxes[int(faces.sides.argmax())]
        place, mirrored = random.uniform(0.25, 0.75, 2) * self.side, random.random() < 0.5
        matrix = _matrix(random, scale, (box[:2] + box[2:]) / 2, place, mirrored)
        return _warped(frame, faces, matrix, self.side, _border(random))

    def _with_pasted(self, random: np.random.Generator, image: Frame, faces: BoxedFaces) -> Image:
        for _ in range(random.integers(1, MAX_PASTED + 1)):
            from_crops = bool(self.crops) and random.random() < CROP_SHARE
            frame, own = self._tinted_crop(random) if from_crops else self._portrait(random)
            box = own.boxes[0]
            side = min(log_uniform(random, *PASTED_PX), MAX_CROP_PX if from_crops else np.inf)
            scale = side / float(own.sides.max())
            place = random.uniform(0.02, 0.98, 2) * self.side
            matrix = _matrix(random, scale, (box[:2] + box[2:]) / 2, place, random.random() < 0.5)
            copy_paste = own.transformed(matrix)
            if len(faces) and _overlaps(copy_paste.boxes[0], faces.boxes).max() > 0.1:
                continue  # next to faces, not over them
            size = (self.side, self.side)
            over: Any = cv2.warpAffine(_mask(random, frame, box), matrix, size, flags=cv2.INTER_AREA)
            over = cv2.GaussianBlur(over, (0, 0), max(0.5, side / 40))[..., None].astype(np.float32) / 255
            new: Any = cv2.warpAffine(_shrunk(frame, scale), matrix, size, flags=cv2.INTER_LINEAR)
            hidden = _occlusion(over[..., 0], faces)
            image = np.rint(over * new + (1 - over) * image).astype(np.uint8)
            faces = concatenated([faces.select(hidden < MAX_OCCLUSION), _inside(copy_paste, self.side)])
        return image, faces

    def _portrait(self, random: np.random.Generator) -> Image:
        return self.scenes.images[self.portraits[int(random.integers(len(self.portraits)))]]

    def _tinted_crop(self, random: np.random.Generator) -> Image:
        """A face crop in the skin colour of a random portrait, since grey would stand out in a coloured scene."""
        crop, face = self.crops[int(random.integers(len(self.crops)))]
        frame, faces = self._portrait(random)
        left, top, right, bottom = faces.boxes[0].clip(0, None).astype(int).tolist()
        colour = frame[top:bottom, left:right].reshape(-1, 3).mean(axis=0) + 1.0
        return np.clip(crop * (colour / colour.mean()), 0, 255).astype(np.uint8), face


def _mask(random: np.random.Generator, frame: Frame, box: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The paste mask of a portrait, 255 where it is pasted: an ellipse around the face, or the whole photo."""
    mask = np.zeros(frame.shape[:2], np.uint8)
    centre = tuple(int(v) for v in (box[:2] + box[2:]) / 2)
    reach = (box[2:] - box[:2]) / 2 * (PASTE_MARGIN if random.random() < 0.7 else 1.25)
    axes = tuple(int(v) for v in np.minimum(reach, np.array(frame.shape[1::-1]) / 2))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
    if random.random() < 0.3:
        mask[:] = 255
    return mask


def _is_portrait(faces: BoxedFaces) -> bool:
    return len(faces) == 1 and bool(faces.scores[0] >= MIN_CONFIDENCE) and bool(faces.sides[0] >= 60)


def _matrix(
    random: np.random.Generator,
    scale: float,
    middle: npt.NDArray[np.floating],
    place: npt.NDArray[np.floating],
    mirrored: bool,  # noqa: FBT001 - one of five parameters of the transform
) -> Matrix:
    """The affine matrix that scales, rotates and mirrors about ``middle`` and moves it to ``place``: (2, 3)."""
    if random.random() < ROTATED_SHARE:
        degrees = random.uniform(-MAX_ROTATION_DEG, MAX_ROTATION_DEG)
    else:
        degrees = np.clip(random.normal(0, ROTATION_SIGMA_DEG), -20, 20)
    angle = np.radians(degrees)
    aspect = np.exp(random.normal(0, 0.06))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.diag([-aspect if mirrored else aspect, 1 / aspect])
    return np.column_stack([linear, place - linear @ middle])


def _border(random: np.random.Generator) -> tuple[int, tuple[int, int, int]]:
    """Border mode and colour outside a scene: black as in inference, a replicated edge, or a random colour."""
    chosen = random.random()
    colour = (0, 0, 0) if chosen < 0.5 else tuple(int(v) for v in random.integers(0, 256, 3))
    return (cv2.BORDER_REPLICATE if 0.5 <= chosen < 0.8 else cv2.BORDER_CONSTANT), colour  # type: ignore[return-value]  # three values


def _warped(
    frame: Frame, faces: BoxedFaces, matrix: Matrix, side: int, border: tuple[int, tuple[int, int, int]]
) -> Image:
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    smooth = _shrunk(frame, scale)
    out: Any = cv2.warpAffine(
        smooth, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border[0], borderValue=border[1]
    )
    return out, _inside(faces.transformed(matrix), side)


def _shrunk(frame: Frame, scale: float) -> Frame:
    """The frame with a low-pass filter against aliasing, for downscaling."""
    if scale >= 0.75:
        return frame
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.5 / scale * 0.8), np.uint8)


def _inside(faces: BoxedFaces, side: int) -> BoxedFaces:
    """The faces at least partly inside the image; those mostly outside get ``IGNORED_SCORE``."""
    if not len(faces):
        return NO_FACES
    clipped = faces.boxes.clip(0, side)
    areas = (clipped[:, 2:] - clipped[:, :2]).clip(0).prod(axis=1) / (faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(1)
    scores = np.where(areas >= MIN_VISIBLE, faces.scores, np.minimum(faces.scores, IGNORED_SCORE)).astype(np.float32)
    kept = areas > 0.1
    return BoxedFaces(faces.boxes[kept], faces.points[kept], scores[kept])


def _overlaps(box: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The share of each of the boxes that lies inside one box."""
    shared = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(axis=1)
    parts: npt.NDArray[np.float32] = shared / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return parts


def _occlusion(mask: npt.NDArray[np.float32], faces: BoxedFaces) -> npt.NDArray[np.float64]:
    """The share of each face that a mask hides, (count,)."""
    shares = []
    for left, top, right, bottom in faces.boxes.clip(0, mask.shape[0]).round().astype(int).tolist():
        part = mask[top : max(bottom, top + 1), left : max(right, left + 1)]
        shares.append(float(part.mean()) if part.size else 1.0)
    return np.array(shares, np.float64)
