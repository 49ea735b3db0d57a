"""Photos a second after loading, and the time of each stage."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from page import Section, table
from timing import Sample

from mien.classification.classifier import Classifier
from mien.classification.face_crop import crop_faces
from mien.detection import crop_rule_for
from mien.media.image import read
from mien.recognizer import Recognizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from setting import Setting

STAGES = ("decode", "detect", "crop", "classify")
SIZE_SAMPLE = 100


class Setup(NamedTuple):
    """A detector's name and the number of threads of every stage."""

    detector: str
    threads: int


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of a setup over all photos: the total seconds of each of ``STAGES``, and the faces found."""

    seconds: tuple[float, ...]
    faces: int


def photos(setting: Setting) -> Section:
    """Photos a second, by stage, detector and threads."""
    setups = [Setup(name, threads) for name in setting.detectors for threads in setting.threads]
    recognizers = {setup: _recognizer(setting, setup) for setup in setups}
    one_pass(recognizers, setting.photos[:1])
    passes = [one_pass(recognizers, setting.photos) for _ in range(setting.passes)]
    count = len(setting.photos)
    found = {setup: [done[setup] for done in passes] for setup in setups}
    shapes = [read(path).shape for path in setting.photos[:SIZE_SAMPLE]]
    size = f"{median(shape[1] for shape in shapes):.0f}x{median(shape[0] for shape in shapes):.0f}"
    header = ["detector", "threads", "faces per photo", "photos per second", *(f"{name}, ms" for name in STAGES)]
    note = (
        f"{count} photos of {size} pixels (medians), {setting.passes} sequential passes in one process; for each stage "
        "the mean time and the share."
    )
    text = [table(header, [_row(setup, done, count) for setup, done in found.items()]), note]
    figures = {
        f"{setup.detector}, {setup.threads}": [dict(zip(STAGES, each.seconds, strict=True)) for each in done]
        for setup, done in found.items()
    }
    return Section("\n\n".join(text), {"photos": count, "seconds": figures})


def one_pass(recognizers: Mapping[Setup, Recognizer], paths: Sequence[Path]) -> dict[Setup, Pass]:
    """Run every recognizer on a photo before it goes on to the next."""
    spent = {setup: np.zeros(len(STAGES)) for setup in recognizers}
    faces = dict.fromkeys(recognizers, 0)
    for path in paths:
        for setup, recognizer in recognizers.items():
            cv2.setNumThreads(setup.threads)
            found, seconds = _timed_predict(recognizer, path)
            spent[setup] += seconds
            faces[setup] += found
    return {setup: Pass(tuple(spent[setup].tolist()), faces[setup]) for setup in recognizers}


def _row(setup: Setup, passes: list[Pass], photos: int) -> list[str]:
    rate = Sample(tuple(photos / sum(done.seconds) for done in passes))
    stages = [median(done.seconds[at] for done in passes) for at in range(len(STAGES))]
    cells = [f"{1000 * seconds / photos:.2f} ({seconds / sum(stages):.0%})" for seconds in stages]
    return [setup.detector, str(setup.threads), f"{passes[0].faces / photos:.2f}", rate.text(1), *cells]


def _recognizer(setting: Setting, setup: Setup) -> Recognizer:
    classifier = Classifier(setting.store.load(setting.model), setup.threads)
    return Recognizer(setting.detector(*setup), classifier)


def _timed_predict(recognizer: Recognizer, path: Path) -> tuple[int, list[float]]:
    """``Recognizer.predict`` with a clock between its stages: the number of faces, and the seconds of each stage."""
    card = recognizer.classifier.card
    times = [time.perf_counter()]
    frame = read(path)
    times.append(time.perf_counter())
    found = recognizer.detector.detect(frame)
    times.append(time.perf_counter())
    crops = crop_faces(frame, found, crop_rule_for(recognizer.detector, card.crop), card.size, card.channels)
    times.append(time.perf_counter())
    recognizer.classifier.predict(crops)
    times.append(time.perf_counter())
    return len(found), np.diff(times).tolist()
