"""Whether the answer hangs on what mien explain marks: the marked fifth of each face is hidden, and others of its size.

Run from the root: ``python benchmarks/explaining.py --photos DIR``. For the answer of each photo's largest face it
tells by how much its probability falls, on average, when these 20 % of the face crop are hidden: those that occlusion
marks; pixels at random; patches at random; and those nearest the middle, where faces have most to read. What is hidden
is filled in three ways: blurred, as the explanation itself hides it; painted in from around (Telea 2004); and with the
face crop's mean grey. The last two are no ways that the explanation knows of.
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
from mien.explain import Occlusion
from mien.explain.deletion import centre_first, foremost
from mien.explain.occlusion import blurred, mixed
from mien.explain.overlay import MARKED
from mien.media.image import find_images, read
from mien.models.store import ModelStore
from mien.recognizer import Recognizer, find_detector

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from mien.structures import Crops

    Mask = npt.NDArray[np.bool_]

CHOSEN = slice(3, None, 55)
"""Of all photos by name, those that the smoothness of the maps was chosen on: left out here."""

DICE = 8
"""Random choices a face, of which the mean is taken."""

BLOB = 4.0
"""Standard deviation in pixels of the noise whose highest places are the random patches."""

ORDERS = ("marked", "random pixels", "random patches", "centre first")
FILLS = ("blurred", "painted in", "grey")


@dataclass(frozen=True)
class Face:
    """A face crop, uint8 (size, size, channels), and the place of its answer."""

    face_crop: Crops
    label: int


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--model", default="compact")
    asked = parser.parse_args()
    store = ModelStore()
    occlusion = Occlusion(store.load(asked.model), threads=1)
    recognizer = Recognizer(find_detector("auto", store), occlusion.classifier)
    falls = np.array(
        [fall(occlusion, face) for face in told(faces(recognizer, chosen(asked.photos, asked.count)), every=20)]
    )
    print(f"mean fall of the answer's probability in {len(falls)} faces, {MARKED:.0%} of each hidden (standard error)")
    print(f"{'hidden':16}" + "".join(f"{name:>18}" for name in FILLS))
    for name, values in zip(ORDERS, np.moveaxis(falls, 1, 0), strict=True):
        cells = (f"{mean:.3f} ({error:.3f})" for mean, error in zip(*summary(values), strict=True))
        print(f"{name:16}" + "".join(f"{one:>18}" for one in cells))
    prefetch = (falls[:, :1] > falls[:, 1:]).mean(axis=0)
    for name, shares in zip(ORDERS[1:], prefetch, strict=True):
        print(f"marked ahead of {name}: " + ", ".join(f"{share:.0%}" for share in shares))


def told(every_face: Iterator[Face], every: int) -> Iterator[Face]:
    """The faces; how many are done is told on stderr now and then."""
    for number, face in enumerate(every_face):
        if number % every == 0:
            print(f"{number} faces", file=sys.stderr, flush=True)
        yield face


def chosen(folder: Path, count: int) -> list[Path]:
    """So many photos of a folder, evenly over their names, without those that a choice was made on."""
    photos = list(find_images([folder]))
    left_out = set(photos[CHOSEN])
    rest = [photo for photo in photos if photo not in left_out]
    places = np.unique(np.linspace(0, len(rest) - 1, min(count, len(rest))).round().astype(int))
    return [rest[place] for place in places]


def faces(recognizer: Recognizer, photos: list[Path]) -> Iterator[Face]:
    """The largest face of each photo that has one."""
    card = recognizer.classifier.card
    for photo in photos:
        frame = read(photo)
        for one in recognizer.predict(frame).predictions[:1]:
            face_crop = crop(frame, one.face, card.crop, card.size, card.channels)
            yield Face(face_crop, recognizer.labels.index(one.emotion))


def fall(occlusion: Occlusion, face: Face) -> npt.NDArray[np.float64]:
    """By how much hiding takes the probability of the answer down: (orders, fills)."""
    size, dice = len(face.face_crop), np.random.default_rng(0)
    noise = [dice.random((size, size), np.float32) for _ in range(DICE)]
    orders = {
        "marked": [occlusion.heat(face.face_crop, face.label)],
        "random pixels": noise,
        "random patches": [np.asarray(cv2.GaussianBlur(one, (0, 0), BLOB)) for one in noise],
        "centre first": [centre_first(size)],
    }
    whole = occlusion.classifier.predict(face.face_crop[None])[0, face.label]
    falls = []
    for name in ORDERS:
        crops = [one for order in orders[name] for one in hidden(face.face_crop, foremost(order, MARKED))]
        left = occlusion.classifier.predict(np.stack(crops))[:, face.label].reshape(-1, len(FILLS))
        falls.append(whole - left.mean(axis=0))
    return np.array(falls, np.float64)


def hidden(face_crop: Crops, mask: Mask) -> list[Crops]:
    """The face crop with the places of a mask hidden in each of the ways of ``FILLS``."""
    painted = cv2.inpaint(face_crop, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA).reshape(face_crop.shape)
    grey = np.broadcast_to(np.rint(face_crop.mean(axis=(0, 1))).astype(np.uint8), face_crop.shape)
    return [mixed(face_crop, other, mask) for other in (blurred(face_crop), painted, grey)]


def summary(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard error of each column."""
    return values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))


if __name__ == "__main__":
    main()
