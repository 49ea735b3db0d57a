"""Recall curves of detectors as an image; needs matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.media.files import atomic_write, redirect_library_caches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mien.evaluation.detection_curves import Curve


def draw_curves(path: Path, curves: Mapping[str, Sequence[Curve]]) -> None:
    """Writes a PNG with a plot a corruption and a line a detector.

    Args:
        path: the image, written whole.
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
        for detector, found in curves.items():
            axes.plot(found[place].steps, found[place].recalls, marker="o", label=detector)
        axes.set(xlabel=name, ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        if place == 0:
            axes.set_ylabel("recall of faces of 40 px and more")
            axes.legend(loc="lower left")
    with atomic_write(path) as aside:
        FigureCanvasAgg(figure).print_figure(aside, format="png")
