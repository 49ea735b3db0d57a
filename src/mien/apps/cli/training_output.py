"""What ``mien train`` prints: progress during a run, scores and next steps at its end."""

from __future__ import annotations

import shlex
import time
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mien.apps.cli.options import say
from mien.errors import MissingExtraError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.table import Table

    from mien.models.card import DetectorCard, ModelCard
    from mien.training.run.history import Epoch, Progress, TrainEvent

REDRAW_SECONDS = 10.0
"""The curves are redrawn at most this often during a run, and at its end."""

SHOWN_METRICS = ("accuracy", "macro_f1", "ece")


@contextmanager
def progress_printer(epochs: int) -> Iterator[Callable[[TrainEvent], None]]:
    """A function that prints the events of a run on stderr; a progress bar only where that is a terminal.

    Args:
        epochs: of the whole run.
    """
    from mien.training.run.history import Epoch, Progress

    with _progress_bar() as show:

        def report(event: TrainEvent) -> None:
            if isinstance(event, Progress):
                show(event)
            else:
                say(epoch_line(event, epochs) if isinstance(event, Epoch) else event)

        yield report


def epoch_line(epoch: Epoch, epochs: int) -> str:
    """The line that is printed for a finished epoch."""
    scores = "".join(f"; {score.head} {score.accuracy:.4f}, macro-F1 {score.macro_f1:.4f}" for score in epoch.scores)
    return (
        f"epoch {epoch.number}/{epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}{scores}; "
        f"{epoch.images_per_second:.0f} images/s, {clock(epoch.seconds)}"
    )


def step_line(progress: Progress) -> str:
    """The text next to the progress bar."""
    return (
        f"loss {progress.loss:.3f}  accuracy {progress.accuracy:.3f}  {progress.images_per_second:.0f} images/s  "
        f"{clock(progress.seconds_left)} left of the epoch, {clock(progress.run_seconds_left)} of the run"
    )


def clock(seconds: float) -> str:
    """A duration as minutes:seconds, or hours:minutes:seconds.

    >>> clock(61)
    '1:01'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[line]}"))
    # rich would redirect what is printed meanwhile to the bar's own stream: results belong on stdout
    with Bars(*columns, console=console, transient=True, redirect_stdout=False) as bars:
        task = bars.add_task("preparing", total=None, line="")

        def show(progress: Progress) -> None:
            title = f"epoch {progress.epoch}/{progress.epochs}"
            bars.update(
                task, description=title, total=progress.steps, completed=progress.step, line=step_line(progress)
            )

        yield show


def run_logger(out: Path, *, tensorboard: bool) -> Callable[[TrainEvent], None]:
    """A function that redraws the curves as epochs end, and writes TensorBoard's log if requested.

    Raises:
        MissingExtraError: TensorBoard is requested but not installed.
    """
    if tensorboard and find_spec("tensorboard") is None:
        raise MissingExtraError("writing a log for TensorBoard", "tensorboard", "tensorboard")
    from mien.training.run.history import Epoch

    drawn = -REDRAW_SECONDS
    write: Callable[[Epoch], None] | None = None

    def log(event: TrainEvent) -> None:
        nonlocal drawn, write
        if not isinstance(event, Epoch):
            return
        if tensorboard:
            write = write or _tensorboard_writer(out)
            write(event)
        if time.monotonic() - drawn > REDRAW_SECONDS:
            draw_curves(out)
            drawn = time.monotonic()

    return log


def _tensorboard_writer(out: Path) -> Callable[[Epoch], None]:
    from mien.training.run.plots import open_log

    return open_log(out)


def draw_curves(out: Path) -> None:
    """Draw RUN/curves.png if matplotlib is installed and an epoch is done; an error is only printed."""
    from mien.training.run.directory import CURVES
    from mien.training.run.history import read_history

    history = read_history(out)
    if not history or find_spec("matplotlib") is None:
        return
    from mien.training.run.plots import draw_curves as draw

    try:
        draw(out / CURVES, history)
    except Exception as error:  # noqa: BLE001 - an image is no reason to end a run
        say(f"the curves could not be drawn ({error})")


def say_written(card: ModelCard | DetectorCard, path: Path) -> None:
    """Print the scores in a model's card, and where the file is, on stderr."""
    from mien.models.card import DetectorCard

    is_detector = isinstance(card, DetectorCard)
    for score in card.scores:
        if is_detector or score.metric in SHOWN_METRICS:
            say(f"{score.split} {score.head}: {score.metric} {score.value:.4f} of {score.count}")
    if isinstance(card, DetectorCard):
        say(f"score threshold of a face: {card.score}")
    say(f"written: {path}")


def show_summary(run: Path) -> None:
    """Print the result of a run and what to do next on stderr.

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
            f"in {record.minutes:.1f} minutes; best epoch: {best.number}"
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
    """The scores in a card, a row per head and split."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from mien.evaluation.metrics import wilson_interval

    shown = Table("head", "split", box=SIMPLE_HEAD, pad_edge=False)
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
