"""Ablation study of a training config: the baseline, and variants with one change each.

    KERAS_BACKEND=torch python benchmarks/ablation.py --data FER2013_FOLDER --runs runs/ablation --out docs/training.md
    KERAS_BACKEND=torch python benchmarks/ablation.py --data FER2013_FOLDER --runs runs/ablation --only "no flip" AdamW

Every variant is a run of ``mien train`` in a directory of its own, so an interrupted study continues where it was, and
finished runs are reused. Differences are paired over the images of PublicTest, with the standard error of the mean
difference, over all seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from page import fill, table

from mien.classification.classifier import Classifier
from mien.data import Dataset
from mien.data import load as load_dataset
from mien.evaluation.evaluate import evaluate_crops
from mien.media.files import write_text
from mien.training.config import TrainingConfig, config_for

if TYPE_CHECKING:
    import numpy.typing as npt

BASE = "baseline"
NO_WARP: dict[str, Any] = {"rotate": 0.0, "scale": (1.0, 1.0), "shift": 0.0, "shear": 0.0}

VARIANTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "another seed": {"seed": 1},
    "no FER+ head": {"auxiliary_loss_weight": 0.0},
    "FER+ loss weight doubled": {"auxiliary_loss_weight": 1.4},
    "a teacher's soft labels": {"soft_labels": "fer2013"},
    "no weight averaging": {"ema_decay": 0.0},
    "label smoothing of 0.1": {"label_smoothing": 0.1},
    "no dropout": {"dropout": 0.0},
    "no weight decay": {"weight_decay": 0.0},
    "no fine-tune phase": {"fine_tune_epochs": 0},
    "batch of 128": {"batch": 128, "learning_rate": 0.15},
    "AdamW": {"optimizer": "adamw", "learning_rate": 0.003, "weight_decay": 0.05},
    "float32": {"precision": "float32"},
    "no flip": {"augmentation": {"flip": 0.0}},
    "no geometric augmentation": {"augmentation": NO_WARP},
    "scale 0.75 to 1.35": {"augmentation": {"scale": (0.75, 1.35)}},
    "no brightness": {"augmentation": {"brightness": 0.0}},
    "no blur, downscaling, JPEG": {"augmentation": {"blur": 0.0, "shrink": 0.0, "jpeg": 0.0}},
    "no random erasing": {"augmentation": {"random_erasing": 0.0}},
    "mixup in half the batches": {"augmentation": {"mixup": 0.2, "mixup_share": 0.5}},
    "no augmentation": {"augmentation": {**NO_WARP, "flip": 0.0, "brightness": 0.0, "blur": 0.0, "shrink": 0.0,
                                         "jpeg": 0.0, "random_erasing": 0.0, "mixup_share": 0.0}},
}  # fmt: skip


def studied(network: str, epochs: int) -> TrainingConfig:
    """A network's config for a study: this many epochs of one pass each, without soft labels."""
    config = config_for(network)
    return dataclasses.replace(config, epochs=epochs, fine_tune_epochs=epochs // 5, repeats=1, soft_labels="")


def varied(config: TrainingConfig, changes: dict[str, Any]) -> TrainingConfig:
    """The config with some settings changed."""
    changes = dict(changes)
    augmentation = dataclasses.replace(config.augmentation, **changes.pop("augmentation", {}))
    return dataclasses.replace(config, augmentation=augmentation, **changes)


def train(run: Path, config: TrainingConfig, data: Path) -> None:
    """Train with the config, unless that run is finished."""
    if (run / "model.onnx").is_file():
        return
    command = [sys.executable, "-m", "mien", "train", "--out", str(run)]
    if (run / "run.json").is_file():
        command.append("--resume")
    else:
        path = run.with_suffix(".toml")
        write_text(path, config.to_toml())
        command += ["--data", str(data), "--config", str(path)]
    subprocess.run(command, check=True)


def correct_predictions(run: Path, split: Dataset) -> dict[str, npt.NDArray[np.float64]]:
    """For each head, which images were predicted correctly, and the macro-F1 under ``HEAD F1``."""
    classifier = Classifier((run / "model.onnx").read_bytes(), 1)
    correct: dict[str, npt.NDArray[np.float64]] = {}
    for head in ("fer2013", "ferplus"):
        result = evaluate_crops(classifier, split, head)
        correct[head] = (result.probabilities.argmax(axis=1) == result.targets).astype(np.float64)
        correct[f"{head} F1"] = np.array([result.report.metrics.macro_f1])
    return correct


def difference(variant: npt.NDArray[np.float64], baseline: npt.NDArray[np.float64]) -> str:
    """The mean paired difference in points with its standard error, of arrays (seeds, images)."""
    differences = (variant - baseline).mean(axis=0)
    error = differences.std() / np.sqrt(len(differences))
    return f"{100 * differences.mean():+.1f} ± {100 * error:.1f}"


def main() -> None:
    """Train the variants that are missing, and print or write the table."""
    arguments = _arguments().parse_args()
    names = [BASE, *(arguments.only or [name for name in VARIANTS if name != BASE])]
    config = studied(arguments.arch, arguments.epochs)
    split = load_dataset(arguments.data).split("PublicTest")
    arguments.runs.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[dict[str, npt.NDArray[np.float64]]]] = {}
    for seed in range(arguments.seeds):
        for name in names:
            changed = varied(dataclasses.replace(config, seed=seed), VARIANTS[name])
            run = arguments.runs / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
            train(run, changed, arguments.data)
            results.setdefault(name, []).append(correct_predictions(run, split))
    text = _table(results, arguments)
    if arguments.out:
        write_text(arguments.out, fill(arguments.out.read_text(encoding="utf-8"), {"ablation": text}))
    else:
        print(text)


def _table(results: dict[str, list[dict[str, npt.NDArray[np.float64]]]], arguments: argparse.Namespace) -> str:
    rows = []
    stacked = {
        name: {key: np.stack([each[key] for each in seeds]) for key in seeds[0]} for name, seeds in results.items()
    }
    for name, figures in stacked.items():
        cells = [name]
        for head in ("fer2013", "ferplus"):
            cells.append(f"{figures[head].mean():.3f}")
            cells.append("" if name == BASE else difference(figures[head], stacked[BASE][head]))
        cells.append(f"{figures['fer2013 F1'].mean():.3f}")
        rows.append(cells)
    header = ["config", "FER2013", "points", "FER+", "points", "macro-F1, FER2013"]
    note = (
        f"`{arguments.arch}`, {arguments.epochs} epochs, seeds: {arguments.seeds}, evaluated on PublicTest. So "
        "short a schedule favours less regularisation: it ranks, it does not decide."
    )
    return f"{table(header, rows)}\n\n{note}"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="FER2013 with FER+ votes")
    add("--runs", type=Path, required=True, help="a folder for the runs")
    add("--arch", default="nano")
    add("--epochs", type=int, default=12)
    add("--seeds", type=int, default=1)
    add("--only", nargs="+", choices=list(VARIANTS), help="these variants and the baseline")
    add("--out", type=Path, help="a page with a block 'ablation', such as docs/training.md")
    return parser


if __name__ == "__main__":
    main()
