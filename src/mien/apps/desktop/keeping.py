"""What is written when it is asked for: an image of what is shown, and a table of what is read."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from mien.errors import UsageError
from mien.media.files import timestamped_path
from mien.media.image import write
from mien.outputs.writers import open_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mien.outputs.writers import Writer
    from mien.structures import Frame, FrameResult


class Keeper:
    """Writes files named by the time into a folder; what goes wrong is told, not raised.

    Args:
        folder: made when the first file is written.
        say: told where a file went, or why it did not.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._open: ExitStack | None = None
        self._writer: Writer | None = None

    @property
    def recording(self) -> bool:
        """Whether a table is being written."""
        return self._writer is not None

    def keep(self, image: Frame) -> None:
        """Writes an image."""
        self._write("png", lambda path: write(path, image), "Written:")

    def begin(self, labels: Sequence[str]) -> None:
        """Begins a table, a row a face; it is there, whole, when it ends."""

        def opened(path: Path) -> None:
            stack = ExitStack()
            self._writer = stack.enter_context(open_csv(path, labels))
            self._open = stack

        self._write("csv", opened, "Recording to")

    def add(self, result: FrameResult) -> None:
        """Adds what was read in a frame, while a table is being written."""
        if self._writer is None:
            return
        try:
            self._writer.write(result)
        except (OSError, UsageError) as error:
            self._say(f"The recording ended: {error}")
            self.end()

    def end(self) -> None:
        """Ends the table, if one is being written."""
        if self._open is None:
            return
        stack, self._open, self._writer = self._open, None, None
        try:
            stack.close()
        except OSError as error:
            self._say(f"The recording can't be written ({error})")
        else:
            self._say("The recording is written")

    def _write(self, suffix: str, keep: Callable[[Path], None], words: str) -> None:
        path = timestamped_path(self._folder, f".{suffix}", "mien-")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            keep(path)
        except OSError as error:
            self._say(f"{path} can't be written ({error.strerror or error})")
        else:
            self._say(f"{words} {path}")
