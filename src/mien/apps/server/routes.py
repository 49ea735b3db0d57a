"""Routes for images, models and monitoring: ``/v1/predict``, ``/v1/models``, ``/readyz`` and the like."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from mien.apps.server.errors import ApiError
from mien.apps.server.limits import BodyLimits, MultipartFiles, body_chunks, is_multipart
from mien.apps.server.metrics import CONTENT_TYPE
from mien.apps.server.pages import cached_response
from mien.models.card import FUSED
from mien.models.legacy import head_named
from mien.outputs import to_json_line
from mien.structures import FrameResult

if TYPE_CHECKING:
    from mien.apps.server.service import Service

IMAGE_ERRORS = frozenset({"unreadable_image", "worker_crashed", "too_many_pixels"})
"""Errors of one image, which leave the other images of a request alone."""

IMAGE_BODY: dict[str, Any] = {
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
"""The request body of ``/v1/predict`` in OpenAPI."""


def router(service: Service) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    _add_predict(routes, service)
    _add_models(routes, service)
    _add_monitoring(routes, service)
    return routes


def _add_predict(routes: APIRouter, service: Service) -> None:
    @routes.post("/v1/predict", openapi_extra=IMAGE_BODY, summary="Predict the expressions in images")
    async def predict(
        request: Request,
        head: str = FUSED,
        labels: Annotated[str | None, Query(include_in_schema=False)] = None,
    ) -> Response:
        """One image gives one result, several files of a form give a list; each is as in mien predict --json."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        with service.request_slots.take():
            head = head_named(labels or head)  # labels: its name in mien 0.1.0
            if head not in service.heads:
                known = ", ".join(service.heads)
                raise ApiError("unknown_head", f"expected one of the output heads {known}; received another")
            images = await _read_images(request, service)
            batch = _ImageBatch(service, head, started + service.limits.response)
            response = await batch.respond(images, as_list=is_multipart(request))
        service.metrics.observe_prediction(loop.time() - started)
        return response


def _add_models(routes: APIRouter, service: Service) -> None:
    @routes.get("/v1/models", summary="List the models")
    async def models() -> Response:
        """Name, kind and labels of each model, and which one is served."""
        entries = await asyncio.to_thread(service.catalog.entries)
        return JSONResponse({"default": service.catalog.default, "models": list(map(dataclasses.asdict, entries))})

    @routes.get("/v1/models/{name}", summary="Get a model's card")
    async def card(name: str) -> Response:
        """The card, as ``mien models show NAME --json`` prints it."""
        return JSONResponse(await asyncio.to_thread(service.catalog.card, name))

    @routes.get("/v1/models/{name}/file", summary="Download a model")
    async def file(request: Request, name: str) -> Response:
        """The .onnx file of a model."""
        model = await asyncio.to_thread(service.catalog.load, name)
        return cached_response(request, model.content, "application/octet-stream", model.sha256)


def _add_monitoring(routes: APIRouter, service: Service) -> None:
    @routes.get("/healthz", summary="Liveness")
    async def healthz() -> Response:
        """200 as long as the server responds."""
        return JSONResponse({"state": "ok"})

    @routes.get("/readyz", summary="Readiness")
    async def readyz() -> Response:
        """503 while no worker process is ready."""
        if not service.pool.ready:
            raise ApiError("not_ready", "expected a worker process that is ready; all start or have exited. Retry soon")
        return JSONResponse({"state": "ok"})

    @routes.get("/metrics", summary="Metrics for Prometheus")
    async def metrics() -> Response:
        """Counters since the start, and gauges."""
        return Response(service.metrics.exposition(), media_type=CONTENT_TYPE)


async def _read_images(request: Request, service: Service) -> list[tuple[str, bytearray]]:
    """Names and bytes of the images in a body."""
    limits = service.limits
    images: list[tuple[str, bytearray]] = []

    def open_image(name: str) -> Any:
        if len(images) == limits.images:
            raise ApiError(
                "too_many_images",
                f"expected at most {limits.images} images; received more. Send them in several requests",
            )
        images.append((name, bytearray()))
        return images[-1][1].extend

    chunks = body_chunks(request, BodyLimits(limits.body, limits.upload, limits.silence), service.metrics)
    if is_multipart(request):
        files = MultipartFiles(request.headers["content-type"], open_image)
        async for chunk in chunks:
            files.feed(chunk)
        files.close()
    else:
        write = open_image("")
        async for chunk in chunks:
            write(chunk)
    if not any(content for _, content in images):
        raise ApiError("no_image", "expected an image as the body, or as the files of a form; received none")
    return images


class _ImageBatch:
    """Inference on the images of one request, by a common deadline."""

    def __init__(self, service: Service, head: str, deadline: float) -> None:
        self._service, self._head, self._deadline = service, head, deadline

    async def respond(self, images: list[tuple[str, bytearray]], *, as_list: bool) -> Response:
        """One result, or the list of all."""
        if not as_list:
            return Response(await self._predict(*images[0]), media_type="application/json")
        results = await asyncio.gather(*(self._predict_or_error(*image) for image in images))
        return Response(b'{"results": [' + b", ".join(results) + b"]}", media_type="application/json")

    async def _predict_or_error(self, name: str, image: bytearray) -> bytes:
        """A result, with ``error`` set where the image itself is at fault."""
        try:
            return await self._predict(name, image)
        except ApiError as error:
            if error.code not in IMAGE_ERRORS:
                raise
            return to_json_line(FrameResult(name, error=error.message)).encode()

    async def _predict(self, name: str, image: bytearray) -> bytes:
        self._service.metrics.count("mien_images_total")
        payload = {"do": "analyze", "head": self._head, "source": name}
        return await self._service.pool.request(payload, bytes(image), self._deadline)
