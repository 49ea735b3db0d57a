"""What runs in each process of a pool: one recognizer, shard after shard."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mien.faces import FrameResult
from mien.files import write_text
from mien.recognizer import Recognizer
from mien.results import to_json_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.scale.plan import Reader

WATCHED = 1.0
"""Seconds from one look at the parent to the next."""

ENDED = "the process that read it ended without a word: the file may be made to crash what decodes it"

_RECOGNIZER: list[Recognizer] = []


def begin(reader: Reader, parent: int) -> None:
    """Makes the process ready: its recognizer, one thread, and an end when its parent is gone.

    Args:
        reader: what reads the pictures.
        parent: the number of the process that began this one, which may be gone already.
    """
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to end
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    cv2.setNumThreads(1)
    _RECOGNIZER[:] = [Recognizer.load(reader.model, reader.detector, reader.labels)]


def read_shard(pictures: Sequence[str], part: str) -> None:
    """Reads pictures and writes their lines as a whole file."""
    write_lines(list(_RECOGNIZER[0].predict_many(pictures)), Path(part))


def ended(picture: str) -> FrameResult:
    """The result of a picture that ends whatever process reads it."""
    return FrameResult(picture, error=ENDED)


def write_lines(results: Sequence[FrameResult], part: Path) -> None:
    """Writes results as JSON Lines, whole or not at all."""
    write_text(part, "".join(to_json_line(result) + "\n" for result in results))


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCHED)
    os._exit(1)
