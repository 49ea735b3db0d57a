"""Who may come in: as many requests as can be answered in time; the others are told at once to come again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mien.apps.server.faults import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator


class Admission:
    """Places for requests; one is taken before a byte of a body is read.

    Args:
        places: requests that are inside at once.
        code: of the refusal where there is none left.
        words: what they are places for.
    """

    def __init__(self, places: int, code: str, words: str) -> None:
        self._places, self._code, self._words = places, code, words
        self.taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for the block.

        Raises:
            Refusal: all are taken.
        """
        if self.taken >= self._places:
            raise Refusal(
                self._code, f"expected at most {self._places} {self._words} at once; received one more. Ask again soon"
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
