"""Routes for images, models and monitoring: ``/v1/predict``, ``/v1/models``, ``/readyz`` and the like."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from mien.apps.server.downloads import cached_response
from mien.apps.server.errors import ApiError
from mien.apps.server.metrics import CONTENT_TYPE
from mien.apps.server.request_body import IMAGE_BODY, IMAGE_FIELDS, ImageBody, NamedImage, check_parameters, read_images
from mien.models.card import FUSED
from mien.models.legacy import head_named
from mien.outputs import to_json_line
from mien.structures import FrameResult

if TYPE_CHECKING:
    from mien.apps.server.service import Service

IMAGE_ERRORS = frozenset({"bad_request", "unreadable_image", "worker_crashed", "too_many_pixels"})
"""Errors that are an image's own; the others are the server's, or come with its load."""


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
        model: str | None = None,
        labels: Annotated[str | None, Query(include_in_schema=False)] = None,
    ) -> Response:
        """One image gives one result, several (files of a form, or a list in JSON) give a list of results.

        Each is as in mien predict --json. Parameters may also be fields of the form or of the JSON.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        check_parameters(request, IMAGE_FIELDS, old=("labels",))
        with service.request_slots.take():
            head = _known_head(service, labels or head)  # labels: its name in mien 0.1.0
            service.catalog.check_served(model)
            body = await read_images(request, service)
            head = _known_head(service, body.fields.get("head", head))
            service.catalog.check_served(body.fields.get("model"))
            response = await _ImageBatch(service, head, started + service.limits.response).respond(body)
        service.metrics.observe_prediction(loop.time() - started)
        return response


def _known_head(service: Service, name: str) -> str:
    """An output head of the model, by its name now or in mien 0.1.0."""
    head = head_named(name)
    if head not in service.heads:
        raise ApiError("unknown_head", f"expected one of the output heads {', '.join(service.heads)}; received another")
    return head


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
        model = await asyncio.to_thread(service.catalog.file, name)
        return cached_response(request, model, "application/octet-stream", model.sha256, service.download_slots)


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


class _ImageBatch:
    """Inference on the images of one request, by a common deadline."""

    def __init__(self, service: Service, head: str, deadline: float) -> None:
        self._service, self._head, self._deadline = service, head, deadline

    async def respond(self, body: ImageBody) -> Response:
        """One result, or the list of all: an image that fails has its error there and leaves the others alone."""
        if not body.as_list:
            return Response(await self._predict(*body.images[0]), media_type="application/json")
        outcomes = await asyncio.gather(*(self._predict_or_error(*image) for image in body.images))
        errors = [outcome for outcome in outcomes if isinstance(outcome, ApiError)]
        if len(errors) == len(outcomes) and (own := [one for one in errors if one.code not in IMAGE_ERRORS]):
            raise own[0]  # the server failed, so that the client may try again
        lines = [
            to_json_line(FrameResult(name, error=outcome.message)).encode()
            if isinstance(outcome, ApiError)
            else outcome
            for (name, _), outcome in zip(body.images, outcomes, strict=True)
        ]
        return Response(b'{"results": [' + b", ".join(lines) + b"]}", media_type="application/json")

    async def _predict_or_error(self, *image: *NamedImage) -> bytes | ApiError:
        try:
            return await self._predict(*image)
        except ApiError as error:
            return error

    async def _predict(self, name: str, image: bytes | bytearray | ApiError) -> bytes:
        if isinstance(image, ApiError):
            raise image
        self._service.metrics.count("mien_images_total")
        payload = {"do": "analyze", "head": self._head, "source": name}
        return await self._service.pool.request(payload, bytes(image), self._deadline)
