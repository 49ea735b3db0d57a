"""onnxruntime-web, as its npm package has it: checked, and taken apart in memory, never on the disk."""

from __future__ import annotations

import io
import tarfile
import threading
from typing import TYPE_CHECKING

from mien.apps.server.faults import Refusal
from mien.errors import ModelError

if TYPE_CHECKING:
    from mien.models.store import ModelStore

NAME = "onnxruntime-web"
FOLDER = "package/dist/"
KEPT = 16
"""Files that are kept unpacked: a page takes three."""


class Package:
    """Gives the files of the package.

    Args:
        store: where it is found.
    """

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._files: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @property
    def digest(self) -> str:
        """The SHA-256 of the package, lower-case hex."""
        return self._store.entry(NAME).sha256

    def file(self, name: str) -> bytes:
        """A file of its ``dist/``; the first time it takes a second. In a thread.

        Raises:
            Refusal: the package is not on this machine, or has no such file.
        """
        with self._lock:
            if name not in self._files:
                content = self._unpacked(name)
                while len(self._files) >= KEPT:
                    del self._files[next(iter(self._files))]
                self._files[name] = content
            return self._files[name]

    def _unpacked(self, name: str) -> bytes:
        try:
            package = self._store.load(NAME)
        except ModelError as error:
            raise Refusal(
                "missing_package",
                f"expected {NAME} on this machine; it is not there. Get it with: mien models pull {NAME}, or bring "
                f"{self._store.entry(NAME).file} and: mien models add {self._store.entry(NAME).file}",
            ) from error
        # its SHA-256 is right, so it holds what it did when mien was published, and unpacks to no more
        with tarfile.open(fileobj=io.BytesIO(package), mode="r|gz") as members:
            for member in members:
                if member.name == FOLDER + name and member.isreg():
                    file = members.extractfile(member)
                    return file.read() if file else b""
        raise Refusal("not_found", f"expected a file of {NAME}; there is none of that name")
