"""The model store: finds models by name, whether shipped with mien, downloaded, or added by the user.

Every model is read completely and its SHA-256 compared before onnxruntime sees it, because onnxruntime loads many
damaged files without an error. ``ModelStore.load`` returns the very bytes that were checked.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mien.errors import FetchError, ModelError, ModelMissingError, reinstall_command
from mien.media.files import cache_folder, write_bytes, write_text
from mien.models.download import Remote, fetch
from mien.models.manifest import Entry, entry_of, read_entries, to_json
from mien.models.onnx_file import check_seal, read_onnx, read_tarball
from mien.models.onnx_graph import check_graph

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

SHIPPED = Path(__file__).with_name("weights")
MANIFEST = "manifest.json"
ADDED = "added.json"


@dataclass(frozen=True, slots=True)
class Check:
    """Result of ``ModelStore.verify`` for one model: its name, its state, and the file that was checked."""

    name: str
    state: Literal["ok", "missing", "changed"]
    where: Path


class ModelStore:
    """Finds models by name or path, and verifies their bytes on each access.

    Args:
        shipped: folder of the manifest and of the models shipped with mien.
        cache: folder of downloaded and added models; by default ``models`` in ``mien.media.files.cache_folder()``.

    Attributes:
        cache: that folder; it may not exist yet.

    Example:
        >>> from mien.models.onnx_file import card_of
        >>> from mien.models.store import ModelStore
        >>> store = ModelStore()
        >>> [entry.name for entry in store.entries()][:2]
        ['compact', 'compact-int8']
        >>> card_of(store.load("compact")).name
        'compact'
    """

    def __init__(self, shipped: str | os.PathLike[str] = SHIPPED, cache: str | os.PathLike[str] | None = None) -> None:
        self._shipped = Path(shipped)
        self.cache = Path(cache) if cache is not None else cache_folder() / "models"
        self._manifest = read_entries(self._shipped / MANIFEST)

    def entries(self) -> tuple[Entry, ...]:
        """The models of the manifest, then those that the user added.

        Raises:
            ModelError: the list of added models is damaged.
        """
        names = {entry.name for entry in self._manifest}
        # a later mien may ship a name that a user took: the shipped model wins
        return self._manifest + tuple(entry for entry in self._added() if entry.name not in names)

    def entry(self, name: str) -> Entry:
        """The entry of a model.

        Raises:
            ModelError: there is no model of that name.
        """
        for entry in self._manifest:  # first, so that a damaged list of added models can't hide a shipped one
            if entry.name == name:
                return entry
        entries = self.entries()
        for entry in entries:
            if entry.name == name:
                return entry
        raise ModelError(
            f"expected the path of an .onnx file, or one of the models {[entry.name for entry in entries]}; "
            f"received {name!r}. A model of your own gets a name by: mien models add FILE"
        )

    def load(self, model: str | os.PathLike[str]) -> bytes:
        """Read and verify a model.

        Args:
            model: a name, whose size and SHA-256 the store knows; or the path of a file, which must be listed in the
                manifest or have mien's seal.

        Returns:
            The verified bytes, for ``Classifier`` or ``MienDetector``.

        Raises:
            ModelMissingError: the named model is not on this machine; the message says how to get it.
            ModelError: the name is unknown, the bytes are not those that were published or written, or the graph in a
                file is one that ``check_graph`` refuses.
        """
        return self._resolve(model)[1]

    def path(self, model: str | os.PathLike[str]) -> Path:
        """The path of a model's file, after the checks of ``load``; to use the model, ``load`` it."""
        return self._resolve(model)[0]

    def has(self, name: str) -> bool:
        """Whether a model is on this machine, unchanged."""
        return self._find(self.entry(name)) is not None

    def pull(self, name: str, progress: Callable[[int, int], None] | None = None) -> Path:
        """Download a published model into the cache, unless it is on this machine already.

        Args:
            name: of a model in ``entries()``.
            progress: called with the bytes received and the bytes expected.

        Returns:
            The path of the file.

        Raises:
            FetchError: the download failed; the message says how to bring the file by hand.
            ModelError: the name is unknown.
        """
        entry = self.entry(name)
        found = self._find(entry)
        if found is not None:
            return found[0]
        if not entry.url:
            raise FetchError(f"{name} is published nowhere. {self._remedy(entry)}")
        path = self.cache / entry.file
        try:
            fetch(Remote(entry.url, entry.size, entry.sha256), path, progress)
        except FetchError as error:
            raise FetchError(f"{error}. {_by_hand(entry)}") from error
        return path

    def add(self, file: str | os.PathLike[str], name: str | None = None) -> Entry:
        """Copy a model file into the cache: one listed in the manifest, or one that mien wrote.

        Args:
            file: an .onnx file, or the tarball of a package listed in the manifest.
            name: for a model of the user's own; by default the name in its card.

        Raises:
            ModelError: the file is no such model or was changed, the name is refused, or the cache can't be written.
        """
        file = Path(file)
        model = read_tarball(file) if _is_tarball(file) else read_onnx(file)
        digest = hashlib.sha256(model).hexdigest()
        for known in self._manifest:
            if known.sha256 == digest:
                self._write(known.file, model)
                return known
        if _is_tarball(file):
            packages = (entry for entry in self._manifest if entry.kind == "package")
            known_files = ", ".join(f"{entry.file} (SHA-256 {entry.sha256})" for entry in packages)
            raise ModelError(
                f"expected a package that mien knows, {known_files or 'of which there is none'}; received {digest}"
            )
        entry = entry_of(model, file.name, name, digest)
        if any(entry.name == known.name for known in self._manifest):
            raise ModelError(f"the name {entry.name} belongs to a model of mien's own: give yours another with --name")
        # the digest in the file name lets a new version arrive before the list drops the old one
        entry = dataclasses.replace(entry, file=f"{entry.name}-{digest[:8]}.onnx")
        added = self._added()
        self._write(entry.file, model)
        self._write_list((*(known for known in added if known.name != entry.name), entry), before=added)
        return entry

    def remove(self, name: str) -> None:
        """Delete a downloaded or added model from the cache.

        Raises:
            ModelMissingError: it is not in the cache.
            ModelError: the name is unknown, the model is part of mien, or the cache can't be written.
        """
        entry = self.entry(name)
        added = self._added() if entry not in self._manifest else ()
        path = self.cache / entry.file
        if entry in added:
            self._write_list(tuple(known for known in added if known != entry), before=added)
        elif (self._shipped / entry.file).exists() and not path.exists():
            raise ModelError(f"{name} is part of mien and can't be removed")
        elif not path.exists():
            raise ModelMissingError(f"{name} is not in {self.cache}: there is nothing to remove")
        else:
            self._unlink(entry.file)

    def verify(self) -> tuple[Check, ...]:
        """Check the file of every model, in the order of ``entries()``."""
        return tuple(self._check(entry) for entry in self.entries())

    @staticmethod
    def describe(file: str | os.PathLike[str]) -> Entry:
        """The manifest entry for a model file that mien wrote.

        Raises:
            ModelError: the file is no such model, or was changed.
        """
        return entry_of(read_onnx(Path(file)), Path(file).name)

    def _find(self, entry: Entry) -> tuple[Path, bytes] | None:
        """Path and bytes of a model's file, verified; None if there is no unchanged one."""
        for path in self._paths(entry):
            content = _verified_bytes(entry, path)
            if content is not None:
                return path, content
        return None

    def _check(self, entry: Entry) -> Check:
        found = self._find(entry)
        return Check(entry.name, "ok", found[0]) if found is not None else self._fault(entry)

    def _fault(self, entry: Entry) -> Check:
        """Explain why ``_find`` returned None: the file is missing or changed."""
        changed = next((path for path in self._paths(entry) if path.exists()), None)
        if changed is not None:
            return Check(entry.name, "changed", changed)
        return Check(entry.name, "missing", self.cache / entry.file)

    def _resolve(self, model: str | os.PathLike[str]) -> tuple[Path, bytes]:
        if _is_path(model):
            return Path(model), self._read_sealed(Path(model))
        entry = self.entry(str(model))
        found = self._find(entry)
        if found is not None:
            return found
        fault = self._fault(entry)
        if fault.state == "missing":
            raise ModelMissingError(f"the model {entry.name} is not on this machine. {self._remedy(entry)}")
        raise ModelError(
            f"{fault.where} was changed or damaged: expected {entry.size} bytes with SHA-256 {entry.sha256}. "
            f"{self._remedy(entry)}"
        )

    def _read_sealed(self, file: Path) -> bytes:
        model = read_onnx(file)
        if hashlib.sha256(model).hexdigest() not in {entry.sha256 for entry in self._manifest}:
            check_seal(model)
            check_graph(model)
        return model

    def _paths(self, entry: Entry) -> tuple[Path, ...]:
        return (self._shipped / entry.file, self.cache / entry.file)

    def _remedy(self, entry: Entry) -> str:
        if entry.url:
            return f"Get it with: mien models pull {entry.name}. {_by_hand(entry)}"
        if entry in self._manifest:
            return f"Install mien again: {reinstall_command()}"
        return f"Add it again: mien models add FILE --name {entry.name}"

    def _added(self) -> tuple[Entry, ...]:
        listing = self.cache / ADDED
        if not listing.exists():
            return ()
        try:
            return read_entries(listing)
        except ModelError as error:
            raise ModelError(
                f"{error}. The model files next to it are intact: delete {listing.name} and add them again"
            ) from error

    def _write_list(self, entries: tuple[Entry, ...], before: tuple[Entry, ...]) -> None:
        try:
            write_text(self.cache / ADDED, to_json(entries))
        except OSError as error:
            raise self._unwritable(error) from error
        for file in {entry.file for entry in before} - {entry.file for entry in entries}:
            self._unlink(file)

    def _write(self, file: str, model: bytes) -> None:
        try:
            write_bytes(self.cache / file, model)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unlink(self, file: str) -> None:
        try:
            (self.cache / file).unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> ModelError:
        return ModelError(f"the cache {self.cache} can't be written ({error}): name another folder in MIEN_CACHE")


def _is_path(model: str | os.PathLike[str]) -> bool:
    if not isinstance(model, str) or "/" in model or "\\" in model:
        return True
    return model.lower().endswith(".onnx") and Path(model).is_file()


def _is_tarball(file: Path) -> bool:
    return file.suffix.lower() == ".tgz"


def _verified_bytes(entry: Entry, path: Path) -> bytes | None:
    """The bytes of a file if they are those of the entry, else None."""
    try:
        if path.stat().st_size != entry.size:
            return None
        with path.open("rb") as stream:
            model = stream.read(entry.size + 1)
    except OSError:
        return None
    return model if hashlib.sha256(model).hexdigest() == entry.sha256 else None


def _by_hand(entry: Entry) -> str:
    return (
        f"Without a network here, bring {entry.url} (SHA-256 {entry.sha256}) from another machine, "
        f"then: mien models add {entry.file}"
    )
