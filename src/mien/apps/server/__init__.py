"""The HTTP server of ``mien serve``: a web page and an API; inference runs in worker processes."""

from mien.apps.server.app import listen, run
from mien.apps.server.service import WorkerCommands
from mien.apps.server.settings import Limits, Settings

__all__ = ["Limits", "Settings", "WorkerCommands", "listen", "run"]
