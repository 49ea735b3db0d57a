"""Snapshots and CSV recordings of the live window, written to files named by the time."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.media.files import timestamped_path
from mien.media.image import write
from mien.outputs import open_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mien.outputs import Writer
    from mien.structures import Frame, FrameResult


class Recorder:
    """Writes snapshots and recordings into a folder; errors are reported, not raised.

    Args:
        folder: created with the first file.
        notify: called with a message: where a file was written, or why it was not.
    """

    def __init__(self, folder: Path, notify: Callable[[str], None]) -> None:
        self._folder, self._notify = folder, notify
        self._open: ExitStack | None = None
        self._writer: Writer | None = None

    @property
    def recording(self) -> bool:
        """Whether a recording is running."""
        return self._writer is not None

    def snapshot(self, image: Frame) -> None:
        """Write an image as PNG."""
        self._write("png", lambda path: write(path, image), "Written:")

    def begin(self, labels: Sequence[str]) -> None:
        """Begin a CSV with a row per face and frame; the complete file appears when it ends."""

        def opened(path: Path) -> None:
            stack = ExitStack()
            self._writer = stack.enter_context(open_csv(path, labels))
            self._open = stack

        self._write("csv", opened, "Recording to")

    def add(self, result: FrameResult) -> None:
        """Add the result of a frame to a running recording."""
        if self._writer is None:
            return
        try:
            self._writer.write(result)
        except (OSError, UsageError) as error:
            self._notify(f"The recording ended: {error}")
            self.end()

    def end(self) -> None:
        """End the recording, if one is running."""
        if self._open is None:
            return
        stack, self._open, self._writer = self._open, None, None
        try:
            stack.close()
        except OSError as error:
            self._notify(f"The recording cannot be written ({error})")
        else:
            self._notify("The recording is written")

    def _write(self, suffix: str, save: Callable[[Path], None], done: str) -> None:
        path = timestamped_path(self._folder, f".{suffix}", "mien-")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save(path)
        except OSError as error:
            self._notify(f"{path} cannot be written ({error.strerror or error})")
        else:
            self._notify(f"{done} {path}")
