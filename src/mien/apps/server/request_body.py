"""What a request holds: query parameters, fields of a form, and images as bytes, as files of a form, or as JSON."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.requests import HTTPConnection, Request

from mien.apps.server.errors import ApiError
from mien.apps.server.limits import BodyLimits, MultipartFiles, body_chunks, is_multipart

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mien.apps.server.service import Service

NamedImage: TypeAlias = tuple[str, bytes | bytearray | ApiError]
"""An image of a request: its name, and its bytes or why there are none."""

IMAGE_FIELDS = ("head", "model")
"""Fields of a form or of JSON that choose how images are predicted, as the parameters of the same names do."""

JSON_START = b"{"
"""First byte of JSON; no image begins with it, so that a missing or wrong content type does no harm."""

MAX_JSON_VALUES = 1000
"""Commas and brackets in JSON: a list of images has few, and base64 has none."""

_TEXT: dict[str, Any] = {"type": "string"}
_IMAGE_TEXT: dict[str, Any] = {"type": "string", "description": "base64, or a data URL: data:image/jpeg;base64,..."}
_FIELDS: dict[str, Any] = dict.fromkeys(IMAGE_FIELDS, _TEXT)

IMAGE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        **_FIELDS,
                    },
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": _IMAGE_TEXT,
                        "images": {"type": "array", "items": _IMAGE_TEXT},
                        **_FIELDS,
                    },
                }
            },
        },
    }
}
"""The request body of ``/v1/predict`` in OpenAPI."""


@dataclass(frozen=True)
class ImageBody:
    """The body of a request for images.

    Attributes:
        images: at least one.
        fields: the values of ``IMAGE_FIELDS`` that it has.
        as_list: whether it may hold several, so that the response is a list.
    """

    images: Sequence[NamedImage]
    fields: Mapping[str, str]
    as_list: bool


def check_parameters(connection: HTTPConnection, known: Collection[str], old: Collection[str] = ()) -> None:
    """Check that a request has no other query parameters: one that is misspelt would have no effect.

    Args:
        connection: the request.
        known: names of its parameters.
        old: names that they had in mien 0.1.0.

    Raises:
        ApiError: it has others.
    """
    if not set(connection.query_params) <= {*known, *old}:
        raise ApiError("bad_request", f"expected no parameters but {', '.join(known)}; received others. See /docs")


async def read_images(request: Request, service: Service) -> ImageBody:
    """Read the images of a body.

    Raises:
        ApiError: it has none or too many, is too large, or can't be parsed.
    """
    limits = service.limits
    images: list[tuple[str, bytearray]] = []

    def open_image(name: str) -> Any:
        _check_count(len(images) + 1, limits.images)
        images.append((name, bytearray()))
        return images[-1][1].extend

    chunks = body_chunks(request, BodyLimits(limits.body, limits.upload, limits.silence), service.metrics)
    if is_multipart(request):
        form = MultipartFiles(request.headers["content-type"], open_image, IMAGE_FIELDS)
        async for chunk in chunks:
            form.feed(chunk)
        form.close()
        return _checked(ImageBody(list(images), form.fields, as_list=True))
    write = open_image("")
    async for chunk in chunks:
        write(chunk)
    if _is_json(request, images[0][1]):
        return _checked(await asyncio.to_thread(_from_json, images[0][1], limits.images))
    return _checked(ImageBody(list(images), {}, as_list=False))


def _checked(body: ImageBody) -> ImageBody:
    if not any(content for _, content in body.images):
        raise ApiError(
            "no_image", "expected an image as the body, as the files of a form, or in JSON; received none. See /docs"
        )
    return body


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise ApiError(
            "too_many_images", f"expected at most {limit} images; received more. Send them in several requests"
        )


def _is_json(request: Request, content: bytearray) -> bool:
    start = bytes(content[:64]).lstrip()[:1]
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return start == JSON_START or (declared == "application/json" and start in (b"[", b'"'))


def _from_json(content: bytearray, limit: int) -> ImageBody:
    """The images of ``{"image": TEXT}`` or ``{"images": [TEXT, ...]}``, with ``head`` and ``model``."""
    if sum(content.count(mark) for mark in b"{[,") > MAX_JSON_VALUES:  # parsed, small values take much more memory
        raise ApiError("too_many_images", f"expected at most {limit} images; received JSON of many values")
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _bad_json("something that is no JSON") from error
    if not isinstance(values, dict):
        raise _bad_json("another value")
    if not set(values) <= {"image", "images", *IMAGE_FIELDS}:
        raise _bad_json("other names")
    fields = {name: values[name] for name in IMAGE_FIELDS if values.get(name) is not None}
    if not all(isinstance(value, str) for value in fields.values()):
        raise _bad_json("a value that is no text")
    if ("image" in values) == ("images" in values):
        raise _bad_json("both" if "image" in values else "neither")
    if "image" in values:
        image = _decoded(values["image"])
        if isinstance(image, ApiError):
            raise image
        return ImageBody([("", image)], fields, as_list=False)
    if not isinstance(values["images"], list):
        raise _bad_json("images that are no list")
    _check_count(len(values["images"]), limit)
    named = [(f"images[{number}]", _decoded(text)) for number, text in enumerate(values["images"])]
    return ImageBody(named, fields, as_list=True)


def _bad_json(received: str) -> ApiError:
    return ApiError(
        "bad_request",
        f'expected JSON as {{"image": BASE64}} or {{"images": [BASE64, ...]}}, with "head" and "model" if need be; '
        f"received {received}",
    )


def _decoded(text: object) -> bytes | ApiError:
    """The bytes of an image in base64, as a data URL or alone; or why there are none."""
    if not isinstance(text, str):
        return _bad_json("an image that is no text")
    if text[:5].lower() == "data:":
        kind, _, data = text.partition(",")
        if not kind.lower().endswith(";base64"):
            return ApiError(
                "bad_request", "expected a data URL in base64, data:image/jpeg;base64,...; received another"
            )
    elif re.match(r"\s*([a-z][a-z0-9+.-]*:)?//", text[:100], re.IGNORECASE):
        return ApiError(
            "bad_request",
            "expected the image itself, in base64; received an address. The server fetches nothing: send the bytes",
        )
    else:
        data = text
    try:
        plain = "".join(data.split()).translate(URL_SAFE).rstrip("=")
        # exact base64 is a multiple of four characters; many programs leave the end marks out
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return ApiError(
            "bad_request",
            "expected an image in base64 (in Python base64.b64encode(content).decode()); received a text that is none",
        )


URL_SAFE = str.maketrans("-_", "+/")
"""From base64's alphabet for addresses to the usual one."""
