"""Recall of detectors under rotation, darkness and occlusion: recall curves and their plot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

from mien.evaluation.detection_metrics import as_detections, match_faces, total
from mien.media.files import atomic_write, redirect_library_caches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mien.data.scenes import BoxedFaces
    from mien.detection import Detector
    from mien.structures import Frame

    Image = tuple[Frame, BoxedFaces]

MIN_FACE_PX = 40.0
"""Longer side in pixels from which faces count."""

ROTATION_DEGREES = (0.0, 10.0, 20.0, 30.0, 40.0)
BRIGHTNESS_FACTORS = (1.0, 0.8, 0.6, 0.4, 0.3, 0.2)
OCCLUDED_HALVES = ("none", "right", "left", "upper", "lower")
OCCLUSION_GREY = 128


@dataclass(frozen=True)
class RecallCurve:
    """Recall at each severity of one corruption.

    Attributes:
        name: of the corruption.
        steps: its severities, as axis labels.
        recalls: the share of certain faces found, for each step.
    """

    name: str
    steps: tuple[str, ...]
    recalls: tuple[float, ...]


def recall_curves(detector: Detector, images: Sequence[Image]) -> tuple[RecallCurve, ...]:
    """Recall of faces of ``MIN_FACE_PX`` pixels and more over rotation, brightness and half-face occlusion.

    Args:
        detector: any detector.
        images: RGB images with their labelled faces.
    """
    rotations = {f"{degrees:g}": _rotation(degrees) for degrees in ROTATION_DEGREES}
    dimmed = {f"{factor:g}": _dimming(factor) for factor in BRIGHTNESS_FACTORS}
    occlusions = {half: _occlusion(half) for half in OCCLUDED_HALVES}
    return (
        _curve(detector, images, "rotation, degrees", rotations),
        _curve(detector, images, "brightness", dimmed),
        _curve(detector, images, "occluded half", occlusions),
    )


def plot_recall_curves(path: Path, curves: Mapping[str, Sequence[RecallCurve]]) -> None:
    """Write a PNG with one plot for each corruption and one line for each detector; needs matplotlib.

    Args:
        path: the image, written whole or not at all.
        curves: of each detector by name, all of the same corruptions.
    """
    redirect_library_caches()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    corruptions = [curve.name for curve in next(iter(curves.values()))]
    figure = Figure(figsize=(4.2 * len(corruptions), 3.4), layout="constrained")
    for place, (axes, name) in enumerate(
        zip(figure.subplots(1, len(corruptions), sharey=True), corruptions, strict=True)
    ):
        for detector, measured in curves.items():
            axes.plot(measured[place].steps, measured[place].recalls, marker="o", label=detector)
        axes.set(xlabel=name, ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        if place == 0:
            axes.set_ylabel("recall of faces of 40 px and more")
            axes.legend(loc="lower left")
    with atomic_write(path) as partial:
        FigureCanvasAgg(figure).print_figure(partial, format="png")


def _curve(
    detector: Detector,
    images: Sequence[Image],
    name: str,
    corruptions: dict[str, Callable[[Frame, BoxedFaces], Image]],
) -> RecallCurve:
    recalls = []
    for corrupt in corruptions.values():
        corrupted = (corrupt(frame, faces) for frame, faces in images)
        parts = [match_faces(as_detections(detector.detect(frame)), faces, MIN_FACE_PX) for frame, faces in corrupted]
        recalls.append(total(parts).recall)
    return RecallCurve(name, tuple(corruptions), tuple(recalls))


def _rotation(degrees: float) -> Callable[[Frame, BoxedFaces], Image]:
    def rotated(frame: Frame, faces: BoxedFaces) -> Image:
        """About the centre, on a canvas that holds the whole image."""
        middle = np.array(frame.shape[1::-1]) / 2
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn = np.array([[cosine, sine], [-sine, cosine]])
        new_middle = np.abs(turn) @ middle
        size = (round(2 * float(new_middle[0])), round(2 * float(new_middle[1])))
        back = np.column_stack([turn.T, middle - turn.T @ new_middle])
        image = Pillow.fromarray(frame).transform(
            size, Pillow.Transform.AFFINE, back.ravel().tolist(), Pillow.Resampling.BILINEAR
        )
        return np.asarray(image), faces.transformed(np.column_stack([turn, new_middle - turn @ middle]))

    return rotated


def _dimming(factor: float) -> Callable[[Frame, BoxedFaces], Image]:
    return lambda frame, faces: (np.rint(frame * factor).astype(np.uint8), faces)


def _occlusion(half: str) -> Callable[[Frame, BoxedFaces], Image]:
    edge = {"right": 0, "upper": 1, "left": 2, "lower": 3}.get(half)

    def occluded(frame: Frame, faces: BoxedFaces) -> Image:
        """Grey over one half of every face; right and left are the subject's."""
        if edge is None:
            return frame, faces
        out = frame.copy()
        for box in faces.boxes:
            part = box.copy()
            part[(edge + 2) % 4] = (box[edge] + box[(edge + 2) % 4]) / 2
            left, top, right, bottom = part.clip(0).round().astype(int).tolist()
            out[top:bottom, left:right] = OCCLUSION_GREY
        return out, faces

    return occluded
