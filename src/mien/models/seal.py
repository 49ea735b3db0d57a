"""The seal of a model file: a SHA-256 of the whole file, by which any changed byte is detected.

The digest is stored in the file's own metadata and computed with its digits set to zero. It is needed because
onnxruntime loads many damaged files without an error.
"""

from __future__ import annotations

import hashlib

from mien.errors import ModelError

SEAL_KEY = "mien.sha256"
UNSEALED = "0" * 64
# protobuf: the value field (number 2, a string) of 64 bytes that follows the key in a metadata entry
SEAL_MARK = SEAL_KEY.encode() + b"\x12\x40"


def seal(model: bytes) -> bytes:
    """Sets the seal of a model file.

    Args:
        model: the whole file, with the seal's metadata entry (key and 64 characters) once.

    Raises:
        ModelError: there is no such entry.
    """
    at = _seal_at(model)
    digest = hashlib.sha256(model[:at] + UNSEALED.encode() + model[at + 64 :]).hexdigest()
    return model[:at] + digest.encode() + model[at + 64 :]


def check_seal(model: bytes) -> None:
    """Raises unless the bytes are those that mien wrote.

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
