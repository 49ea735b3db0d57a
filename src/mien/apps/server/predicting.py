"""``POST /v1/predict``: one image as it is, or several as the files of a form."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.apps.server.bodies import Allowance, Files, chunks, is_multipart
from mien.apps.server.faults import Refusal
from mien.models.card import FUSED
from mien.outputs import to_json_line
from mien.structures import FrameResult

if TYPE_CHECKING:
    from mien.apps.server.service import Service

JSON = "application/json"

OWN = frozenset({"unreadable_image", "deadly_image", "too_many_pixels"})
"""Faults of an image, which those sent with it have no part in."""

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
        },
    }
}


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.post("/v1/predict", openapi_extra=BODY, summary="The expressions shown in images")
    async def predict(request: Request, head: str = FUSED) -> Response:
        """One image gives one result, several files of a form give a list of them; see ``mien predict --json``."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with service.admission.place():
            if head not in service.label_sets:
                known = ", ".join(service.label_sets)
                raise Refusal("unknown_labels", f"expected labels of {known}; received others. Name one of them")
            images = await _images(request, service)
            answer = await _Reading(service, head, begun + service.limits.answer).answer(request, images)
        service.metrics.took(loop.time() - begun)
        return answer

    return routes


async def _images(request: Request, service: Service) -> list[tuple[str, bytearray]]:
    """Names and bytes of the images in a body."""
    limits = service.limits
    found: list[tuple[str, bytearray]] = []

    def begin(name: str) -> Any:
        if len(found) == limits.images:
            raise Refusal(
                "too_many_images", f"expected at most {limits.images} images; received more. Send them in turn"
            )
        found.append((name, bytearray()))
        return found[-1][1].extend

    pieces = chunks(request, Allowance(limits.body, limits.upload, limits.silence), service.metrics)
    if is_multipart(request):
        files = Files(request.headers["content-type"], begin)
        async for piece in pieces:
            files.feed(piece)
        files.close()
    else:
        take = begin("")
        async for piece in pieces:
            take(piece)
    if not any(content for _, content in found):
        raise Refusal("no_image", "expected an image as the body, or as the files of a form; received none")
    return found


class _Reading:
    """Reads the images of one request."""

    def __init__(self, service: Service, head: str, until: float) -> None:
        self._service, self._labels, self._until = service, head, until

    async def answer(self, request: Request, images: list[tuple[str, bytearray]]) -> Response:
        """One result, or the list of them."""
        if not is_multipart(request):
            return Response(await self._read(*images[0]), media_type=JSON)
        results = await asyncio.gather(*(self._told(*image) for image in images))
        return Response(b'{"results": [' + b", ".join(results) + b"]}", media_type=JSON)

    async def _told(self, name: str, image: bytearray) -> bytes:
        """A result that tells what is wrong with its own image."""
        try:
            return await self._read(name, image)
        except Refusal as fault:
            if fault.code not in OWN:
                raise
            return to_json_line(FrameResult(name, error=fault.message)).encode()

    async def _read(self, name: str, image: bytearray) -> bytes:
        self._service.metrics.count("mien_images_total")
        asked = {"do": "read", "labels": self._labels, "source": name}
        return (await self._service.pool.ask(asked, bytes(image), self._until)).content
