"""Worker processes driven over pipes: a bad request can crash only the worker that handles it.

One protocol, one process supervisor, one pool and one worker program serve the HTTP server, batch runs and video jobs.
"""

from mien.workers.pool import Task, WorkerPool
from mien.workers.process import WorkerExitedError, WorkerProcess
from mien.workers.protocol import Message, WorkerSpec

__all__ = ["Message", "Task", "WorkerExitedError", "WorkerPool", "WorkerProcess", "WorkerSpec"]
