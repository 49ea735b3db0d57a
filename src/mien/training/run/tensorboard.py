"""A run's history as TensorBoard reads it; needs mien[tensorboard], and neither TensorFlow nor torch."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from mien.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mien.training.run.directory import Epoch


def open_log(folder: Path) -> Callable[[Epoch], None]:
    """A function that writes each epoch's figures into an event file of its own: ``tensorboard --logdir FOLDER``.

    Where a run goes on, a second file stands beside the first; epochs that are done again replace those of before.

    Args:
        folder: made if need be; a run directory will do.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise MissingExtraError("writing a log for TensorBoard", "tensorboard", "tensorboard") from error
    writer = EventFileWriter(str(folder))
    begun = False

    def write(epoch: Epoch) -> None:
        nonlocal begun
        if not begun:  # tells TensorBoard to drop this and later epochs of a file that a killed run left
            start = SessionLog(status=SessionLog.START)
            writer.add_event(Event(wall_time=time.time(), step=epoch.number, session_log=start))
            begun = True
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(epoch) if math.isfinite(value)]
        writer.add_event(Event(wall_time=time.time(), step=epoch.number, summary=Summary(value=values)))
        writer.flush()

    return write


def scalars(epoch: Epoch) -> Iterator[tuple[str, float]]:
    """The figures of an epoch and the names they go by in TensorBoard; what stands before a slash groups them."""
    yield "loss/training", epoch.loss
    for score in epoch.scores:
        yield f"loss/{score.head}", score.nll
        yield f"accuracy/{score.head}", score.accuracy
        yield f"macro_f1/{score.head}", score.macro_f1
    yield "run/learning_rate", epoch.learning_rate
    yield "run/images_per_second", epoch.images_per_second
    yield "run/seconds", epoch.seconds
