"""Models that clients may download: those of the store, the served one, and the files of onnxruntime-web."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mien.apps.model_file import inspect_model
from mien.apps.server.downloads import CheckedFile, state_of
from mien.apps.server.errors import ApiError
from mien.errors import ModelError
from mien.models.card import ModelCard
from mien.models.onnx_file import any_card_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.models.manifest import Entry
    from mien.models.store import ModelStore

PACKAGE_KIND = "package"
WEB_RUNTIME = "onnxruntime-web"
DIST_FOLDER = "package/dist/"
MAX_UNPACKED_FILES = 16
"""Files of the package that are kept in memory; a page loads three."""


@dataclass(frozen=True)
class CatalogEntry:
    """A model as clients see it.

    Attributes:
        name: by which clients request it.
        kind: "classifier" or "detector".
        labels: of the fused output; none for a detector, or a model that is not on this machine.
        available: whether it is on this machine.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    available: bool


class ModelContent(NamedTuple):
    """The checked bytes of a model file and their SHA-256, lower-case hex."""

    content: bytes
    sha256: str


class ModelCatalog:
    """The models of a store, and the served one, which may be a file.

    Args:
        store: the model store.
        served: name or path of the model that the workers load.
        served_name: gives the name in its card.
    """

    def __init__(self, store: ModelStore, served: str, served_name: Callable[[], str]) -> None:
        self._store, self._served, self._served_name = store, served, served_name
        self._serves_file = served not in self._stored()
        self._files: dict[str, CheckedFile] = {}
        self._checking = threading.Lock()
        # by SHA-256: pages that run models themselves request these each time
        self._cards: dict[str, dict[str, Any]] = {}
        self._labels: dict[str, tuple[str, ...]] = {}

    @property
    def default(self) -> str:
        """The name of the served model."""
        return self._served_name() if self._serves_file else self._served

    def check_served(self, name: str | None) -> None:
        """Check that a model that a client names is the served one.

        Raises:
            ApiError: it is another.
        """
        if name is not None and name not in (self.default, self._served_name()):
            raise ApiError(
                "unknown_model",
                f"expected the model {self.default}, which this server runs; received another. Leave the name out, or "
                "start a server for each model: mien serve --model NAME",
            )

    def entries(self) -> list[CatalogEntry]:
        """All models."""
        kinds = {name: entry.kind for name, entry in self._stored().items()}
        if self._serves_file:
            kinds[self.default] = "classifier"
        return [self._entry(name, kind) for name, kind in kinds.items()]

    def file(self, name: str) -> CheckedFile:
        """A model file on the disk; its bytes are read and checked when they are new.

        Raises:
            ApiError: it is not on this machine.
        """
        source = self._source(name)
        with self._checking:  # so that one model is in memory at a time, however many clients there are
            known = self._files.get(name)
            if known is None or not known.is_unchanged:
                known = self._files[name] = self._check(name, source)
            return known

    def card(self, name: str) -> dict[str, Any]:
        """What ``mien models show NAME --json`` prints.

        Raises:
            ApiError: the model is not on this machine.
        """
        sha256 = self.file(name).sha256
        if sha256 not in self._cards:
            model = self._load(name)
            sha256 = model.sha256
            self._cards[sha256] = inspect_model(model.content).to_dict()
        return self._cards[sha256]

    def _source(self, name: str) -> str | Path:
        """What the store finds a model by: a path only from the command line, never from a request."""
        if self._serves_file and name == self.default:
            return Path(self._served)
        if name not in self._stored():
            raise ApiError("not_found", "expected the name of a model; received another. See /v1/models")
        return name

    def _check(self, name: str, source: str | Path) -> CheckedFile:
        try:
            path = self._store.path(source)
            state = state_of(path)  # before the bytes are read, so that no later change is missed
            return CheckedFile(path, hashlib.sha256(self._store.load(source)).hexdigest(), state)
        except (ModelError, OSError) as error:
            raise _missing(name) from error

    def _load(self, name: str) -> ModelContent:
        try:
            content = self._store.load(self._source(name))
        except ModelError as error:
            raise _missing(name) from error
        return ModelContent(content, hashlib.sha256(content).hexdigest())

    def _stored(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self._store.entries() if entry.kind != PACKAGE_KIND}

    def _entry(self, name: str, kind: str) -> CatalogEntry:
        try:
            sha256 = self.file(name).sha256
            if sha256 not in self._labels:
                model = self._load(name)
                sha256 = model.sha256
                self._labels[sha256] = _fused_labels(model.content)
        except ApiError:
            return CatalogEntry(name, kind, (), available=False)
        return CatalogEntry(name, kind, self._labels[sha256], available=True)


def _missing(name: str) -> ApiError:
    return ApiError("not_found", f"{name} is not on this machine: mien models pull {name}")


def _fused_labels(content: bytes) -> tuple[str, ...]:
    try:
        card = any_card_of(content)
    except ModelError:  # a third-party detector without a card of mien's
        return ()
    return tuple(map(str, card.fused.labels)) if isinstance(card, ModelCard) else ()


class WebRuntime:
    """The files of onnxruntime-web's npm package, unpacked in memory, never to disk.

    Args:
        store: where the package is found.
    """

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._files: dict[str, bytes] = {}
        self._lock = threading.Lock()

    @property
    def sha256(self) -> str:
        """The SHA-256 of the package, lower-case hex."""
        return self._store.entry(WEB_RUNTIME).sha256

    def file(self, name: str) -> bytes:
        """A file of the package's ``dist/``; unpacking takes a second, so call it in a thread.

        Raises:
            ApiError: the package is not on this machine, or has no such file.
        """
        with self._lock:
            if name not in self._files:
                content = self._unpack(name)
                while len(self._files) >= MAX_UNPACKED_FILES:
                    del self._files[next(iter(self._files))]
                self._files[name] = content
            return self._files[name]

    def _unpack(self, name: str) -> bytes:
        try:
            package = self._store.load(WEB_RUNTIME)
        except ModelError as error:
            archive = self._store.entry(WEB_RUNTIME).file
            raise ApiError(
                "missing_package",
                f"expected {WEB_RUNTIME} on this machine; it is missing. Get it with: mien models pull {WEB_RUNTIME}, "
                f"or bring {archive} and: mien models add {archive}",
            ) from error
        # its SHA-256 matched, so it is the published package and unpacks to no more
        with tarfile.open(fileobj=io.BytesIO(package), mode="r|gz") as members:
            for member in members:
                if member.name == DIST_FOLDER + name and member.isreg():
                    file = members.extractfile(member)
                    return file.read() if file else b""
        raise ApiError("not_found", f"expected a file of {WEB_RUNTIME}; received another name")
