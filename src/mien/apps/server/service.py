"""What all routes of a server share."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.apps.server import pool
from mien.apps.server.admission import Admission
from mien.apps.server.jobs import Jobs
from mien.apps.server.metrics import Metrics
from mien.apps.server.models import Models
from mien.apps.server.package import Package
from mien.apps.server.pool import Pool
from mien.models.store import ModelStore

if TYPE_CHECKING:
    from mien.apps.server.settings import Settings


@dataclass(frozen=True)
class Commands:
    """What begins the processes that read.

    Attributes:
        images: one that reads images.
        video: one that reads a video.
    """

    images: tuple[str, ...] = pool.COMMAND
    video: tuple[str, ...] = (sys.executable, "-c", "from mien.apps.server.video_reading import main; main()")


class Service:
    """The parts of a server, begun and ended together.

    Args:
        settings: of the server.
        commands: what begins its processes.
        store: where models are found; the default one if None.

    Attributes:
        told: what the model tells of: its name and label sets; there once it is begun.
    """

    def __init__(self, settings: Settings, commands: Commands, store: ModelStore | None = None) -> None:
        limits = settings.limits
        told = {"model": settings.model, "detector": settings.detector}
        self.settings, self.limits, self.metrics = settings, limits, Metrics()
        self.pool = Pool(settings.workers, {**told, "pixels": limits.pixels}, self.metrics, commands.images)
        self.jobs = Jobs(commands.video, told, limits)
        self.admission = Admission(settings.workers + limits.waiting, "busy", "requests")
        self.sockets = Admission(limits.sockets, "busy", "sockets")
        self.told: dict[str, Any] = {}
        store = store or ModelStore()
        self.models = Models(store, settings.model, lambda: str(self.told["name"]))
        self.package = Package(store)
        self.metrics.gauges = {
            "mien_requests_accepted": lambda: self.admission.taken,
            "mien_workers": lambda: self.pool.alive,
            "mien_sockets": lambda: self.sockets.taken,
            "mien_videos": lambda: self.jobs.waiting,
        }

    @property
    def label_sets(self) -> dict[str, Any]:
        """Label sets of the model by name, that of users first: labels and the threshold below which one is unsure."""
        sets: dict[str, Any] = self.told["label_sets"]
        return sets

    async def begin(self) -> None:
        """Begins its processes.

        Raises:
            MienError: they can't begin.
        """
        self.told = await self.pool.begin()

    async def end(self) -> None:
        """Ends its processes and removes its files."""
        await self.jobs.close()
        self.pool.close()
