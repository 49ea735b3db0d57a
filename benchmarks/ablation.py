"""What each ingredient of a config is worth: the config, and the same with one thing changed, taught and judged alike.

    KERAS_BACKEND=torch python benchmarks/ablation.py --data FER2013_FOLDER --runs runs/ablation --out docs/training.md
    KERAS_BACKEND=torch python benchmarks/ablation.py --data FER2013_FOLDER --runs runs/ablation --only flip "no EMA"

Every variant is a run of ``mien train`` in a directory of its own, so that a broken-off study goes on where it was, and
what is taught already is not taught again. Differences are paired: over the same images of PublicTest, with the
standard error of the mean difference, of all seeds together.
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

BASE = "as it is"
STILL: dict[str, Any] = {"rotate": 0.0, "scale": (1.0, 1.0), "shift": 0.0, "shear": 0.0}

VARIANTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "another seed": {"seed": 1},
    "no FER+ head": {"auxiliary_loss_weight": 0.0},
    "FER+ counts twice": {"auxiliary_loss_weight": 1.4},
    "a teacher's soft labels": {"soft_labels": "fer2013"},
    "no average of weights": {"ema_decay": 0.0},
    "label smoothing of 0.1": {"label_smoothing": 0.1},
    "no dropout": {"dropout": 0.0},
    "no weight decay": {"weight_decay": 0.0},
    "no gentle epochs": {"fine_tune_epochs": 0},
    "batch of 128": {"batch": 128, "learning_rate": 0.15},
    "AdamW": {"optimizer": "adamw", "learning_rate": 0.003, "weight_decay": 0.05},
    "float32": {"precision": "float32"},
    "no flip": {"augmentation": {"flip": 0.0}},
    "no warp": {"augmentation": STILL},
    "scale 0.75 to 1.35": {"augmentation": {"scale": (0.75, 1.35)}},
    "no light": {"augmentation": {"brightness": 0.0}},
    "no blur, shrinking, JPEG": {"augmentation": {"blur": 0.0, "shrink": 0.0, "jpeg": 0.0}},
    "no erasing": {"augmentation": {"random_erasing": 0.0}},
    "mixup on half": {"augmentation": {"mixup": 0.2, "mixup_share": 0.5}},
    "no augmentation": {"augmentation": {**STILL, "flip": 0.0, "brightness": 0.0, "blur": 0.0, "shrink": 0.0,
                                         "jpeg": 0.0, "random_erasing": 0.0, "mixup_share": 0.0}},
}  # fmt: skip


def studied(network: str, epochs: int) -> TrainingConfig:
    """A network's config for a study: as short as it says (one pass an epoch), and by the data's own labels alone."""
    config = config_for(network)
    return dataclasses.replace(config, epochs=epochs, fine_tune_epochs=epochs // 5, repeats=1, soft_labels="")


def varied(config: TrainingConfig, changes: dict[str, Any]) -> TrainingConfig:
    """The config with some choices changed."""
    changes = dict(changes)
    augmentation = dataclasses.replace(config.augmentation, **changes.pop("augmentation", {}))
    return dataclasses.replace(config, augmentation=augmentation, **changes)


def train(run: Path, config: TrainingConfig, data: Path) -> None:
    """A run of the config, where it is not done yet."""
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


def right(run: Path, split: Dataset) -> dict[str, npt.NDArray[np.float64]]:
    """For each label set, which images were read rightly, and the macro-F1 under ``HEAD F1``."""
    classifier = Classifier((run / "model.onnx").read_bytes(), 1)
    found = {}
    for head in ("fer2013", "ferplus"):
        judged = evaluate_crops(classifier, split, head)
        found[head] = (judged.probabilities.argmax(axis=1) == judged.targets).astype(np.float64)
        found[f"{head} F1"] = np.array([judged.report.metrics.macro_f1])
    return found


def difference(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> str:
    """The mean difference in points with its standard error, of images (seeds, images) that pair up."""
    apart = (one - other).mean(axis=0)
    return f"{100 * apart.mean():+.1f} ± {100 * apart.std() / np.sqrt(len(apart)):.1f}"


def main() -> None:
    """Teaches what is not taught yet, and tells."""
    asked = _arguments().parse_args()
    names = [BASE, *(asked.only or [name for name in VARIANTS if name != BASE])]
    config = studied(asked.model, asked.epochs)
    split = load_dataset(asked.data).split("PublicTest")
    asked.runs.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, npt.NDArray[np.float64]]]] = {}
    for seed in range(asked.seeds):
        for name in names:
            changed = varied(dataclasses.replace(config, seed=seed), VARIANTS[name])
            run = asked.runs / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
            train(run, changed, asked.data)
            found.setdefault(name, []).append(right(run, split))
    text = _told(found, asked)
    if asked.out:
        write_text(asked.out, fill(asked.out.read_text(encoding="utf-8"), {"ablation": text}))
    else:
        print(text)


def _told(found: dict[str, list[dict[str, npt.NDArray[np.float64]]]], asked: argparse.Namespace) -> str:
    rows = []
    stacked = {
        name: {key: np.stack([each[key] for each in seeds]) for key in seeds[0]} for name, seeds in found.items()
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
        f"`{asked.model}`, {asked.epochs} epochs, seeds: {asked.seeds}, judged on PublicTest. So "
        "short a schedule flatters whatever regularises less: it ranks, it does not decide."
    )
    return f"{table(header, rows)}\n\n{note}"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="FER2013 with FER+ votes beside it")
    add("--runs", type=Path, required=True, help="a folder for the runs")
    add("--model", default="nano")
    add("--epochs", type=int, default=12)
    add("--seeds", type=int, default=1)
    add("--only", nargs="+", choices=list(VARIANTS), help="these variants beside the config as it is")
    add("--out", type=Path, help="a page with a block 'ablation', such as docs/training.md")
    return parser


if __name__ == "__main__":
    main()
