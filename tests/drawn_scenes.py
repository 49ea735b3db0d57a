"""Images with boxed faces, drawn: what the detector's lesson is tried on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from mien.data.scenes import BoxedFaces

if TYPE_CHECKING:
    from pathlib import Path


def faces(*boxes: tuple[float, float, float, float], score: float = 0.9) -> BoxedFaces:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    inside = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
    points = rows[:, None, :2] + inside * (rows[:, None, 2:] - rows[:, None, :2])
    return BoxedFaces(rows, points, np.full(len(rows), score, np.float32))


def write_scenes(root: Path, count: int = 24) -> Path:
    """Images of discs with eyes and a mouth on noise; every fourth has none."""
    root.mkdir()
    random = np.random.default_rng(0)
    with (root / "labels.jsonl").open("w") as listing:
        for number in range(count):
            frame = random.integers(60, 120, (128, 128, 3)).astype(np.uint8)
            known = []
            if number % 4:
                x, y, side = random.integers(50, 78), random.integers(50, 78), random.integers(64, 80)
                box = [float(x - side / 2), float(y - side / 2), float(x + side / 2), float(y + side / 2)]
                drawn = faces(tuple(box))
                cv2.ellipse(frame, (int(x), int(y)), (int(side / 2), int(side / 2)), 0, 0, 360, (230, 200, 180), -1)
                for eye in drawn.points[0, :2].astype(int).tolist():
                    cv2.circle(frame, eye, 5, (20, 20, 20), -1)
                known.append({"box": box, "landmarks": drawn.points[0].ravel().tolist(), "score": 0.9})
            Image.fromarray(frame).save(root / f"{number}.png")
            listing.write(json.dumps({"image": f"{number}.png", "faces": known}) + "\n")
    return root
