"""Routes for videos, ``/v1/video``: upload, progress, results and report."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, JSONResponse, Response

from mien.apps.server.errors import ApiError
from mien.apps.server.jobs import PAGE_FILE, RESULTS_FILE, VIDEO_FILE, Job
from mien.apps.server.limits import BodyLimits, MultipartFiles, body_chunks, is_multipart
from mien.apps.server.request_body import check_parameters
from mien.apps.server.security import REPORT_POLICY
from mien.errors import UsageError
from mien.media.file_kind import format_of, head_of
from mien.media.video import Sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mien.apps.server.service import Service

SAMPLING_FIELDS: Mapping[str, Callable[[str], float]] = MappingProxyType(
    {"every": float, "stride": int, "from": float, "to": float}
)
"""Parameters, or fields of a form, that select frames, and the type of each."""

VIDEO_FIELDS = (*SAMPLING_FIELDS, "model")

_FILE = {"type": "string", "format": "binary"}
VIDEO_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": _FILE},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": _FILE, **{name: {"type": "string"} for name in VIDEO_FIELDS}},
                }
            },
        },
    }
}
"""The request body of an upload in OpenAPI."""


def router(service: Service) -> APIRouter:
    """The routes."""
    routes, jobs = APIRouter(prefix="/v1/video"), service.jobs

    @routes.post("", status_code=202, openapi_extra=VIDEO_BODY, summary="Upload a video")
    async def post(
        request: Request,
        every: float | None = None,
        stride: int = 1,
        start: Annotated[float, Query(alias="from")] = 0.0,
        end: Annotated[float | None, Query(alias="to")] = None,
        model: str | None = None,
    ) -> Response:
        """One video, as the body or as the file of a form; it is queued, and the response is its job.

        Parameters may also be fields of the form.
        """
        check_parameters(request, VIDEO_FIELDS)
        service.catalog.check_served(model)
        chosen = {"every": every, "stride": stride, "from": start, "to": end}
        _sampling(chosen)
        async with jobs.receive() as job:
            fields = await _receive_video(request, service, job)
            service.catalog.check_served(fields.pop("model", None))
            job.sampling = _sampling(chosen | fields)
        return JSONResponse(job.to_dict(), 202)

    @routes.get("/{name}", summary="Get the state of a video")
    async def state(name: str) -> Response:
        """queued, processing, done, failed or cancelled; progress from 0 to 1."""
        return JSONResponse(jobs.get(name).to_dict())

    @routes.get("/{name}/results", summary="Get the results of a video")
    async def results(name: str) -> Response:
        """JSON Lines, one frame a line."""
        return FileResponse(jobs.get(name).file(RESULTS_FILE), media_type="application/x-ndjson")

    @routes.get("/{name}/page", summary="Get the timeline report of a video")
    async def page(name: str) -> Response:
        """A self-contained HTML page."""
        policy = {"Content-Security-Policy": REPORT_POLICY}
        return FileResponse(jobs.get(name).file(PAGE_FILE), media_type="text/html", headers=policy)

    @routes.delete("/{name}", summary="Delete a video")
    async def delete(name: str) -> Response:
        """Cancel its processing and remove its results."""
        job = jobs.get(name)
        await jobs.forget(job)
        return JSONResponse(job.to_dict())

    return routes


def _sampling(values: Mapping[str, Any]) -> Sampling:
    """Which frames: numbers from the address, texts from a form; an empty text counts as none."""
    try:
        numbers: dict[str, Any] = {
            name: SAMPLING_FIELDS[name](value) if isinstance(value, str) else value
            for name, value in values.items()
            if value not in (None, "")
        }
        return Sampling(numbers.get("every"), numbers.get("stride", 1), numbers.get("from", 0.0), numbers.get("to"))
    except UsageError as error:
        raise ApiError("bad_request", str(error)) from error
    except ValueError as error:
        names = ", ".join(SAMPLING_FIELDS)
        raise ApiError("bad_request", f"expected numbers in the fields {names}; received others. See /docs") from error


async def _receive_video(request: Request, service: Service, job: Job) -> dict[str, str]:
    """Write the video of a body into the folder of its job; return the other fields of its form."""
    limits, size, files = service.limits, 0, 0
    chunks = body_chunks(request, BodyLimits(limits.video, limits.video_upload, limits.silence), service.metrics)
    with (job.folder / VIDEO_FILE).open("wb") as video:

        def write(chunk: bytes) -> None:
            nonlocal size
            size += video.write(chunk)

        def open_file(name: str) -> Any:
            nonlocal files
            files += 1
            if files > 1:
                raise ApiError("bad_request", "expected one video; received several. Send one a request")
            job.name = name
            return write

        form = (
            MultipartFiles(request.headers["content-type"], open_file, VIDEO_FIELDS) if is_multipart(request) else None
        )
        feed = form.feed if form else write
        async for chunk in chunks:
            await asyncio.to_thread(feed, chunk)
        if form:
            form.close()
    if not size:
        raise ApiError("unreadable_video", "expected a video as the body, or as the file of a form; received none")
    found = format_of(await asyncio.to_thread(head_of, job.folder / VIDEO_FILE))
    if found is not None and found.kind is None:
        raise ApiError("unreadable_video", f"expected a video; received {found.description}")
    return form.fields if form else {}
