"""Images to learn faces from, composed from scenes as a pure function of (seed, epoch, index).

Four kinds: a part of a scene, larger or smaller; four scenes beside each other; a close-up of a portrait; portraits
pasted into a scene, and with them face crops of faces where there are any. Each is turned, mirrored, and changed as
cameras and hands change images: dark, blurred, noisy, grey, stored as JPEG, faces half covered or cut by the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from mien.data.scenes import NO_FACES, BoxedFaces, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.data.scenes import Scenes
    from mien.structures import Frame

    Image = tuple[Frame, BoxedFaces]
    Matrix = npt.NDArray[np.float64]

KINDS = ("scene", "four", "close-up", "copy_paste")
SHARES = (0.4, 0.2, 0.15, 0.25)

LEAST_SCALE, MOST_SCALE = 0.8, 2.8
"""The longer side of a scene in sides of the image it becomes, drawn evenly in its logarithm; of four, in halves."""

BARE = 0.3
"""Share of scenes taken from those without a sure face, where there are any: what false faces are unlearnt from."""

MOST_FACE = 1.2
"""The longer side of a scene's largest face, in sides of the image."""

CLOSE_UP = (48.0, 640.0)
PASTED = (9.0, 150.0)
"""Longer side of the face in pixels of the composed image, drawn evenly in its logarithm. Of a face larger than the
image a part is seen, which is no face: a nose over a mouth looks like one."""

MOST_PASTED = 4
CROPS = 0.5
"""Share of what is pasted that comes from face crops, where there are any."""

MOST_CROP = 64.0
"""The longer side of the face of a face crop that is pasted; face crops have 48 pixels."""

AROUND = 1.7
"""What is pasted with a face, in sides of its box."""

TURNED = 0.4
TURN, LEAN = 40.0, 8.0
"""Share of images turned by up to ``TURN`` degrees either way; the others by a deviation of ``LEAN``."""

SURE = 0.7
"""Faces are pasted from portraits whose face the teacher is sure of."""

SEEN = 0.4
"""A face counts while this share of its box is inside the image; of less it is doubtful whether it is one."""

DOUBTFUL = 0.0
"""The score of what may be a face or not: no cell learns from it."""

COVERED = 0.5
"""The share of a face covered by another from which it is forgotten."""

HALF_COVERED = 0.08
"""Share of faces half covered."""

SMALLEST_HALF = 20.0
"""Pixels of the longer side; half of less is no face to anybody."""


class Composed(NamedTuple):
    """An image to learn from, and its faces.

    Attributes:
        image: uint8 (side, side, 3) RGB.
        clear: the same before faces were covered and the camera spoilt it: what a teacher sees.
        faces: in its pixels.
    """

    image: Frame
    clear: Frame
    faces: BoxedFaces


@dataclass(frozen=True)
class Composer:
    """Makes images from scenes.

    Attributes:
        scenes: what they are made from.
        side: of the images in pixels.
        crops: grey images cut close around one face, and it.
    """

    scenes: Scenes
    side: int
    crops: Sequence[Image] = ()

    @cached_property
    def portraits(self) -> tuple[int, ...]:
        """Scenes of one sure and large face."""
        return tuple(index for index, scene in enumerate(self.scenes.scenes) if _is_portrait(scene.faces))

    @cached_property
    def bare(self) -> tuple[int, ...]:
        """Scenes without a sure face."""
        scenes = enumerate(self.scenes.scenes)
        return tuple(index for index, scene in scenes if not (scene.faces.scores >= SURE).any())

    def compose(self, random: np.random.Generator) -> Composed:
        """One image and its faces."""
        kind = random.choice(KINDS, p=SHARES)
        if kind in ("close-up", "copy_paste") and not self.portraits:
            kind = "scene"
        if kind == "four":
            image, faces = self._four(random)
        elif kind == "close-up":
            image, faces = self._close_up(random)
        else:
            image, faces = self._part(random, self.side)
            if kind == "copy_paste":
                image, faces = self._with_pasted(random, image, faces)
        covered = _half_covered(random, image.copy(), faces)
        return Composed(_photographed(random, covered), image, faces)

    def _part(self, random: np.random.Generator, side: int) -> Image:
        among = self.bare if self.bare and random.random() < BARE else range(len(self.scenes))
        frame, faces = self.scenes.images[among[int(random.integers(len(among)))]]
        height, width = frame.shape[:2]
        scale = side / max(height, width) * _log_even(random, LEAST_SCALE, MOST_SCALE)
        scale = min(scale, MOST_FACE * side / max(float(faces.sides.max(initial=0)), 1.0))
        if len(faces) and random.random() < 0.7:  # a part with a face in it
            box = faces.boxes[random.integers(len(faces))]
            middle = (box[:2] + box[2:]) / 2
        else:
            middle = random.uniform(0, 1, 2) * (width, height)
        mirrored = random.random() < 0.5
        before = np.array([width - middle[0] if mirrored else middle[0], middle[1]])
        # so that little of the image is border, if it were not turned
        edges = np.stack([side - scale * (np.array([width, height]) - before), scale * before])
        place = random.uniform(0, side, 2).clip(*np.sort(edges, axis=0).clip(0, side))
        return _warped(frame, faces, _matrix(random, scale, middle, place, mirrored), side, _border(random))

    def _four(self, random: np.random.Generator) -> Image:
        half = self.side // 2
        image = np.empty((self.side, self.side, 3), np.uint8)
        parts = []
        for row in (0, 1):
            for column in (0, 1):
                part, faces = self._part(random, half)
                image[row * half : (row + 1) * half, column * half : (column + 1) * half] = part
                parts.append(faces.under(np.array([[1.0, 0.0, column * half], [0.0, 1.0, row * half]])))
        return image, together(parts)

    def _close_up(self, random: np.random.Generator) -> Image:
        frame, faces = self._portrait(random)
        scale = _log_even(random, *CLOSE_UP) / float(faces.sides.max())
        box = faces.boxes[int(faces.sides.argmax())]
        place, mirrored = random.uniform(0.25, 0.75, 2) * self.side, random.random() < 0.5
        matrix = _matrix(random, scale, (box[:2] + box[2:]) / 2, place, mirrored)
        return _warped(frame, faces, matrix, self.side, _border(random))

    def _with_pasted(self, random: np.random.Generator, image: Frame, faces: BoxedFaces) -> Image:
        for _ in range(random.integers(1, MOST_PASTED + 1)):
            from_crops = bool(self.crops) and random.random() < CROPS
            frame, own = self._tinted_crop(random) if from_crops else self._portrait(random)
            box = own.boxes[0]
            side = min(_log_even(random, *PASTED), MOST_CROP if from_crops else np.inf)
            scale = side / float(own.sides.max())
            place = random.uniform(0.02, 0.98, 2) * self.side
            matrix = _matrix(random, scale, (box[:2] + box[2:]) / 2, place, random.random() < 0.5)
            copy_paste = own.under(matrix)
            if len(faces) and _shares(copy_paste.boxes[0], faces.boxes).max() > 0.1:
                continue  # beside faces, not over them
            size = (self.side, self.side)
            over: Any = cv2.warpAffine(_mask(random, frame, box), matrix, size, flags=cv2.INTER_AREA)
            over = cv2.GaussianBlur(over, (0, 0), max(0.5, side / 40))[..., None].astype(np.float32) / 255
            new: Any = cv2.warpAffine(_shrunk(frame, scale), matrix, size, flags=cv2.INTER_LINEAR)
            covered = _covered(over[..., 0], faces)
            image = np.rint(over * new + (1 - over) * image).astype(np.uint8)
            faces = together([faces.select(covered < COVERED), _inside(copy_paste, self.side)])
        return image, faces

    def _portrait(self, random: np.random.Generator) -> Image:
        return self.scenes.images[self.portraits[int(random.integers(len(self.portraits)))]]

    def _tinted_crop(self, random: np.random.Generator) -> Image:
        """A face crop in the colour of some portrait's face: in a coloured scene a grey face would give itself away."""
        crop, face = self.crops[int(random.integers(len(self.crops)))]
        frame, faces = self._portrait(random)
        left, top, right, bottom = faces.boxes[0].clip(0, None).astype(int).tolist()
        colour = frame[top:bottom, left:right].reshape(-1, 3).mean(axis=0) + 1.0
        return np.clip(crop * (colour / colour.mean()), 0, 255).astype(np.uint8), face


def _mask(random: np.random.Generator, frame: Frame, box: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """What is pasted of a portrait, 255 there: an ellipse about the face, or the whole photo, as in a collage."""
    mask = np.zeros(frame.shape[:2], np.uint8)
    centre = tuple(int(v) for v in (box[:2] + box[2:]) / 2)
    reach = (box[2:] - box[:2]) / 2 * (AROUND if random.random() < 0.7 else 1.25)
    axes = tuple(int(v) for v in np.minimum(reach, np.array(frame.shape[1::-1]) / 2))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
    if random.random() < 0.3:
        mask[:] = 255
    return mask


def _is_portrait(faces: BoxedFaces) -> bool:
    return len(faces) == 1 and bool(faces.scores[0] >= SURE) and bool(faces.sides[0] >= 60)


def _log_even(random: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def _matrix(
    random: np.random.Generator,
    scale: float,
    middle: npt.NDArray[np.floating],
    place: npt.NDArray[np.floating],
    mirrored: bool,  # noqa: FBT001 - one of five of a map
) -> Matrix:
    """The map that scales, turns and mirrors about a point and brings it to a place, (2, 3)."""
    turned = random.random() < TURNED
    angle = np.radians(random.uniform(-TURN, TURN) if turned else np.clip(random.normal(0, LEAN), -20, 20))
    aspect = np.exp(random.normal(0, 0.06))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.diag([-aspect if mirrored else aspect, 1 / aspect])
    return np.column_stack([linear, place - linear @ middle])


def _border(random: np.random.Generator) -> tuple[int, tuple[int, int, int]]:
    """How what lies outside a scene looks: black as in use, the edge drawn out, or any colour."""
    chosen = random.random()
    colour = (0, 0, 0) if chosen < 0.5 else tuple(int(v) for v in random.integers(0, 256, 3))
    return (cv2.BORDER_REPLICATE if 0.5 <= chosen < 0.8 else cv2.BORDER_CONSTANT), colour  # type: ignore[return-value]  # three numbers


def _warped(
    frame: Frame, faces: BoxedFaces, matrix: Matrix, side: int, border: tuple[int, tuple[int, int, int]]
) -> Image:
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    smooth = _shrunk(frame, scale)
    out: Any = cv2.warpAffine(
        smooth, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border[0], borderValue=border[1]
    )
    return out, _inside(faces.under(matrix), side)


def _shrunk(frame: Frame, scale: float) -> Frame:
    """The frame blurred as much as shrinking it asks for, so that no pattern comes of dropped pixels."""
    if scale >= 0.75:
        return frame
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.5 / scale * 0.8), np.uint8)


def _inside(faces: BoxedFaces, side: int) -> BoxedFaces:
    """The faces of which anything is inside; those of which little is, as doubtful."""
    if not len(faces):
        return NO_FACES
    clipped = faces.boxes.clip(0, side)
    areas = (clipped[:, 2:] - clipped[:, :2]).clip(0).prod(axis=1) / (faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(1)
    scores = np.where(areas >= SEEN, faces.scores, np.minimum(faces.scores, DOUBTFUL)).astype(np.float32)
    kept = areas > 0.1
    return BoxedFaces(faces.boxes[kept], faces.points[kept], scores[kept])


def _shares(box: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The share of each of the boxes that lies in a box."""
    shared = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(0).prod(axis=1)
    parts: npt.NDArray[np.float32] = shared / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return parts


def _covered(mask: npt.NDArray[np.float32], faces: BoxedFaces) -> npt.NDArray[np.float64]:
    """The share of each face that a mask covers, (count,)."""
    shares = []
    for left, top, right, bottom in faces.boxes.clip(0, mask.shape[0]).round().astype(int).tolist():
        part = mask[top : max(bottom, top + 1), left : max(right, left + 1)]
        shares.append(float(part.mean()) if part.size else 1.0)
    return np.array(shares, np.float64)


def _half_covered(random: np.random.Generator, image: Frame, faces: BoxedFaces) -> Frame:
    for box, side in zip(faces.boxes, faces.sides.tolist(), strict=True):
        if random.random() >= HALF_COVERED or side < SMALLEST_HALF:
            continue
        # from one edge, or the one across, up to the middle
        covered, edge, share = box.copy(), random.integers(4), random.uniform(0.5, 0.7)
        covered[edge] += share * (box[(edge + 2) % 4] - box[edge])
        left, top, right, bottom = covered.clip(0, image.shape[0]).astype(int).tolist()
        width, height = right - left, bottom - top
        if width <= 0 or height <= 0:
            continue
        if random.random() < 0.5:
            image[top:bottom, left:right] = random.integers(0, 256, 3)
        else:  # by something of the image itself
            y, x = (int(random.integers(0, image.shape[0] - length + 1)) for length in (height, width))
            image[top:bottom, left:right] = image[y : y + height, x : x + width].copy()
    return image


def _photographed(random: np.random.Generator, image: Frame) -> Frame:
    """The image as a poor camera, poor light and poor storage would have it."""
    x: Any = image
    chance = random.random(8)
    if chance[0] < 0.6:
        gain = _log_even(random, 0.2, 1.4) if chance[1] < 0.35 else _log_even(random, 0.6, 1.3)
        tint = gain * np.exp(random.normal(0, 0.08, 3))
        gamma = float(np.exp(random.normal(0, 0.2)))
        ramp = (np.arange(256) / 255.0) ** gamma
        table = np.clip(255 * ramp[:, None] * tint, 0, 255).astype(np.uint8)
        x = cv2.LUT(x, np.ascontiguousarray(table[None]))
    if chance[7] < 0.4:
        x = cv2.transform(x, _recoloured(random))
    if chance[2] < 0.15:
        x = np.repeat(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if chance[3] < 0.12:
        x = cv2.GaussianBlur(x, (0, 0), random.uniform(0.4, 2.0))
    if chance[4] < 0.10:
        part = random.uniform(0.35, 0.8)
        small = cv2.resize(x, None, fx=part, fy=part, interpolation=cv2.INTER_AREA)
        x = cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    if chance[5] < 0.12:
        noise = random.normal(0, random.uniform(2, 18), x.shape).astype(np.float32)
        x = np.clip(x + noise, 0, 255).astype(np.uint8)
    if chance[6] < 0.2:
        _, stored = cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(15, 80))])
        x = cv2.imdecode(stored, cv2.IMREAD_UNCHANGED)
    return np.ascontiguousarray(x, dtype=np.uint8)


def _recoloured(random: np.random.Generator) -> npt.NDArray[np.float64]:
    """The map of RGB that turns hues a little about grey and makes colours fuller or paler, (3, 3)."""
    grey = np.full((3, 3), 1 / 3)
    angle, fuller = np.radians(random.normal(0, 12)), random.uniform(0.4, 1.5)
    across = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3)
    turned: npt.NDArray[np.float64] = grey + fuller * (np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * across)
    return turned
