"""The web page and the HTTP API of ``mien serve``: reading happens in processes beside the one that answers."""

from mien.apps.server.running import Commands, listen, run
from mien.apps.server.settings import Limits, Settings

__all__ = ["Commands", "Limits", "Settings", "listen", "run"]
