"""What a server is asked to be, and what it takes at most."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import UsageError

PAGE = Path(__file__).parents[1] / "web"

LEAST_TOKEN = 16
"""Characters of a token."""


@dataclass(frozen=True)
class Limits:
    """What is taken at most; sizes in bytes, times in seconds.

    Attributes:
        body: of the images of one request.
        images: of one request.
        pixels: of one image.
        waiting: requests for images that wait for a process, beside those that are read.
        upload: in which a body of images must have come.
        silence: between two pieces of a body, and until the head of a request is whole.
        answer: from a request to its answer.
        frame: of one frame of the socket.
        sockets: that are open at once.
        connections: that are open at once.
        video: of one video.
        video_upload: in which a video must have come.
        videos: that wait or are read.
        kept: videos whose results are kept.
        job: in which a video must have been read.
        stop: in which what was accepted is finished when the server is told to stop.
    """

    body: int = 20_000_000
    images: int = 16
    pixels: int = 25_000_000
    waiting: int = 16
    upload: float = 10.0
    silence: float = 5.0
    answer: float = 8.0
    frame: int = 4_000_000
    sockets: int = 16
    connections: int = 512
    video: int = 300_000_000
    video_upload: float = 300.0
    videos: int = 4
    kept: int = 16
    job: float = 3600.0
    stop: float = 9.0


@dataclass(frozen=True)
class Settings:
    """A server.

    Attributes:
        model: a model's name or path.
        detector: a detector's name or path.
        workers: processes that read images.
        host: address that it listens at.
        port: 0: a free one.
        token: that clients must know; "": none.
        remote: whether the address may be one that other machines reach.
        limits: what it takes at most.
        page: the folder of the web page's files.
    """

    model: str
    detector: str = "auto"
    workers: int = 1
    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    remote: bool = False
    limits: Limits = field(default_factory=Limits)
    page: Path = PAGE

    def __post_init__(self) -> None:
        if self.workers < 1 or not 0 <= self.port <= 65535:
            raise UsageError(f"expected a port up to 65535 and a worker or more; received {self.port}, {self.workers}")
        if self.token and (len(self.token) < LEAST_TOKEN or not self.token.isascii() or not self.token.isalnum()):
            raise UsageError(
                f"expected a token of {LEAST_TOKEN} letters and digits or more; received one of {len(self.token)}. "
                "Make one with: openssl rand -hex 16"
            )
        if not self.here and not (self.remote and self.token):
            raise UsageError(
                f"expected --host 127.0.0.1; received {self.host}, which other machines reach. If they are to send "
                "images here, say so: --allow-remote --token TOKEN"
            )

    @property
    def here(self) -> bool:
        """Whether this machine alone reaches the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def names(self) -> frozenset[str]:
        """The hosts that a request may name, so that no page elsewhere reaches the server by a name of its own."""
        return frozenset({"127.0.0.1", "localhost", "[::1]", self.host, f"[{self.host}]"})
