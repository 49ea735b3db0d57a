"""A process that teaches tiny runs in forks of itself: Keras is imported once, however many of them are killed.

It reads a job a line, prints the process id of the fork, and when that ended its exit status.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from tasks_drawn import QUICK, drawn

from mien.data.dataset import PUBLIC_TEST, TRAINING
from mien.training import prepare_backend
from mien.training.run.directory import is_run

CONFIG = replace(
    QUICK, network="dense-64-32-relu", epochs=4, batch=16, dropout=0.3, optimizer="adamw", learning_rate=0.003
)


def train(run: Path, fatal: int) -> None:
    """Begins the run or goes on with it, saving after each step; kills itself in its ``fatal``-th write, half done."""
    from mien.training.engine.loop import Options
    from mien.training.tasks.classification.task import fit

    writes = 0

    def write(path: Path, content: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes == fatal:
            path.write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        path.write_bytes(content)  # a kill, unlike a power cut, takes nothing back that the system was given

    data = drawn(each=8)
    options = Options(resume=is_run(run), checkpoint_minutes=0.0, write=write)
    fit(data.split(TRAINING), data.split(PUBLIC_TEST), CONFIG, run, lambda _: None, options)


def main() -> None:
    prepare_backend()
    import keras

    import mien.training.tasks.classification.task  # noqa: F401 - once for all forks

    keras.utils.set_random_seed(0)  # its first call imports TensorFlow wherever that is installed: once for all, too
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                train(Path(job["run"]), job["fatal"])
            except BaseException:  # noqa: BLE001 - a fork must never come back into the loop
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
