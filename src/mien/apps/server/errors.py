"""Errors of the API: a stable code for programs, a message for people, never a path or a traceback."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ERROR_CODES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "bad_request": (400, "the request does not follow the API"),
        "no_image": (400, "the request holds no image"),
        "unknown_head": (400, "the model has no such output head"),
        "unknown_model": (400, "the server runs another model"),
        "unauthorized": (401, "the token is missing or wrong"),
        "foreign_origin": (403, "the request comes from a page of another site"),
        "not_found": (404, "nothing exists at this address"),
        "missing_package": (404, "onnxruntime-web is not on this machine"),
        "method_not_allowed": (405, "the address takes other methods"),
        "body_too_slow": (408, "the body arrived too slowly"),
        "not_done": (409, "the video has no results, or not yet"),
        "body_too_large": (413, "the body exceeds the size limit"),
        "too_many_images": (413, "the request holds more images than the limit"),
        "too_many_pixels": (413, "an image exceeds the pixel limit"),
        "wrong_host": (421, "the request names another host"),
        "unreadable_image": (422, "the image is damaged, of an unknown kind, or none"),
        "incomplete_video": (422, "frames of the video are missing or damaged; the results of the others are there"),
        "unreadable_video": (422, "the video is damaged, of an unknown kind, or none"),
        "worker_crashed": (422, "the image crashed the worker process twice"),
        "too_many_videos": (429, "the queue of videos is full"),
        "internal": (500, "the server failed; its log says why"),
        "busy": (503, "the queue of requests is full"),
        "not_ready": (503, "no worker process is ready"),
        "timeout": (504, "inference exceeded the time limit"),
        "no_space": (507, "the server can't write to its temporary folder: its disk is full"),
    }
)
"""HTTP status and meaning of every code."""

RETRYABLE = frozenset({"busy", "not_ready", "too_many_videos"})
"""Codes of passing conditions: their responses have a ``Retry-After`` header."""

RETRY_AFTER_SECONDS = 1


class ApiError(Exception):
    """An error response.

    Args:
        code: one of ``ERROR_CODES``.
        message: expected, received, remedy.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message

    def __reduce__(self) -> tuple[type[ApiError], tuple[str, str]]:
        return type(self), (self.code, self.message)

    @classmethod
    def from_worker(cls, payload: dict[str, Any]) -> ApiError:
        """The error in a worker's reply."""
        return cls(payload["error"]["code"], payload["error"]["message"])

    @property
    def status(self) -> int:
        """The HTTP status."""
        return ERROR_CODES[self.code][0]

    @property
    def payload(self) -> dict[str, str]:
        """Code and message, ready for JSON."""
        return {"code": self.code, "message": self.message}

    @property
    def body(self) -> bytes:
        """The response body, as JSON."""
        return json.dumps({"error": self.payload}, ensure_ascii=False).encode("utf-8", "backslashreplace")

    @property
    def headers(self) -> dict[str, str]:
        """The response headers."""
        more = {"Retry-After": str(RETRY_AFTER_SECONDS)} if self.code in RETRYABLE else {}
        more |= {"WWW-Authenticate": "Bearer"} if self.code == "unauthorized" else {}
        return {"Content-Type": "application/json", "Content-Length": str(len(self.body)), **more}
