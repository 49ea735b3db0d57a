"""Settings of a server, and the limits that it enforces."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import UsageError

PAGE_FOLDER = Path(__file__).parents[1] / "web"

MIN_TOKEN_LENGTH = 16


@dataclass(frozen=True)
class Limits:
    """Upper limits; sizes in bytes, times in seconds.

    Attributes:
        body: of a request with images.
        images: in one request.
        pixels: of one image.
        waiting: requests for images that wait for a worker, besides those in progress.
        upload: time for a body of images to arrive.
        silence: between two pieces of a body, and until a request's header is complete.
        response: from a request to its response.
        frame: of one WebSocket frame.
        sockets: open at once.
        socket_silence: between two frames of a WebSocket.
        messages: of one WebSocket, in a second.
        downloads: of models and other large files, at once.
        connections: open at once.
        video: of one video.
        video_upload: time for a video to arrive.
        videos: that wait or are processed.
        finished_videos: whose results stay available.
        job: processing time of a video.
        stop: time for accepted requests to finish when the server stops.
    """

    body: int = 20_000_000
    images: int = 16
    pixels: int = 25_000_000
    waiting: int = 16
    upload: float = 10.0
    silence: float = 5.0
    response: float = 8.0
    frame: int = 4_000_000
    sockets: int = 16
    socket_silence: float = 120.0
    messages: int = 100
    downloads: int = 64
    connections: int = 512
    video: int = 300_000_000
    video_upload: float = 300.0
    videos: int = 4
    finished_videos: int = 16
    job: float = 3600.0
    stop: float = 9.0


@dataclass(frozen=True)
class Settings:
    """A server.

    Attributes:
        model: a model's name or path.
        detector: a detector's name or path.
        workers: worker processes.
        host: address to listen on.
        port: 0: a free one.
        token: that clients must send; "": none.
        remote: whether other machines may reach the address.
        limits: sizes, counts and times.
        page: folder of the web page's files.

    Raises:
        UsageError: a value is out of range, or other machines could reach the server without a token.
    """

    model: str
    detector: str = "auto"
    workers: int = 1
    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    remote: bool = False
    limits: Limits = field(default_factory=Limits)
    page: Path = PAGE_FOLDER

    def __post_init__(self) -> None:
        if self.workers < 1 or not 0 <= self.port <= 65535:
            raise UsageError(
                f"expected a port up to 65535 and at least 1 worker; received {self.port} and {self.workers}"
            )
        if self.token and (len(self.token) < MIN_TOKEN_LENGTH or not self.token.isascii() or not self.token.isalnum()):
            raise UsageError(
                f"expected a token of at least {MIN_TOKEN_LENGTH} letters and digits; received one of "
                f"{len(self.token)}. Make one with: openssl rand -hex 16"
            )
        if not self.is_local and not (self.remote and self.token):
            raise UsageError(
                f"expected --host 127.0.0.1; received {self.host}, which other machines can reach. To let them send "
                "images, add: --allow-remote --token TOKEN"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def host_names(self) -> frozenset[str]:
        """Values of the Host header that are accepted, so that no page elsewhere reaches the server by its own name."""
        return frozenset({"127.0.0.1", "localhost", "[::1]", self.host, f"[{self.host}]"})
