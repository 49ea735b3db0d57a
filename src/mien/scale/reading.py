"""The process that reads pictures for another one: lists of pictures come on its stdin, their results go to stdout.

It is begun by ``apart``, and takes the reader as one line of JSON. A line comes back when it is ready, and one for each
list: the JSON Lines of its pictures, as a JSON string. It ends when its stdin does.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING

from mien.errors import PictureError
from mien.faces import FrameResult
from mien.recognizer import Recognizer
from mien.results import to_json_line
from mien.scale.plan import Reader
from mien.scale.sources import Pictures

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

READY = "ready"


def main() -> None:
    """Reads until nothing comes any more."""
    import cv2

    cv2.setNumThreads(1)
    # what a library prints must not come between the results
    with os.fdopen(os.dup(1), "w", encoding="ascii") as results:
        os.dup2(2, 1)
        asked = iter(sys.stdin.readline, "")
        reader = Reader(**json.loads(next(asked)))
        recognizer, pictures = Recognizer.load(reader.model, reader.detector, reader.labels), Pictures()
        _answer(results, READY)
        for line in asked:
            _answer(results, lines_of(_read(recognizer, pictures, reference) for reference in json.loads(line)))


def lines_of(results: Iterable[FrameResult]) -> str:
    """Results as JSON Lines."""
    return "".join(to_json_line(result) + "\n" for result in results)


def _read(recognizer: Recognizer, pictures: Pictures, reference: str) -> FrameResult:
    try:
        return dataclasses.replace(recognizer.predict(pictures.get(reference)), source=reference)
    except PictureError as error:
        return FrameResult(reference, error=str(error))


def _answer(results: TextIO, words: str) -> None:
    results.write(json.dumps(words) + "\n")
    results.flush()
