"""Draws the images of docs/detector.md: what mien's own detector finds in two public-domain portraits.

Run from the root: ``python docs/images/faces_found.py``; needs scikit-image and matplotlib.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from matplotlib.cbook import get_sample_data
from skimage.data import astronaut

from mien.media.image import read, write
from mien.models.store import ModelStore
from mien.recognizer import find_detector

GREEN, RED = (60, 220, 60), (240, 40, 40)
SIDE = 480


def hopper() -> np.ndarray:
    """The portrait of Grace Hopper that comes with matplotlib, RGB."""
    with get_sample_data("grace_hopper.jpg", asfileobj=True) as file:
        return read(file.read())


def hard() -> np.ndarray:
    """Both portraits once more: turned, dark, small, and half covered."""
    left, right = (cv2.resize(one, (SIDE, SIDE)) for one in (astronaut(), hopper()[:512]))
    turned = cv2.warpAffine(left, cv2.getRotationMatrix2D((SIDE / 2, SIDE / 3), 35, 1.0), (SIDE, SIDE))
    dark = (right * 0.2).astype(np.uint8)
    covered = right.copy()
    covered[200:, :] = 90
    small = np.full((SIDE, SIDE, 3), 90, np.uint8)
    for number, side in enumerate((60, 90, 130, 180)):
        source = (left, right)[number % 2]
        at = 20 + 240 * (number // 2), 20 + 240 * (number % 2)
        small[at[0] : at[0] + side, at[1] : at[1] + side] = cv2.resize(
            source, (side, side), interpolation=cv2.INTER_AREA
        )
    return np.vstack([np.hstack([turned, dark]), np.hstack([covered, small])])


def main() -> None:
    """Writes the three images beside this file."""
    detector = find_detector("auto", ModelStore())
    for name, frame in {"astronaut": astronaut(), "hopper": hopper(), "hard": hard()}.items():
        drawn = np.ascontiguousarray(frame)
        thick = max(1, round(max(frame.shape) / 300))
        for face in detector.detect(frame):
            box = face.box
            corners = [(round(box.left), round(box.top)), (round(box.right), round(box.bottom))]
            cv2.rectangle(drawn, *corners, GREEN, thick)
            place = (corners[0][0], corners[0][1] - 4)
            cv2.putText(drawn, f"{face.confidence:.2f}", place, 0, 0.22 * thick + 0.2, GREEN, 1, cv2.LINE_AA)
            for field in ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth"):
                x, y = getattr(face.landmarks, field)
                cv2.circle(drawn, (round(x), round(y)), thick, RED, -1)
        height = round(SIDE * frame.shape[0] / frame.shape[1])
        write(
            Path(__file__).with_name(f"faces-{name}.jpg"),
            cv2.resize(drawn, (SIDE, height), interpolation=cv2.INTER_AREA),
        )


if __name__ == "__main__":
    main()
