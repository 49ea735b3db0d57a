"""A worker whose behaviour depends on the first bytes of an image.

SLOW takes a while, CRASH kills the worker, STUCK never ends, BROKEN is a bug. HELD is SLOW, and waits as long as the
file exists whose path is in the environment variable HELD_BY. The worker waits with its start, like one that loads its
models, as long as the file exists whose path is in STARTS_AFTER.
"""

import os
import signal
import time
from pathlib import Path

from mien.workers import main as worker

SLOW_SECONDS = 0.3


class FakeWorker(worker.Worker):
    def __init__(self, spec):
        blocker = os.environ.get("STARTS_AFTER")
        while blocker and Path(blocker).exists():
            time.sleep(0.02)
        super().__init__(spec)

    def analyze(self, request, image):
        if image.startswith(b"HELD"):
            while Path(os.environ["HELD_BY"]).exists():
                time.sleep(0.02)
            image = b"SLOW" + image.removeprefix(b"HELD")
        if image.startswith(b"SLOW"):
            time.sleep(SLOW_SECONDS)
            image = image.removeprefix(b"SLOW")
        if image.startswith(b"CRASH"):
            os.kill(os.getpid(), signal.SIGKILL)
        if image.startswith(b"STUCK"):
            time.sleep(3600)
        if image.startswith(b"BROKEN"):
            raise RuntimeError("a secret of /home/me")
        yield from super().analyze(request, image)


if __name__ == "__main__":
    worker.Worker = FakeWorker
    worker.main()
