"""Reads, checks and loads .onnx files: only ONNX models with all their weights inside are accepted.

Nothing is unpickled, unpacked or read from other files, and a refusal takes well under a second.
"""

from __future__ import annotations

import hashlib
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from mien.errors import ModelError
from mien.models.card import CARD_KEY, DETECTOR_KEY, DetectorCard, ModelCard
from mien.models.onnx_graph import check_graph

if TYPE_CHECKING:
    from pathlib import Path

    import onnxruntime
MAX_MODEL_BYTES = 200_000_000

FOREIGN = (
    (b"PK", "a zip archive (.keras, .pt, .npz)"),
    (b"\x89HDF", "an HDF5 file (.h5, .keras)"),
    (b"\x80", "a Python pickle (.pkl, .pt)"),
    (b"\x1f\x8b", "a gzip archive (.tgz)"),
)
"""Signatures of other files that are taken for models, and how the error message names them."""


def read_onnx(file: Path) -> bytes:
    """Read a model file that passes ``check_onnx``.

    Raises:
        ModelError: there is no such file, it can't be read, or it is refused.
    """
    model = _content(file, "an .onnx file")
    check_onnx(model)
    return model


def read_tarball(file: Path) -> bytes:
    """Read the file of a package without unpacking it.

    Raises:
        ModelError: there is no such file, it can't be read, or it is too large.
    """
    return _content(file, "a .tgz file")


def _content(file: Path, expected: str) -> bytes:
    if not file.is_file():
        raise ModelError(f"expected {expected}; there is none at {file}")
    try:
        with file.open("rb") as stream:
            _check_size(os.fstat(stream.fileno()).st_size)
            return stream.read(MAX_MODEL_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{file} can't be read ({error})") from error


def check_onnx(model: bytes) -> None:
    """Check that the bytes can be an ONNX model that holds all its weights.

    Raises:
        ModelError: the file is empty, too large, of another kind, or points to data in other files.
    """
    _check_size(len(model))
    # ModelProto begins with field 1, a varint: ir_version. onnxruntime recognises its own format by ORTM at byte 4
    if model[0] != 8 or len(model) < 8 or not 0 < model[1] < 128 or model[4:8] == b"ORTM":
        kind = next((kind for magic, kind in FOREIGN if model.startswith(magic)), "something else")
        raise ModelError(
            f"expected an .onnx model; received {kind}. Files that can run code when they are loaded are never "
            "opened: export the model to .onnx"
        )
    # external data needs an entry whose key is "location": a string whose length is written as 8, or as 8 padded
    if b"\x08location" in model or b"\x00location" in model:
        raise ModelError(
            "expected an .onnx model that holds its weights; received one that points to data in other files, which "
            "is never read: save it as one file (onnx.save with save_as_external_data=False)"
        )


def open_session(model: bytes, threads: int = 0, *, optimise: bool = True) -> onnxruntime.InferenceSession:
    """Open a model that passed ``check_onnx`` in an onnxruntime session on the CPU.

    Args:
        model: the whole file.
        threads: of onnxruntime within one call; 0: one per core.
        optimise: False where only metadata is read and the graph is not run.

    Raises:
        ModelError: ``check_graph`` refuses its graph, or onnxruntime can't load it.
    """
    check_graph(model)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    # threads that spin between calls would take the cores from the decoder of the next image
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = _session_class()(model, options, providers=["CPUExecutionProvider"])
        # these are decoded on access, and raise where they are no UTF-8
        _ = session.get_modelmeta().custom_metadata_map
        _ = [(value.name, value.shape) for value in (*session.get_inputs(), *session.get_outputs())]
    except Exception as error:  # onnxruntime raises a dozen kinds that share no base but this one
        raise ModelError(
            f"expected a model that onnxruntime can load; onnxruntime can't load this one ({error})"
        ) from error
    session.opened = (model, threads)
    return session


@cache
def _session_class() -> Any:
    """The class of sessions: onnxruntime's can be neither pickled nor copied, so that of mien is opened anew."""
    import onnxruntime

    class Session(onnxruntime.InferenceSession):  # type: ignore[misc]  # no types without the package
        opened: tuple[bytes, int]

        def __reduce__(self) -> tuple[Any, ...]:
            return open_session, self.opened

    return Session


def card_in(session: onnxruntime.InferenceSession) -> ModelCard:
    """The card of the classifier in a session.

    Raises:
        ModelError: the model has none.
    """
    return ModelCard.from_json(session.get_modelmeta().custom_metadata_map.get(CARD_KEY, ""))


def detector_card_in(session: onnxruntime.InferenceSession) -> DetectorCard:
    """The card of the face detector in a session.

    Raises:
        ModelError: the model has none.
    """
    return DetectorCard.from_json(session.get_modelmeta().custom_metadata_map.get(DETECTOR_KEY, ""))


def any_card_of(model: bytes) -> ModelCard | DetectorCard:
    """Read the card of a classifier or a detector, without optimising or running its graph.

    Raises:
        ModelError: onnxruntime can't load the file, or it has no card.
    """
    session = open_session(model, optimise=False)
    found = session.get_modelmeta().custom_metadata_map
    return detector_card_in(session) if DETECTOR_KEY in found else card_in(session)


def card_of(model: bytes) -> ModelCard:
    """Read the card of a classifier, without optimising or running its graph.

    Raises:
        ModelError: onnxruntime can't load the file, or it has no card.
    """
    return card_in(open_session(model, optimise=False))


def _check_size(count: int) -> None:
    if count == 0:
        raise ModelError("expected an .onnx model; received an empty file")
    if count > MAX_MODEL_BYTES:
        raise ModelError(f"expected an .onnx model of at most {MAX_MODEL_BYTES} bytes; received one of {count}")


SEAL_KEY = "mien.sha256"
UNSEALED = "0" * 64
# protobuf: the value field (number 2, a string) of 64 bytes that follows the key in a metadata entry
SEAL_MARK = SEAL_KEY.encode() + b"\x12\x40"


def seal(model: bytes) -> bytes:
    """Set the seal of a model file.

    Args:
        model: the whole file, with the seal's metadata entry (key and 64 characters) once.

    Raises:
        ModelError: there is no such entry.
    """
    at = _seal_at(model)
    digest = hashlib.sha256(model[:at] + UNSEALED.encode() + model[at + 64 :]).hexdigest()
    return model[:at] + digest.encode() + model[at + 64 :]


def check_seal(model: bytes) -> None:
    """Check that the bytes are unchanged since mien wrote them.

    Raises:
        ModelError: the file carries no seal, or was changed since.
    """
    if seal(model) != model:
        raise ModelError(
            "the model file was changed or damaged since it was written (its SHA-256 does not match): "
            "fetch or export it again"
        )


def _seal_at(model: bytes) -> int:
    at = model.rfind(SEAL_MARK)
    if at < 0 or len(model) < at + len(SEAL_MARK) + 64:
        raise ModelError(
            "expected an .onnx file written by mien (mien export, mien train); received a file without mien's card "
            "and seal. Keras, pickle and other .onnx files are never loaded"
        )
    return at + len(SEAL_MARK)
