"""How many faces each detector finds, misses and makes up, and how long it takes.

    python benchmarks/detectors.py FOLDER... [--model yunet.onnx] [--labels labels.jsonl] [--sample 200] [--least 20]

Without labels: the share of pictures in which nothing was found (missed, where each shows a face), faces per
picture, and the time. With labels (a JSON object a line: "image" as path beside the labels, "faces" with "box" as
left, top, right, bottom and "score"): also the share of the sure labelled faces that was found, the boxes per
picture that lie on no labelled face, and the mean overlap of those that do. Needs the base install only.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from mien.detection import Detector, HaarDetector, YuNetDetector
from mien.faces import Box, Face
from mien.images import read

SURE = 0.7
SAME = 0.4


@dataclass(frozen=True)
class Seen:
    """One picture: what was found, what was labelled (None: nothing is known), and the milliseconds it took."""

    faces: list[Face]
    labelled: list[Face] | None
    milliseconds: float


def labelled_faces(file: Path) -> dict[Path, list[Face]]:
    """The labels of every picture that a file of labels names."""
    found = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        faces = [Face(Box(*face["box"]), None, face["score"]) for face in row["faces"]]
        found[(file.parent / row["image"]).resolve()] = faces
    return found


def measure(detector: Detector, paths: list[Path], labels: dict[Path, list[Face]]) -> list[Seen]:
    """What a detector sees in each picture."""
    seen = []
    for path in paths:
        frame = read(path)
        start = time.perf_counter()
        faces = detector.detect(frame)
        seen.append(Seen(faces, labels.get(path.resolve()), (time.perf_counter() - start) * 1000))
    return seen


def summary(seen: list[Seen], least: float) -> str:
    """One line of figures."""
    parts = [
        f"{len(seen)} pictures",
        f"nothing found in {statistics.mean(not one.faces for one in seen):.1%}",
        f"{statistics.mean(len(one.faces) for one in seen):.2f} faces a picture",
        f"median {statistics.median(one.milliseconds for one in seen):.1f} ms",
    ]
    known = [(one.faces, one.labelled) for one in seen if one.labelled is not None]
    if known:
        parts += against_labels(known, least)
    return ", ".join(parts)


def against_labels(known: list[tuple[list[Face], list[Face]]], least: float) -> list[str]:
    """Recall, false boxes and overlap; faces below ``least`` pixels or of unsure labels neither count nor harm."""
    wanted = found = false = 0
    overlaps = []
    for faces, labelled in known:
        for label in labelled:
            if label.confidence >= SURE and label.box.height >= least:
                best = max((label.box.overlap(face.box) for face in faces), default=0.0)
                wanted, found = wanted + 1, found + (best >= SAME)
                overlaps += [best] if best >= SAME else []
        large = [face for face in faces if face.box.height >= least]
        false += sum(all(face.box.overlap(label.box) < SAME for label in labelled) for face in large)
    return [
        f"recall {found / max(1, wanted):.1%} of {wanted}",
        f"{false / len(known):.3f} false a picture",
        f"overlap {statistics.mean(overlaps) if overlaps else 0:.2f}",
    ]


def main() -> None:
    """Prints a line for each folder and detector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, help="YuNet's .onnx file; without it only Haar is measured")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--sample", type=int, default=0, help="so many pictures of each folder, chosen by chance")
    parser.add_argument("--least", type=float, default=20.0, help="height in pixels of the smallest face that counts")
    asked = parser.parse_args()
    detectors: dict[str, Detector] = {"haar": HaarDetector()}
    if asked.model:
        detectors["yunet"] = YuNetDetector(asked.model, threads=1)
    labels = labelled_faces(asked.labels) if asked.labels else {}
    for folder in asked.folders:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
        if 0 < asked.sample < len(paths):
            paths = random.Random(1).sample(paths, asked.sample)
        for name, detector in detectors.items():
            print(f"{folder.name}, {name}: {summary(measure(detector, paths, labels), asked.least)}")


if __name__ == "__main__":
    main()
