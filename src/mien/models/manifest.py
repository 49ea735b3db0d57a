"""Model manifests: lists of models with size and SHA-256; one is mien's own, one the user's additions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mien.errors import ModelError
from mien.models.card import DetectorCard
from mien.models.onnx_file import MAX_MODEL_BYTES, any_card_of, check_seal
from mien.models.typed_json import fields_of, read_json, structured

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MANIFEST_FORMAT = 1
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MODEL_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.onnx")
PACKAGE_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.tgz")
FILES = {"classifier": MODEL_FILE, "detector": MODEL_FILE, "package": PACKAGE_FILE}
"""Pattern of an entry's file name, by its kind."""


@dataclass(frozen=True)
class Entry:
    """A model in the store, or a package that runs models in the browser.

    Attributes:
        name: lower-case letters, digits, dot, dash and underscore.
        kind: classifier, detector, or package: an npm tarball that the web page uses.
        file: file name, in mien's package or in the cache.
        size: bytes.
        sha256: of the file, lower-case hex.
        url: address for ``ModelStore.pull``; "" if the model is shipped with mien or was added by the user.
        licence: of the weights.
        summary: one line for lists.
        notes: terms and limits that users should know.
    """

    name: str
    kind: Literal["classifier", "detector", "package"]
    file: str
    size: int
    sha256: str
    url: str = ""
    licence: str = ""
    summary: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ModelError(
                "expected a model name of lower-case letters, digits, dot, dash and underscore, "
                f"such as my-model; received {self.name!r}"
            )
        if self.kind not in FILES or not FILES[self.kind].fullmatch(self.file):
            raise ModelError(
                "expected a classifier or detector and a plain file name ending in .onnx, or a package and one ending "
                f"in .tgz; received {self.kind!r} and {self.file!r}"
            )
        if not 0 < self.size <= MAX_MODEL_BYTES or not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ModelError(
                f"expected a size up to {MAX_MODEL_BYTES} bytes and a SHA-256 in hex for {self.name}; "
                f"received {self.size} and {self.sha256!r}"
            )


def read_entries(listing: Path) -> tuple[Entry, ...]:
    """Read the entries of a manifest, in its order.

    Raises:
        ModelError: the file is no manifest, or one of a newer mien.
    """
    try:
        values = dict(fields_of(read_json(listing), "the list"))
        version = structured(int, values.get("format"), "format")
        if version != MANIFEST_FORMAT:
            raise ModelError(f"expected format {MANIFEST_FORMAT} in {listing}; received {version}")
        return structured(tuple[Entry, ...], values.get("models"), "models")
    except (OSError, ValueError) as error:
        raise ModelError(f"expected a list of models in {listing}; received something else ({error})") from error


def to_json(entries: Iterable[Entry]) -> str:
    """Write a manifest that ``read_entries`` reads."""
    models = [dataclasses.asdict(entry) for entry in entries]
    return json.dumps({"format": MANIFEST_FORMAT, "models": models}, indent=2, ensure_ascii=False) + "\n"


def entry_of(model: bytes, file: str, name: str | None = None, sha256: str | None = None) -> Entry:
    """Make the manifest entry of a model that mien wrote, from its card.

    Args:
        model: the whole file, with card and seal.
        file: its file name.
        name: name of the entry; by default that in its card.
        sha256: of the file, where it is known already.

    Raises:
        ModelError: it has no card or seal, was changed, or the name is refused.
    """
    check_seal(model)
    card = any_card_of(model)
    purpose = "finds faces" if isinstance(card, DetectorCard) else ", ".join(card.fused.labels)
    return Entry(
        name=card.name if name is None else name,
        kind="detector" if isinstance(card, DetectorCard) else "classifier",
        file=file,
        size=len(model),
        sha256=sha256 or hashlib.sha256(model).hexdigest(),
        licence=card.origin.licence,
        summary=f"{card.origin.network or card.name}: {purpose}",
        notes=card.origin.notes,
    )
