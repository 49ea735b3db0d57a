"""Draws the images of docs/detector.md: detections of mien's own detector in two public-domain portraits.

Run from the root: ``python docs/images/faces_found.py``; needs scikit-image and matplotlib.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from matplotlib.cbook import get_sample_data
from skimage.data import astronaut

from mien.detection import find_detector
from mien.media.image import read, write
from mien.models.store import ModelStore

BOX_RGB, LANDMARK_RGB = (60, 220, 60), (240, 40, 40)
IMAGE_PX = 480


def hopper() -> np.ndarray:
    """The portrait of Grace Hopper that comes with matplotlib, RGB."""
    with get_sample_data("grace_hopper.jpg", asfileobj=True) as file:
        return read(file.read())


def hard() -> np.ndarray:
    """Both portraits again: rotated, dark, small, and half occluded."""
    left, right = (cv2.resize(portrait, (IMAGE_PX, IMAGE_PX)) for portrait in (astronaut(), hopper()[:512]))
    rotated = cv2.warpAffine(left, cv2.getRotationMatrix2D((IMAGE_PX / 2, IMAGE_PX / 3), 35, 1.0), (IMAGE_PX, IMAGE_PX))
    dark = (right * 0.2).astype(np.uint8)
    occluded = right.copy()
    occluded[200:, :] = 90
    small = np.full((IMAGE_PX, IMAGE_PX, 3), 90, np.uint8)
    for number, side in enumerate((60, 90, 130, 180)):
        source = (left, right)[number % 2]
        at = 20 + 240 * (number // 2), 20 + 240 * (number % 2)
        small[at[0] : at[0] + side, at[1] : at[1] + side] = cv2.resize(
            source, (side, side), interpolation=cv2.INTER_AREA
        )
    return np.vstack([np.hstack([rotated, dark]), np.hstack([occluded, small])])


def main() -> None:
    """Write the three images next to this file."""
    detector = find_detector("auto", ModelStore())
    for name, frame in {"astronaut": astronaut(), "hopper": hopper(), "hard": hard()}.items():
        drawn = np.ascontiguousarray(frame)
        thick = max(1, round(max(frame.shape) / 300))
        for face in detector.detect(frame):
            box = face.box
            corners = [(round(box.left), round(box.top)), (round(box.right), round(box.bottom))]
            cv2.rectangle(drawn, *corners, BOX_RGB, thick)
            place = (corners[0][0], corners[0][1] - 4)
            cv2.putText(drawn, f"{face.confidence:.2f}", place, 0, 0.22 * thick + 0.2, BOX_RGB, 1, cv2.LINE_AA)
            for field in ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth"):
                x, y = getattr(face.landmarks, field)
                cv2.circle(drawn, (round(x), round(y)), thick, LANDMARK_RGB, -1)
        height = round(IMAGE_PX * frame.shape[0] / frame.shape[1])
        write(
            Path(__file__).with_name(f"faces-{name}.jpg"),
            cv2.resize(drawn, (IMAGE_PX, height), interpolation=cv2.INTER_AREA),
        )


if __name__ == "__main__":
    main()
