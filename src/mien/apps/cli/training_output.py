"""What ``mien train`` tells at the end of a run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mien.apps.cli.options import printable, say

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from mien.models.card import ModelCard


def show_end(run: Path) -> None:
    """Tells on stderr what a run came to, and what can be done with it next.

    Raises:
        TrainingError: the directory holds no run.
        ModelError: its model file can't be read.
    """
    from rich.console import Console

    from mien.models.onnx_file import card_of, read_onnx
    from mien.training.run.directory import MODEL, read_run

    record = read_run(run)
    run_info, best, model = record.run_info, record.best, run / MODEL
    name = shlex.quote(str(run))
    if best:
        say(
            f"\n{run}: {run_info.network} on {run_info.data}, {len(record.history)} of {record.config.epochs} epochs "
            f"in {record.minutes:.1f} minutes; the best is epoch {best.number}"
        )
    if not model.is_file():
        say(f"No model file yet. Write it with: mien export {name}")
        return
    card = card_of(read_onnx(model))
    Console(stderr=True, markup=False, emoji=False, highlight=False).print(_scores(card))
    data = shlex.quote(run_info.source.data) if run_info.source.data else "DATA"
    say(f"Written: {model}, {model.stat().st_size / 1e6:.2f} MB. What to do next:")
    say(f"  mien evaluate --data {data} --model {name} --out {name}/report")
    say(f"  mien predict PHOTO --model {name}")
    say(f"  mien runs {shlex.quote(str(run.parent))}")


def _scores(card: ModelCard) -> Table:
    """The card's scores, a line a label set."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from mien.evaluation.metrics import wilson_interval

    shown = Table("labels", "split", box=SIMPLE_HEAD, pad_edge=False)
    for title in ("rows", "accuracy", "95 % interval", "macro-F1", "ECE"):
        shown.add_column(title, justify="right", no_wrap=True)
    for head, split in dict.fromkeys((score.head, score.split) for score in card.scores):
        found = {score.metric: score for score in card.scores if (score.head, score.split) == (head, split)}
        accuracy = found["accuracy"]
        low, high = wilson_interval(round(accuracy.value * accuracy.count), accuracy.count)
        shown.add_row(
            Text(printable(head)),
            Text(printable(split)),
            f"{accuracy.count:,}",
            f"{accuracy.value:.4f}",
            f"{low:.3f} to {high:.3f}",
            f"{found['macro_f1'].value:.4f}",
            f"{found['ece'].value:.3f}",
        )
    return shown
