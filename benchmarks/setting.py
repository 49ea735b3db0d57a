"""The models, data and machine of a benchmark run."""

from __future__ import annotations

import datetime as dt
import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from mien.detection import detectors_here, find_detector
from mien.media.folders import find_files
from mien.media.prefetch import cores
from mien.models.store import ModelStore

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from mien.detection import Detector

SHARED = Path(__file__).parents[2] / "shared"
PHOTOS = SHARED / "data" / "photos"
VIDEO = SHARED / "data" / "video" / "woman.mp4"
YUNET = SHARED / "models" / "yunet_n_dynamic.onnx"
PORTRAIT = Path(__file__).parents[1] / "src" / "mien" / "apps" / "portrait.jpg"
LIBRARIES = ("av", "numpy", "onnxruntime", "Pillow")
REPEATS = 50
MAX_IDLE_LOAD = 0.5


@dataclass(frozen=True)
class Setting:
    """Settings of a benchmark run.

    Attributes:
        model: the classifier, by name or path.
        store: the model store.
        environment: variables by which child processes find the same models.
        detectors: names of the detectors whose model is available.
        photo: image of the cold start.
        photos: images of the throughput measurement.
        peers: Python interpreter with the libraries that the cold start is compared with.
        video: video of the video measurement; None skips it.
        fer: Python interpreter that has the fer library; None skips it.
        many: number of images of the long run.
        rounds: of every measurement but the throughput's.
        passes: repeats over the photos.
        threads: thread counts to measure.
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
    def of(cls, arguments: argparse.Namespace, scratch: Path) -> Setting:
        """The settings of a command line; models given as files go to a store in ``scratch``."""
        store, environment = ModelStore(), dict(os.environ)
        file = arguments.yunet or (YUNET if YUNET.exists() and not store.has("yunet") else None)
        if file:
            store, environment["MIEN_CACHE"] = ModelStore(cache=scratch / "models"), str(scratch)
            store.add(file)
        return cls(
            model=arguments.model,
            store=store,
            environment=environment,
            detectors=detectors_here(store),
            photo=arguments.photo,
            photos=_photos(arguments.photos, arguments.sample),
            peers=arguments.peers,
            video=arguments.video,
            fer=arguments.fer,
            many=arguments.many,
            rounds=arguments.rounds,
            passes=arguments.passes,
            threads=(1, 2) if cores() > 1 else (1,),
        )

    def detector(self, name: str, threads: int) -> Detector:
        """Load a detector; the threads of Haar cascades are set by ``cv2.setNumThreads`` instead."""
        return find_detector(name, self.store, threads)


def machine() -> str:
    """Processor, system and library versions in one line."""
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
    """Load average of the last minute; None if it is too low to matter."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return load if load > MAX_IDLE_LOAD else None


def _photos(folder: Path | None, sample: int) -> tuple[Path, ...]:
    """Evenly sampled images of a folder; without one, the two images of an installation, repeated."""
    if folder is None:
        import matplotlib as mpl

        return (PORTRAIT, Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg") * REPEATS
    images = list(find_files([folder], ["image"]))
    count = min(sample or len(images), len(images))
    return tuple(images[index * len(images) // count] for index in range(count))


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
