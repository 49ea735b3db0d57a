"""``/v1/video``: a video sent, how far its reading is, its results, and its page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, JSONResponse, Response

from mien.apps.server.bodies import Allowance, Files, chunks, is_multipart
from mien.apps.server.faults import Refusal
from mien.apps.server.guard import PAGE_POLICY
from mien.apps.server.jobs import PAGE, RESULTS, VIDEO, Job
from mien.errors import UsageError
from mien.media.video import Sampling

if TYPE_CHECKING:
    from mien.apps.server.service import Service

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("application/octet-stream", "multipart/form-data")
        },
    }
}


def router(service: Service) -> APIRouter:
    """The routes."""
    routes, jobs = APIRouter(prefix="/v1/video"), service.jobs

    @routes.post("", status_code=202, openapi_extra=BODY, summary="A video to be read")
    async def post(
        request: Request,
        every: float | None = None,
        stride: int = 1,
        start: Annotated[float, Query(alias="from")] = 0.0,
        end: Annotated[float | None, Query(alias="to")] = None,
    ) -> Response:
        """Takes one video, as it is or as the file of a form; it is read while nobody waits."""
        try:
            sampling = Sampling(every, stride, start, end)
        except UsageError as error:
            raise Refusal("bad_request", str(error)) from error
        async with jobs.receive() as job:
            job.sampling = sampling
            await _receive(request, service, job)
        return JSONResponse(job.to_dict(), 202)

    @routes.get("/{name}", summary="How far a video is")
    async def state(name: str) -> Response:
        """Queued, reading, done, failed or cancelled, and 0 to 1."""
        return JSONResponse(jobs.get(name).to_dict())

    @routes.get("/{name}/results", summary="What was found in it")
    async def results(name: str) -> Response:
        """A line of JSON a frame."""
        return FileResponse(jobs.get(name).file(RESULTS), media_type="application/x-ndjson")

    @routes.get("/{name}/page", summary="Who showed what, when")
    async def page(name: str) -> Response:
        """One page of HTML."""
        policy = {"Content-Security-Policy": PAGE_POLICY}
        return FileResponse(jobs.get(name).file(PAGE), media_type="text/html", headers=policy)

    @routes.delete("/{name}", summary="Forget a video")
    async def delete(name: str) -> Response:
        """Ends its reading and removes its results."""
        job = jobs.get(name)
        await jobs.forget(job)
        return JSONResponse(job.to_dict())

    return routes


async def _receive(request: Request, service: Service, job: Job) -> None:
    """Writes the video of a body into the folder of its job."""
    limits, count, files = service.limits, 0, 0
    pieces = chunks(request, Allowance(limits.video, limits.video_upload, limits.silence), service.metrics)
    with (job.folder / VIDEO).open("wb") as video:

        def write(piece: bytes) -> None:
            nonlocal count
            count += video.write(piece)

        def begin(name: str) -> Any:
            nonlocal files
            files += 1
            if files > 1:
                raise Refusal("bad_request", "expected one video; received several. Send them one by one")
            job.name = name
            return write

        form = Files(request.headers["content-type"], begin) if is_multipart(request) else None
        feed = form.feed if form else write
        async for piece in pieces:
            await asyncio.to_thread(feed, piece)
        if form:
            form.close()
    if not count:
        raise Refusal("unreadable_video", "expected a video as the body, or as the file of a form; received none")
