"""Ray Data: the same reading as a map over actors that hold the model, on this machine or on a cluster."""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.batch.isolated import Apart
from mien.batch.plan import Reader
from mien.errors import MissingExtraError, ModelError
from mien.media.files import cache_folder
from mien.media.prefetch import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mien.batch.plan import Plan

    Put = Callable[[int, str], None]

BLOCKS = 1000
"""Of a run at most: what a kill of this process costs is the block that each actor works on."""


SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Of Ray, unless they are set already: nothing leaves the machine, and only what is fatal is told."""

LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Of a cluster on this machine alone: Ray uses 127.0.0.1 and does not connect to 8.8.8.8 to find its own address."""


def read_on_ray(plan: Plan, shards: Sequence[int], put: Put, processes: int | None = None) -> None:
    """Reads shards by actors of Ray, one a core of the cluster that RAY_ADDRESS names, or of this machine.

    Every machine must have this mien, the same models, and the images under the same paths.

    Args:
        plan: of the run.
        shards: those that are to be read.
        put: takes the number and the JSON Lines of each, as they come; called here.
        processes: actors; None: one a core.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    local = not os.environ.get("RAY_ADDRESS")
    for name, value in (SETTINGS | LOOPBACK_ONLY if local else SETTINGS).items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("the engine ray", "Ray Data", "scale") from error
    with ExitStack() as stack:
        if not ray.is_initialized():
            if local:
                stack.enter_context(_home_without_cloud())
            cpus = max(processes or 0, cores()) if local else None
            ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            stack.callback(ray.shutdown)
        _be_quiet()
        there = ray.cluster_resources()["CPU"]  # type: ignore[no-untyped-call]
        count = min(processes or int(there), len(shards))
        items = [{"shard": shard, "images": list(plan.images_of(shard))} for shard in shards]
        read = ray.data.from_items(items, override_num_blocks=min(len(items), BLOCKS)).map(
            _Actor,  # type: ignore[arg-type]  # a class is what makes actors of it
            fn_constructor_args=[plan.reader],
            compute=ray.data.ActorPoolStrategy(size=count),
            num_cpus=1,
        )
        for row in read.iter_rows():
            put(row["shard"], row["lines"])


@contextmanager
def _home_without_cloud() -> Iterator[None]:
    """A home directory for Ray's processes that says they run in no cloud.

    Ray's dashboard process reads the cloud provider from ~/ray_bootstrap_config.yaml, even with usage statistics off.
    Without that file it sends requests to 169.254.169.254 and metadata.google.internal.
    """
    home = os.environ.get("HOME")
    os.environ.setdefault("MIEN_CACHE", str(cache_folder()))  # found there by processes that inherit another home
    with tempfile.TemporaryDirectory(prefix="mien-ray-") as folder:
        (Path(folder) / "ray_bootstrap_config.yaml").write_text("provider: {type: local}\n", encoding="utf-8")
        os.environ["HOME"] = folder
        try:
            yield
        finally:
            if home is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = home


def _be_quiet() -> None:
    """Progress is told by who asks for the run."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)


class _Actor:
    """Reads shards, in a process beside its own: an image may end it.

    Args:
        reader: what reads them; its files must be the same here as where the run was begun.

    Raises:
        ModelError: they are others.
    """

    def __init__(self, reader: Reader) -> None:
        if (here := Reader.of(reader.model, reader.detector, reader.labels)) != reader:
            raise ModelError(f"expected the same mien and models on every machine: {reader}; received {here}")
        self._apart = Apart(reader)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"shard": row["shard"], "lines": self._apart.read(list(row["images"]))}
