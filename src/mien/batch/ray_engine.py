"""The Ray engine: shards are mapped over Ray Data actors, on this machine or on a cluster."""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.batch.local_engine import analyze_shard
from mien.batch.plan import Pipeline
from mien.errors import MissingExtraError, ModelError
from mien.media.files import cache_folder
from mien.media.prefetch import cores
from mien.workers import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mien.batch.plan import Plan

    WriteShard = Callable[[int, str], None]

MAX_BLOCKS = 1000
"""Blocks of a run: a kill of this process costs the block that each actor works on."""

RAY_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Environment of Ray, unless already set: no usage reports, and fatal messages only."""

LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""For a cluster on this machine alone: Ray uses 127.0.0.1 and does not connect to 8.8.8.8 to find its own address."""


def run_on_ray(plan: Plan, shards: Sequence[int], write: WriteShard, processes: int | None = None) -> None:
    """Analyze shards in Ray actors, one per core of the cluster at RAY_ADDRESS, or of this machine.

    Every machine needs the same mien, the same models, and the images under the same paths.

    Args:
        plan: of the run.
        shards: numbers of those to analyze.
        write: takes the number and the JSON Lines of each shard as it finishes; called in this process.
        processes: actors; None: one per core.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    local = not os.environ.get("RAY_ADDRESS")
    for name, value in (RAY_SETTINGS | LOOPBACK_ONLY if local else RAY_SETTINGS).items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("the engine ray", "ray", "scale") from error
    with ExitStack() as stack:
        if not ray.is_initialized():
            if local:
                stack.enter_context(_home_without_cloud())
            cpus = max(processes or 0, cores()) if local else None
            ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            stack.callback(ray.shutdown)
        _silence_ray()
        available = ray.cluster_resources()["CPU"]  # type: ignore[no-untyped-call]
        count = min(processes or int(available), len(shards))
        items = [{"shard": shard, "images": list(plan.images_of(shard))} for shard in shards]
        analyzed = ray.data.from_items(items, override_num_blocks=min(len(items), MAX_BLOCKS)).map(
            ShardActor,  # type: ignore[arg-type]  # Ray makes actors of a class
            fn_constructor_args=[plan.pipeline],
            compute=ray.data.ActorPoolStrategy(size=count),
            num_cpus=1,
        )
        for row in analyzed.iter_rows():
            write(row["shard"], row["lines"])


@contextmanager
def _home_without_cloud() -> Iterator[None]:
    """Give Ray's processes a home directory whose configuration names no cloud provider.

    Ray's dashboard process reads the cloud provider from ~/ray_bootstrap_config.yaml, even with usage statistics off.
    Without that file it sends requests to 169.254.169.254 and metadata.google.internal.
    """
    home = os.environ.get("HOME")
    os.environ.setdefault("MIEN_CACHE", str(cache_folder()))  # for processes that inherit another home
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


def _silence_ray() -> None:
    """Switch off Ray's own progress bars and log; the caller reports progress."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)


class ShardActor:
    """Analyzes shards with a worker process of its own, so that an image can't crash the actor.

    Args:
        pipeline: its model files must be the same here as where the run was started.

    Raises:
        ModelError: the model files or the version of mien differ.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        if (here := Pipeline.of(pipeline.model, pipeline.detector, pipeline.head)) != pipeline:
            raise ModelError(f"expected the same mien and models on every machine: {pipeline}; received {here}")
        self._head = pipeline.head
        self._worker = WorkerProcess(pipeline.worker)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Analyze the shard of a row."""
        return {"shard": row["shard"], "lines": analyze_shard(self._worker, self._head, list(row["images"]))}
