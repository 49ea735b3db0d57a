"""Faithfulness of ``mien explain``: the drop in probability when the top fifth of the attribution map is hidden.

Run from the root: ``python benchmarks/explaining.py --photos DIR``. For the prediction of the largest face in each
photo it prints the mean drop in probability when 20 % of the face crop are hidden: the pixels of highest occlusion
attribution; random pixels; random patches; and the pixels nearest the centre, where a face has most of its features.
Hidden pixels are filled in three ways: blurred, as occlusion itself hides them; inpainted (Telea 2004); and the mean
grey of the face crop. The attribution method does not use the last two.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from setting import PHOTOS

from mien.classification.face_crop import crop
from mien.detection import find_detector
from mien.explain import Occlusion
from mien.explain.faithfulness import blend, blurred, centre_first, top_pixels
from mien.explain.overlay import OUTLINED_SHARE
from mien.media.folders import find_files
from mien.media.image import read
from mien.models.store import ModelStore
from mien.recognizer import Recognizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from mien.structures import Crops

    Mask = npt.NDArray[np.bool_]

TUNING_PHOTOS = slice(3, None, 55)
"""The photos, by sorted name, that the smoothness of the maps was tuned on: excluded here."""

RANDOM_ORDERS = 8
"""Random orders per face whose mean is taken."""

PATCH_SIGMA = 4.0
"""Standard deviation in pixels of the blurred noise whose highest values are the random patches."""

ORDERS = ("attribution", "random pixels", "random patches", "centre first")
FILLS = ("blurred", "inpainted", "grey")


@dataclass(frozen=True)
class Face:
    """A face crop, uint8 (size, size, channels), and the index of its predicted label."""

    face_crop: Crops
    label: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--model", default="compact")
    arguments = parser.parse_args()
    store = ModelStore()
    occlusion = Occlusion(store.load(arguments.model), threads=1)
    recognizer = Recognizer(find_detector("auto", store), occlusion.classifier)
    photos = selected(arguments.photos, arguments.count)
    drops = np.array([drop(occlusion, face) for face in logged(faces(recognizer, photos), every=20)])
    print(f"mean drop in probability in {len(drops)} faces, {OUTLINED_SHARE:.0%} of each hidden (standard error)")
    print(f"{'hidden':16}" + "".join(f"{name:>18}" for name in FILLS))
    for name, values in zip(ORDERS, np.moveaxis(drops, 1, 0), strict=True):
        cells = (f"{mean:.3f} ({error:.3f})" for mean, error in zip(*summary(values), strict=True))
        print(f"{name:16}" + "".join(f"{cell:>18}" for cell in cells))
    larger = (drops[:, :1] > drops[:, 1:]).mean(axis=0)
    for name, shares in zip(ORDERS[1:], larger, strict=True):
        print(f"larger drop than {name}: " + ", ".join(f"{share:.0%}" for share in shares))


def logged(every_face: Iterator[Face], every: int) -> Iterator[Face]:
    """Pass the faces through and log their number to stderr."""
    for number, face in enumerate(every_face):
        if number % every == 0:
            print(f"{number} faces", file=sys.stderr, flush=True)
        yield face


def selected(folder: Path, count: int) -> list[Path]:
    """Photos of a folder, evenly spaced by name, without those that were used for tuning."""
    photos = list(find_files([folder], ["image"]))
    excluded = set(photos[TUNING_PHOTOS])
    rest = [photo for photo in photos if photo not in excluded]
    indices = np.unique(np.linspace(0, len(rest) - 1, min(count, len(rest))).round().astype(int))
    return [rest[index] for index in indices]


def faces(recognizer: Recognizer, photos: list[Path]) -> Iterator[Face]:
    """The largest face of each photo that has one."""
    card = recognizer.classifier.card
    for photo in photos:
        frame = read(photo)
        for prediction in recognizer.predict(frame).predictions[:1]:
            face_crop = crop(frame, prediction.face, card.crop, card.size, card.channels)
            yield Face(face_crop, recognizer.labels.index(prediction.emotion))


def drop(occlusion: Occlusion, face: Face) -> npt.NDArray[np.float64]:
    """The drop in probability of the predicted label when pixels are hidden: (orders, fills)."""
    size, rng = len(face.face_crop), np.random.default_rng(0)
    noise = [rng.random((size, size), np.float32) for _ in range(RANDOM_ORDERS)]
    orders = {
        "attribution": [occlusion.attribute(face.face_crop, face.label)],
        "random pixels": noise,
        "random patches": [np.asarray(cv2.GaussianBlur(order, (0, 0), PATCH_SIGMA)) for order in noise],
        "centre first": [centre_first(size)],
    }
    original = occlusion.classifier.predict(face.face_crop[None])[0, face.label]
    drops = []
    for name in ORDERS:
        crops = [
            masked for order in orders[name] for masked in hidden(face.face_crop, top_pixels(order, OUTLINED_SHARE))
        ]
        left = occlusion.classifier.predict(np.stack(crops))[:, face.label].reshape(-1, len(FILLS))
        drops.append(original - left.mean(axis=0))
    return np.array(drops, np.float64)


def hidden(face_crop: Crops, mask: Mask) -> list[Crops]:
    """The face crop with the masked pixels filled in each way of ``FILLS``."""
    inpainted = cv2.inpaint(face_crop, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA).reshape(face_crop.shape)
    grey = np.broadcast_to(np.rint(face_crop.mean(axis=(0, 1))).astype(np.uint8), face_crop.shape)
    return [blend(face_crop, other, mask) for other in (blurred(face_crop), inpainted, grey)]


def summary(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard error of each column."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


if __name__ == "__main__":
    main()
