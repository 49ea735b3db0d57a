"""Models by name: shipped with mien, fetched once from a published address, or added by the user.

Every model is read whole and its SHA-256 compared before its bytes go to onnxruntime, which itself loads many
damaged files without a word. ``ModelStore.load`` hands out the very bytes that were checked.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mien.errors import FetchError, ModelError, ModelMissingError
from mien.media.files import cache_folder, write_bytes, write_text
from mien.models.download import Remote, fetch
from mien.models.manifest import Entry, described, read_entries, to_json
from mien.models.onnx_file import read_onnx, read_tarball
from mien.models.seal import check_seal

if TYPE_CHECKING:
    from collections.abc import Callable

SHIPPED = Path(__file__).with_name("weights")
MANIFEST = "manifest.json"
ADDED = "added.json"


@dataclass(frozen=True, slots=True)
class Check:
    """What ``ModelStore.verify`` found: the model's name, its state, and the file that was looked at."""

    name: str
    state: Literal["ok", "missing", "changed"]
    where: Path


class ModelStore:
    """Finds models by name or path, and checks their bytes each time.

    Args:
        shipped: folder of the manifest and the models that came with mien.
        cache: folder of fetched and added models; by default ``models`` in ``mien.media.files.cache_folder()``.

    Attributes:
        cache: that folder; it need not exist yet.
    """

    def __init__(self, shipped: Path = SHIPPED, cache: Path | None = None) -> None:
        self._shipped = shipped
        self.cache = cache if cache is not None else cache_folder() / "models"
        self._manifest = read_entries(shipped / MANIFEST)

    def entries(self) -> tuple[Entry, ...]:
        """The models of the manifest, then those the user added.

        Raises:
            ModelError: the list of added models is damaged.
        """
        names = {entry.name for entry in self._manifest}
        # a later mien may ship a name that a user took: the shipped model wins
        return self._manifest + tuple(entry for entry in self._added() if entry.name not in names)

    def entry(self, name: str) -> Entry:
        """A model by name.

        Raises:
            ModelError: there is none of that name.
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

    def load(self, model: str | Path) -> bytes:
        """The checked bytes of a model, ready for onnxruntime.

        A name gives the file whose size and SHA-256 the store knows; a path gives that file, which must be one that
        the manifest knows or carry mien's seal.

        Raises:
            ModelMissingError: the named model is not on this machine; the message says how to get it.
            ModelError: the name is unknown, or the bytes are not those that were published or written.
        """
        return self._resolve(model)[1]

    def path(self, model: str | Path) -> Path:
        """Where a model's file is, after the checks of ``load``; to use the model, ``load`` it."""
        return self._resolve(model)[0]

    def has(self, name: str) -> bool:
        """Whether a model is on this machine with the right bytes."""
        return self._check(self.entry(name)).state == "ok"

    def pull(self, name: str, progress: Callable[[int, int], None] | None = None) -> Path:
        """Fetches a published model into the cache, unless the right bytes are on this machine already.

        Args:
            name: a model of ``entries()``.
            progress: called with the bytes that came and those expected.

        Returns:
            The file.

        Raises:
            FetchError: it can't be had; the message says how to bring it by hand.
            ModelError: the name is unknown.
        """
        entry = self.entry(name)
        found = self._check(entry)
        if found.state == "ok":
            return found.where
        if not entry.url:
            raise FetchError(f"{name} is published nowhere. {self._remedy(entry)}")
        place = self.cache / entry.file
        try:
            fetch(Remote(entry.url, entry.size, entry.sha256), place, progress)
        except FetchError as error:
            raise FetchError(f"{error}. {_by_hand(entry)}") from error
        return place

    def add(self, file: Path, name: str | None = None) -> Entry:
        """Takes a model file into the cache: one that the manifest knows, or one that mien wrote.

        Args:
            file: an .onnx file, or the tarball of a package that the manifest knows; it is copied.
            name: what to call a model of the user's own; by default the name in its card.

        Raises:
            ModelError: the file is no such model or was changed, the name is refused, or the cache can't be written.
        """
        model = read_tarball(file) if _is_tarball(file) else read_onnx(file)
        digest = hashlib.sha256(model).hexdigest()
        for known in self._manifest:
            if known.sha256 == digest:
                self._write(known.file, model)
                return known
        if _is_tarball(file):
            told = ", ".join(f"{one.file} (SHA-256 {one.sha256})" for one in self._manifest if one.kind == "package")
            raise ModelError(
                f"expected a package that mien knows, {told or 'of which there is none'}; received {digest}"
            )
        entry = described(model, file.name, name)
        if any(entry.name == known.name for known in self._manifest):
            raise ModelError(f"the name {entry.name} belongs to a model of mien's own: give yours another with --name")
        # the digest in the file's name lets a new version arrive before the list lets go of the old one
        entry = dataclasses.replace(entry, file=f"{entry.name}-{digest[:8]}.onnx")
        added = self._added()
        self._write(entry.file, model)
        self._list((*(other for other in added if other.name != entry.name), entry), before=added)
        return entry

    def remove(self, name: str) -> None:
        """Deletes a fetched or added model from the cache.

        Raises:
            ModelMissingError: it is not in the cache.
            ModelError: the name is unknown, the model is part of mien, or the cache can't be written.
        """
        entry = self.entry(name)
        added = self._added() if entry not in self._manifest else ()
        place = self.cache / entry.file
        if entry in added:
            self._list(tuple(other for other in added if other != entry), before=added)
        elif (self._shipped / entry.file).exists() and not place.exists():
            raise ModelError(f"{name} is part of mien and can't be removed")
        elif not place.exists():
            raise ModelMissingError(f"{name} is not in {self.cache}: there is nothing to remove")
        else:
            self._unlink(entry.file)

    def verify(self) -> tuple[Check, ...]:
        """The state of every model's file, in the order of ``entries()``."""
        return tuple(self._check(entry) for entry in self.entries())

    @staticmethod
    def describe(file: Path) -> Entry:
        """What the manifest would say of a model file that mien wrote: its size, SHA-256 and the words of its card.

        Raises:
            ModelError: the file is no such model, or was changed.
        """
        return described(read_onnx(file), file.name)

    def _find(self, entry: Entry) -> tuple[Path, bytes] | None:
        for place in self._places(entry):
            content = _bytes_of(entry, place)
            if content is not None:
                return place, content
        return None

    def _check(self, entry: Entry) -> Check:
        found = self._find(entry)
        if found is not None:
            return Check(entry.name, "ok", found[0])
        wrong = [place for place in self._places(entry) if place.exists()]
        return (
            Check(entry.name, "changed", wrong[0]) if wrong else Check(entry.name, "missing", self.cache / entry.file)
        )

    def _resolve(self, model: str | Path) -> tuple[Path, bytes]:
        if _is_path(model):
            return Path(model), self._read_sealed(Path(model))
        entry = self.entry(str(model))
        found = self._find(entry)
        if found is not None:
            return found
        check = self._check(entry)
        if check.state == "missing":
            raise ModelMissingError(f"the model {entry.name} is not on this machine. {self._remedy(entry)}")
        raise ModelError(
            f"{check.where} was changed or damaged: expected {entry.size} bytes with SHA-256 {entry.sha256}. "
            f"{self._remedy(entry)}"
        )

    def _read_sealed(self, file: Path) -> bytes:
        model = read_onnx(file)
        if hashlib.sha256(model).hexdigest() not in {entry.sha256 for entry in self._manifest}:
            check_seal(model)
        return model

    def _places(self, entry: Entry) -> tuple[Path, ...]:
        return (self._shipped / entry.file, self.cache / entry.file)

    def _remedy(self, entry: Entry) -> str:
        if entry.url:
            return f"Get it with: mien models pull {entry.name}. {_by_hand(entry)}"
        if entry in self._manifest:
            return "Install mien again: pip install --force-reinstall mien"
        return f"Add it again: mien models add FILE --name {entry.name}"

    def _added(self) -> tuple[Entry, ...]:
        listing = self.cache / ADDED
        if not listing.exists():
            return ()
        try:
            return read_entries(listing)
        except ModelError as error:
            raise ModelError(
                f"{error}. The model files beside it are whole: delete {listing.name} and add them again"
            ) from error

    def _list(self, entries: tuple[Entry, ...], before: tuple[Entry, ...]) -> None:
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


def _is_path(model: str | Path) -> bool:
    if isinstance(model, Path) or "/" in model or "\\" in model:
        return True
    return model.lower().endswith(".onnx") and Path(model).is_file()


def _is_tarball(file: Path) -> bool:
    return file.suffix.lower() == ".tgz"


def _bytes_of(entry: Entry, place: Path) -> bytes | None:
    """The file's bytes where they are those of the entry, else None."""
    try:
        if place.stat().st_size != entry.size:
            return None
        with place.open("rb") as stream:
            model = stream.read(entry.size + 1)
    except OSError:
        return None
    return model if hashlib.sha256(model).hexdigest() == entry.sha256 else None


def _by_hand(entry: Entry) -> str:
    return (
        f"Without a network here, bring {entry.url} (SHA-256 {entry.sha256}) from another machine, "
        f"then: mien models add {entry.file}"
    )
