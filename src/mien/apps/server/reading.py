"""The process that reads images for the server: bytes come on its stdin, what was found goes to stdout.

It is told which model and detector, and says what the model tells of. Then it is asked to "read" an image (a line of
JSON comes back) or to "see" one (its predictions, for who follows faces). It ends when its stdin does.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from typing import TYPE_CHECKING, Any

from mien.apps.server.wire import to_wire
from mien.errors import ImageError, MienError
from mien.media.header import read_header
from mien.outputs import to_json_line
from mien.recognizer import Recognizer
from mien.workers import protocol
from mien.workers.protocol import Message

if TYPE_CHECKING:
    from mien.structures import FrameResult

YIELDING = 2
"""By how much the process that answers goes first, so that a refusal does not wait for those that read."""

logger = logging.getLogger(__name__)


def main() -> None:
    """Reads until nothing comes any more."""
    import cv2

    cv2.setNumThreads(1)
    if hasattr(os, "nice"):
        os.nice(YIELDING)
    with protocol.pipes() as pipes:
        asked = protocol.all_of(pipes.asked)
        first = next(asked, None)
        if first is None:
            return
        try:
            reader = Reader(**first.said)
        except MienError as error:
            protocol.put(pipes.answers, {"error": str(error)})
            return
        protocol.put(pipes.answers, reader.told())
        for message in asked:
            protocol.put(pipes.answers, *reader.answer(message))


class Reader:
    """Reads images under any label set of its model.

    Args:
        model: a model's name or path.
        detector: a detector's name or path.
        pixels: of an image at most.
    """

    def __init__(self, model: str, detector: str, pixels: int) -> None:
        self._pixels = pixels
        first = Recognizer.load(model, detector)
        heads = (head.name for head in first.classifier.card.heads)
        self._recognizers = {first.head: first}
        self._recognizers |= {name: Recognizer(first.detector, first.classifier, name) for name in heads}

    def told(self) -> dict[str, Any]:
        """What the model tells of: its name, and the labels and threshold of each label set, that of users first."""
        name = next(iter(self._recognizers.values())).classifier.card.name
        sets = {
            labels: {"labels": list(one.labels), "unsure_below": one.output.unsure_below}
            for labels, one in self._recognizers.items()
        }
        return {"name": name, "label_sets": sets}

    def answer(self, message: Message) -> Message:
        """What was found in an image, or a fault of it."""
        asked = message.said
        try:
            result = self._read(message.content, asked["labels"])
        except ImageError as error:
            return Message({"code": "unreadable_image", "message": str(error)})
        except _LargeError as error:
            return Message({"code": "too_many_pixels", "message": str(error)})
        except Exception:
            logger.exception("an image of %d bytes", len(message.content))
            return Message({"code": "internal", "message": "the server made a mistake; its log tells which"})
        if asked["do"] == "see":
            return Message(None, json.dumps(to_wire(result.predictions)).encode())
        return Message(None, to_json_line(dataclasses.replace(result, source=asked["source"])).encode())

    def _read(self, image: bytes, head: str) -> FrameResult:
        if image:
            header = _header(image)
            if header is not None and header[0] * header[1] > self._pixels:
                raise _LargeError(
                    f"expected at most {self._pixels:,} pixels; received {header[0]} x {header[1]}. Send it smaller"
                )
        return self._recognizers[head].predict(image)


class _LargeError(Exception):
    """An image has too many pixels."""


def _header(image: bytes) -> tuple[int, int] | None:
    """Width and height that an image claims; None where it can't be read, which is told when it is decoded."""
    try:
        header = read_header(image)
    except Exception:  # noqa: BLE001  whatever is wrong is found again by what reads it, and told there
        return None
    return header.width, header.height
