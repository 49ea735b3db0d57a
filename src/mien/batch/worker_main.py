"""The process that reads images for another one: lists of images come on its stdin, their results go to stdout.

It is begun by ``apart``, and told the reader first. A message comes back when it is ready, and one for each list: the
JSON Lines of its images. It ends when its stdin does.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mien.batch.plan import Reader
from mien.batch.sources import Images
from mien.errors import ImageError
from mien.outputs import to_json_line
from mien.recognizer import Recognizer
from mien.structures import FrameResult
from mien.workers import protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

READY = "ready"


def main() -> None:
    """Reads until nothing comes any more."""
    import cv2

    cv2.setNumThreads(1)
    with protocol.pipes() as pipes:
        asked = protocol.all_of(pipes.asked)
        first = next(asked, None)
        if first is None:
            return
        reader = Reader(**first.said)
        recognizer, images = Recognizer.load(reader.model, reader.detector, reader.labels), Images()
        protocol.put(pipes.answers, READY)
        for message in asked:
            lines = lines_of(_read(recognizer, images, reference) for reference in message.said)
            protocol.put(pipes.answers, None, lines.encode())


def lines_of(results: Iterable[FrameResult]) -> str:
    """Results as JSON Lines."""
    return "".join(to_json_line(result) + "\n" for result in results)


def _read(recognizer: Recognizer, images: Images, reference: str) -> FrameResult:
    try:
        return dataclasses.replace(recognizer.predict(images.get(reference)), source=reference)
    except ImageError as error:
        return FrameResult(reference, error=str(error))
