"""What can be wrong with a request: a stable code for programs, a sentence for people, never a path or a traceback."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULTS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "bad_request": (400, "the request is not as the API has it"),
        "no_image": (400, "there is no image in it"),
        "unknown_labels": (400, "the model has no such label set"),
        "unauthorized": (401, "the token is missing or wrong"),
        "foreign_origin": (403, "a page of another site asks"),
        "not_found": (404, "there is nothing under that address"),
        "missing_package": (404, "onnxruntime-web is not on this machine"),
        "method_not_allowed": (405, "the address takes other methods"),
        "body_too_slow": (408, "the body came too slowly"),
        "not_done": (409, "the video has no results, or not yet"),
        "body_too_large": (413, "more bytes than are taken"),
        "too_many_images": (413, "more images in one request than are taken"),
        "too_many_pixels": (413, "an image larger than is taken"),
        "wrong_host": (421, "the request names another host"),
        "unreadable_image": (422, "no image, a damaged one, or of an unknown kind"),
        "unreadable_video": (422, "no video, a damaged one, or of an unknown kind"),
        "deadly_image": (422, "what reads images ended of it, twice"),
        "too_many_videos": (429, "as many videos as are taken wait already"),
        "internal": (500, "a mistake of the server's, which its log tells"),
        "busy": (503, "as many requests as are taken wait already"),
        "not_ready": (503, "no process can read images at the moment"),
        "too_long": (504, "it took longer than it may"),
    }
)
"""Status and meaning of every code."""

AGAIN = frozenset({"busy", "not_ready", "too_many_videos"})
"""Codes that pass: the answer says after how many seconds to ask again."""

RETRY_AFTER = 1


class Refusal(Exception):  # noqa: N818  it is an answer, not a mistake
    """An answer that is none of those asked for.

    Args:
        code: one of ``FAULTS``.
        message: expected, received, remedy.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        """Of HTTP."""
        return FAULTS[self.code][0]

    @property
    def said(self) -> dict[str, str]:
        """Code and message."""
        return {"code": self.code, "message": self.message}

    @property
    def body(self) -> bytes:
        """The answer, as JSON."""
        return json.dumps({"error": self.said}, ensure_ascii=False).encode("utf-8", "backslashreplace")

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        more = {"Retry-After": str(RETRY_AFTER)} if self.code in AGAIN else {}
        more |= {"WWW-Authenticate": "Bearer"} if self.code == "unauthorized" else {}
        return {"Content-Type": "application/json", "Content-Length": str(len(self.body)), **more}

    @classmethod
    def told(cls, said: Any) -> Refusal:
        """The one that a process tells."""
        return cls(said["code"], said["message"])
