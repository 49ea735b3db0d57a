"""What is measured, on what, and the machine it is measured on."""

from __future__ import annotations

import datetime as dt
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from mien.media.image import find_images
from mien.media.prefetch import cores
from mien.models.store import ModelStore
from mien.recognizer import detectors_here, find_detector

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from mien.detection import Detector

SHARED = Path(__file__).parents[2] / "shared"
PHOTOS = SHARED / "data" / "photos"
VIDEO = SHARED / "data" / "video" / "woman.mp4"
YUNET = SHARED / "models" / "yunet_n_dynamic.onnx"
PORTRAIT = Path(__file__).parents[1] / "src" / "mien" / "apps" / "portrait.jpg"
LIBRARIES = ("numpy", "onnxruntime", "opencv-python-headless", "Pillow")
REPEATS = 50
BUSY = 0.5


@dataclass(frozen=True)
class Setting:
    """One run of the benchmark.

    Attributes:
        model: the classifier, by name or path.
        store: where models are found.
        environment: for processes that are to find the same models.
        detectors: names of those whose model is there.
        photo: the image of the cold start.
        photos: the images of the throughput.
        peers: the Python whose libraries mien's cold start is held against.
        video: the one that is read; None: there is none.
        fer: a Python that has the fer library; None: there is none.
        many: images of the long run.
        rounds: of every measurement but the photos'.
        passes: over the photos.
        threads: the counts of threads that are measured.
    """

    model: str
    store: ModelStore
    environment: Mapping[str, str]
    detectors: tuple[str, ...]
    photo: Path
    photos: tuple[Path, ...]
    peers: str
    video: Path | None
    fer: str | None
    many: int
    rounds: int
    passes: int
    threads: tuple[int, ...]

    @classmethod
    def of(cls, asked: argparse.Namespace, scratch: Path) -> Setting:
        """The setting that a command line asks for; models given as files go to a store in ``scratch``."""
        store, environment = ModelStore(), dict(os.environ)
        file = asked.yunet or (YUNET if YUNET.exists() and not store.has("yunet") else None)
        if file:
            store, environment["MIEN_CACHE"] = ModelStore(cache=scratch / "models"), str(scratch)
            store.add(file)
        return cls(
            model=asked.model,
            store=store,
            environment=environment,
            detectors=detectors_here(store),
            photo=asked.photo,
            photos=_photos(asked.photos, asked.sample),
            peers=asked.peers,
            video=asked.video,
            fer=asked.fer,
            many=asked.many,
            rounds=asked.rounds,
            passes=asked.passes,
            threads=(1, 2) if cores() > 1 else (1,),
        )

    def detector(self, name: str, threads: int) -> Detector:
        """A detector; OpenCV's threads are set by ``cv2.setNumThreads`` and so are not its own."""
        return find_detector(name, self.store, threads)


def machine() -> str:
    """The machine and the versions in one line."""
    versions = [f"{name} {version(name)}" for name in ("mien", *LIBRARIES)]
    parts = [
        f"{cores()} cores of {_processor()}",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        *versions,
    ]
    return ", ".join(parts)


def today() -> str:
    """The date in UTC."""
    return dt.datetime.now(dt.UTC).date().isoformat()


def busy() -> float | None:
    """How many processes wanted a core in the last minute, on average; None where that is too few to matter."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return load if load > BUSY else None


def _photos(folder: Path | None, sample: int) -> tuple[Path, ...]:
    """Images of a folder, evenly chosen; without one those that are at hand after an install, many times."""
    if folder is None:
        import matplotlib as mpl

        return (PORTRAIT, Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg") * REPEATS
    images = list(find_images([folder]))
    count = min(sample or len(images), len(images))
    return tuple(images[index * len(images) // count] for index in range(count))


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
