"""Routes for videos, ``/v1/video``: upload, progress, results and report."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, JSONResponse, Response

from mien.apps.server.errors import ApiError
from mien.apps.server.jobs import PAGE_FILE, RESULTS_FILE, VIDEO_FILE, Job
from mien.apps.server.limits import BodyLimits, MultipartFiles, body_chunks, is_multipart
from mien.apps.server.security import REPORT_POLICY
from mien.errors import UsageError
from mien.media.video import Sampling

if TYPE_CHECKING:
    from mien.apps.server.service import Service

VIDEO_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("application/octet-stream", "multipart/form-data")
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
    ) -> Response:
        """One video, as the body or as the file of a form; it is queued, and the response is its job."""
        try:
            sampling = Sampling(every, stride, start, end)
        except UsageError as error:
            raise ApiError("bad_request", str(error)) from error
        async with jobs.receive() as job:
            job.sampling = sampling
            await _receive_video(request, service, job)
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


async def _receive_video(request: Request, service: Service, job: Job) -> None:
    """Write the video of a body into the folder of its job."""
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

        form = MultipartFiles(request.headers["content-type"], open_file) if is_multipart(request) else None
        feed = form.feed if form else write
        async for chunk in chunks:
            await asyncio.to_thread(feed, chunk)
        if form:
            form.close()
    if not size:
        raise ApiError("unreadable_video", "expected a video as the body, or as the file of a form; received none")
