"""Servers for tests: real processes at free ports, with fake workers where one is to be slow or to crash."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from PIL import Image
from skimage.data import astronaut

from mien.apps.server import Limits
from running import children_of

if TYPE_CHECKING:
    import numpy as np

HERE = Path(__file__).parent
TIMEOUT_SECONDS = 120.0

SERVER_CODE = """
import json, sys
from pathlib import Path
from mien.apps.server import Limits, Settings, WorkerCommands, run
options = json.loads(sys.argv[1])
if "page" in options["settings"]:
    options["settings"]["page"] = Path(options["settings"]["page"])
settings = Settings(**options["settings"], limits=Limits(**options["limits"]))
commands = WorkerCommands(*map(tuple, options["commands"]))
run(settings, lambda address: print(address, file=sys.stderr, flush=True), commands)
"""

SMALL_LIMITS = Limits(body=200_000, images=3, pixels=1_000_000, frame=300_000, silence=1.0, upload=3.0, video=2_000_000)

FAKE_WORKER = (sys.executable, str(HERE / "fake_worker.py"))
"""In place of the worker: the first bytes of an image select what happens, see ``fake_worker.py``."""


def jpeg(frame: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(frame).save(target, "JPEG", quality=90)
    return target.getvalue()


def face() -> bytes:
    """One smiling face, as JPEG."""
    return jpeg(astronaut()[:256, 96:352])


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    address: str
    log: list[str]

    @property
    def port(self) -> int:
        return int(self.address.rstrip("/").rpartition(":")[2])

    @property
    def children(self) -> list[int]:
        return children_of(self.process.pid)

    def client(self, **choices) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=TIMEOUT_SECONDS, trust_env=False, **choices)

    def metric(self, name: str) -> float:
        """The value of a metric, summed over its labels."""
        with self.client() as client:
            lines = client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[ {{]", line))

    def eventually(self, name: str, value: float) -> None:
        """Waits until a metric has a value."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while (found := self.metric(name)) != value:
            assert time.monotonic() < end, f"{name} is {found}"
            time.sleep(0.05)


@contextlib.contextmanager
def served(*commands, limits=None, folder=None, environment=None, **settings):
    """A server from when it is ready to its end."""
    options = {
        "settings": {"model": "compact", "port": 0, "workers": 1, **settings},
        "limits": asdict(limits or Limits()),
        "commands": [list(command) for command in commands],
    }
    environment = {**os.environ, **({"TMPDIR": str(folder)} if folder else {}), **(environment or {})}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER_CODE, json.dumps(options)],
        stderr=subprocess.PIPE,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(line.decode() for line in process.stderr))
    reader.start()
    try:
        yield Server(process, _address(process, log), log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(TIMEOUT_SECONDS)
        finally:
            process.kill()
            process.wait()
            reader.join(TIMEOUT_SECONDS)
            process.stderr.close()


def _address(process: subprocess.Popen[bytes], log: list[str]) -> str:
    end = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        found = next((line.strip() for line in log if line.startswith("http://")), None)
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("".join(log))
