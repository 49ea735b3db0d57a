"""Files that are sent in pieces, so that slow clients and many of them take no memory."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from starlette.responses import Response, StreamingResponse

from mien.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from mien.apps.server.limits import Slots

PIECE_BYTES = 1 << 16

FileState: TypeAlias = tuple[int, int, int, int, int]


def state_of(file: Path | int) -> FileState:
    """Device, inode, size and times of a path or an open file: they change when its bytes do.

    Raises:
        OSError: there is no such file.
    """
    state = os.stat(file)  # noqa: PTH116  a descriptor is no path
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


class CheckedFile(NamedTuple):
    """A file whose bytes were checked: its path, its SHA-256 in lower-case hex, and its state at that time."""

    path: Path
    sha256: str
    state: FileState

    @property
    def is_unchanged(self) -> bool:
        """Whether the file is the one that was checked."""
        try:
            return state_of(self.path) == self.state
        except OSError:
            return False


class Download(StreamingResponse):
    """A response of many pieces that takes a slot; without a free one, it is the error "busy".

    Args:
        content: bytes that clients share, or a file.
        slots: for responses in progress.
        media_type: the content type.
        headers: further ones.
    """

    def __init__(self, content: bytes | CheckedFile, slots: Slots, media_type: str, headers: dict[str, str]) -> None:
        if isinstance(content, CheckedFile):
            size, pieces = content.state[2], _pieces_of_file(content)
        else:
            size, pieces = len(content), _pieces_of(content)
        super().__init__(pieces, headers={**headers, "Content-Length": str(size)}, media_type=media_type)
        self._slots = slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response.

        Raises:
            ApiError: there is no free slot.
        """
        with self._slots.take():
            await super().__call__(scope, receive, send)


def cached_response(
    request: Request, content: bytes | CheckedFile, media_type: str, sha256: str, slots: Slots
) -> Response:
    """A file with an ETag, or 304 where the client has it; clients keep the file and revalidate it each time."""
    headers = {"ETag": f'"{sha256[:32]}"', "Cache-Control": "no-cache"}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if isinstance(content, bytes) and len(content) <= PIECE_BYTES:
        return Response(content, media_type=media_type, headers=headers)
    return Download(content, slots, media_type, headers)


async def _pieces_of(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


async def _pieces_of_file(file: CheckedFile) -> AsyncIterator[bytes]:
    """The pieces of a file; the client gets too few of them where the file changes meanwhile.

    Raises:
        ModelError: it changed.
    """
    with await asyncio.to_thread(file.path.open, "rb") as opened:
        while piece := await asyncio.to_thread(opened.read, PIECE_BYTES):
            if state_of(opened.fileno()) != file.state:
                raise ModelError(f"expected {file.path} as it was checked; it changed while it was sent")
            yield piece
