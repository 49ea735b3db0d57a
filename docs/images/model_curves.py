"""Draws the curves of docs/model.md: what withholding unsure answers buys, and what probabilities are worth.

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
from mien.data import folders
from mien.data import load as load_dataset
from mien.evaluation.evaluate import evaluate_crops, evaluate_photos
from mien.evaluation.metrics import reliability_bins, risk_coverage
from mien.models.store import ModelStore
from mien.recognizer import Recognizer, find_detector

if TYPE_CHECKING:
    from mien.evaluation.predictions import SplitPredictions

TARGET = Path(__file__).with_name("unsure.png")
LABEL_SETS = ("fer2013", "ferplus", "fused")
FEW = 20
"""A bin with fewer rows says nothing."""


def curves(fer2013: Path, images: Path) -> dict[str, SplitPredictions]:
    """What was answered, by what it is called in the image."""
    store = ModelStore()
    classifier = Classifier(store.load("compact"))
    split = load_dataset(fer2013).split("PublicTest")
    found = {f"PublicTest, {labels}": evaluate_crops(classifier, split, labels) for labels in LABEL_SETS}
    recognizer = Recognizer(find_detector("auto", store), classifier)
    return found | {"photos, answer": evaluate_photos(recognizer, folders.read_photos(images), ["disgust"])}


def draw(found: dict[str, SplitPredictions]) -> None:
    """Both plots, as an image."""
    figure, (risk, trust) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for name, judged in found.items():
        rows, truth = judged.probabilities[judged.found], judged.targets[judged.found]
        curve = risk_coverage(rows, truth)
        shown = curve.kept >= FEW
        (line,) = risk.plot(curve.coverage[shown], curve.error[shown], label=name)
        at = int(np.searchsorted(curve.thresholds, judged.unsure_below))
        if at < len(curve.kept):
            risk.plot(curve.coverage[at], curve.error[at], "o", color=line.get_color())
        bins = [one for one in reliability_bins(rows, truth) if one.count >= FEW]
        trust.plot([one.confidence for one in bins], [one.accuracy for one in bins], ".-", label=name)
    risk.set(xlabel="faces answered, the surest first", ylabel="answers that are wrong", xlim=(0, 1), ylim=(0, None))
    risk.set_title("Unsure: each dot is the card's threshold", fontsize=11)
    trust.plot((0, 1), (0, 1), color="grey", linewidth=0.8, linestyle="--")
    trust.set(xlabel="probability told", ylabel="answers that are right", xlim=(0.2, 1), ylim=(0.2, 1))
    trust.set_title("Calibration: the dashed line is as told", fontsize=11)
    for axes in (risk, trust):
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(alpha=0.3)
    risk.legend(frameon=False)
    figure.savefig(TARGET, dpi=90)


if __name__ == "__main__":
    draw(curves(*map(Path, sys.argv[1:3])))
