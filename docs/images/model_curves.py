"""Draws the curves of docs/model.md: risk-coverage curves and reliability diagrams.

Run from the root: ``python docs/images/model_curves.py FER2013_FOLDER PHOTOS``; needs matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter

from mien.classification.classifier import Classifier
from mien.data import load as load_dataset
from mien.data.folders import read_photos
from mien.detection import find_detector
from mien.evaluation.evaluate import evaluate_crops, evaluate_photos
from mien.evaluation.metrics import reliability_bins, risk_coverage
from mien.models.store import ModelStore
from mien.recognizer import Recognizer

if TYPE_CHECKING:
    from mien.evaluation.predictions import SplitPredictions

TARGET = Path(__file__).with_name("unsure.png")
HEADS = ("fer2013", "ferplus", "fused")
MIN_BIN_ROWS = 20
"""Bins and thresholds with fewer rows are not drawn."""


def curves(fer2013: Path, images: Path) -> dict[str, SplitPredictions]:
    """Predictions by their name in the legend."""
    store = ModelStore()
    classifier = Classifier(store.load("compact"))
    split = load_dataset(fer2013).split("PublicTest")
    found = {f"PublicTest, {head}": evaluate_crops(classifier, split, head) for head in HEADS}
    recognizer = Recognizer(find_detector("auto", store), classifier)
    return found | {"photos, fused": evaluate_photos(recognizer, read_photos(images), ["disgust"])}


def draw(found: dict[str, SplitPredictions]) -> None:
    """Draw both plots as one image."""
    figure, (risk, reliability) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for name, predictions in found.items():
        rows, targets = predictions.probabilities[predictions.found], predictions.targets[predictions.found]
        curve = risk_coverage(rows, targets)
        shown = curve.kept >= MIN_BIN_ROWS
        (line,) = risk.plot(curve.coverage[shown], curve.error[shown], label=name)
        at = int(np.searchsorted(curve.thresholds, predictions.unsure_below))
        if at < len(curve.kept):
            risk.plot(curve.coverage[at], curve.error[at], "o", color=line.get_color())
        bins = [bin_ for bin_ in reliability_bins(rows, targets) if bin_.count >= MIN_BIN_ROWS]
        reliability.plot([bin_.confidence for bin_ in bins], [bin_.accuracy for bin_ in bins], ".-", label=name)
    risk.set(xlabel="coverage, most confident first", ylabel="error rate", xlim=(0, 1), ylim=(0, None))
    risk.set_title("Risk-coverage: each dot is the card's threshold", fontsize=11)
    reliability.plot((0, 1), (0, 1), color="grey", linewidth=0.8, linestyle="--")
    reliability.set(xlabel="confidence", ylabel="accuracy", xlim=(0.2, 1), ylim=(0.2, 1))
    reliability.set_title("Calibration: the dashed line is ideal", fontsize=11)
    for axes in (risk, reliability):
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(alpha=0.3)
    risk.legend(frameon=False)
    figure.savefig(TARGET, dpi=90)


if __name__ == "__main__":
    draw(curves(*map(Path, sys.argv[1:3])))
