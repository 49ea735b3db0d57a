"""What people see of a run while it goes on: a live line on a terminal, a line an epoch everywhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mien.apps.cli.options import say
from mien.training.run.history import Epoch, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mien.training.run.history import TrainEvent


@contextmanager
def progress_printer(epochs: int) -> Iterator[Callable[[TrainEvent], None]]:
    """What tells people on stderr of a run's news; the live line only where that is a terminal.

    Args:
        epochs: of the whole run.
    """
    with _live_line() as show:

        def tell(news: TrainEvent) -> None:
            if isinstance(news, Progress):
                show(news)
            else:
                say(epoch_line(news, epochs) if isinstance(news, Epoch) else news)

        yield tell


def epoch_line(epoch: Epoch, epochs: int) -> str:
    """A finished epoch in words."""
    scores = "".join(f"; {score.head} {score.accuracy:.4f}, macro-F1 {score.macro_f1:.4f}" for score in epoch.scores)
    return (
        f"epoch {epoch.number}/{epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}{scores}; "
        f"{epoch.images_per_second:.0f} images/s, {clock(epoch.seconds)}"
    )


def live_words(news: Progress) -> str:
    """A step in words: how it goes, how fast, and how long it will take."""
    return (
        f"loss {news.loss:.3f}  accuracy {news.accuracy:.3f}  {news.images_per_second:.0f} images/s  "
        f"{clock(news.seconds_left)} left of the epoch, {clock(news.run_seconds_left)} of the run"
    )


def clock(seconds: float) -> str:
    """A time as minutes:seconds, or hours:minutes:seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _live_line() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[words]}"))
    # rich would lead what is printed meanwhile to the bar's own stream: results belong on stdout
    with Bars(*columns, console=console, transient=True, redirect_stdout=False) as bars:
        task = bars.add_task("getting ready", total=None, words="")

        def show(news: Progress) -> None:
            words = f"epoch {news.epoch}/{news.epochs}"
            bars.update(task, description=words, total=news.steps, completed=news.step, words=live_words(news))

        yield show
