"""Soft labels in a file: probabilities of a teacher for training images, as targets of knowledge distillation.

A file holds one row of probabilities per image and head. Images are identified by a hash of their pixels, whatever file
they come from; the file contains no image. Needs no Keras.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.data.cache import UNREADABLE
from mien.errors import TrainingError
from mien.media.files import atomic_write, sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from mien.data.dataset import Dataset, Truth
    from mien.structures import Crops
    from mien.training.config import TrainingConfig

FORMAT = "mien soft labels 1"
SHIPPED_FOLDER = Path(__file__).parents[1] / "configs"
"""Folder of the shipped files: NAME-soft-labels.npz."""

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]*")
"""Matches the name of a shipped file, as opposed to a path."""

NONE = "none"
MIN_COVERAGE = 0.5
"""Share of the training rows that a shipped file must cover to be used."""

MAX_FILE_BYTES = 2_000_000_000
"""Ten million images take less."""

SUM_TOLERANCE = 2e-3
"""Largest deviation of a row's sum from 1: float16 keeps three digits."""


@dataclass(frozen=True)
class SoftHead:
    """The soft labels of one head.

    Attributes:
        head: its name.
        labels: names of the columns.
        probabilities: float16 (rows, labels), rows sum to 1 within ``SUM_TOLERANCE``.
    """

    head: str
    labels: tuple[str, ...]
    probabilities: npt.NDArray[np.float16]

    def __post_init__(self) -> None:
        values = self.probabilities
        if values.dtype != np.float16 or values.ndim != 2 or values.shape[1] != len(self.labels):
            raise TrainingError(
                f"expected float16 (rows, {len(self.labels)}) for the head {self.head!r}; "
                f"received {values.dtype} {values.shape}"
            )
        wide = values.astype(np.float32)
        if not (np.isfinite(wide).all() and (wide >= 0).all() and (np.abs(wide.sum(axis=1) - 1) < SUM_TOLERANCE).all()):
            raise TrainingError(f"expected rows of the head {self.head!r} that sum to 1; received other sums")


@dataclass(frozen=True)
class SoftLabels:
    """Soft labels of a set of images.

    Attributes:
        keys: uint64 (rows,), strictly increasing hashes of the images, see ``pixel_hashes``.
        heads: their probabilities; at least one head.
        provenance: how they were computed, as JSON: data, networks, configs, folds, scores.
    """

    keys: npt.NDArray[np.uint64]
    heads: tuple[SoftHead, ...]
    provenance: str

    def __post_init__(self) -> None:
        ordered = self.keys.dtype == np.uint64 and self.keys.ndim == 1 and bool((self.keys[1:] > self.keys[:-1]).all())
        if not ordered or not self.heads or any(len(head.probabilities) != len(self.keys) for head in self.heads):
            raise TrainingError("expected increasing uint64 keys with one row per head each; received other arrays")

    def rows_of(self, crops: Crops) -> npt.NDArray[np.int64]:
        """The row of each face crop, int64 (count,); -1 for unknown face crops."""
        keys = pixel_hashes(crops)
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, at, -1).astype(np.int64)

    def save(self, path: Path) -> None:
        """Write the file atomically."""
        arrays: dict[str, Any] = {"format": np.array(FORMAT), "made": np.array(self.provenance), "keys": self.keys}
        arrays["heads"] = np.array([head.head for head in self.heads])
        for head in self.heads:
            arrays |= {f"{head.head}.labels": np.array(head.labels), f"{head.head}.probabilities": head.probabilities}
        # an open file, since savez would append .npz to a file name
        with atomic_write(path) as aside, aside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def pixel_hashes(crops: Crops) -> npt.NDArray[np.uint64]:
    """The first 8 bytes of the SHA-256 of each face crop's bytes, uint64 (count,)."""
    digests = b"".join(hashlib.sha256(crop.tobytes()).digest()[:8] for crop in crops)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def soft_labels_from(
    crops: Crops, probabilities: Mapping[str, tuple[tuple[str, ...], npt.NDArray[np.floating]]], provenance: str
) -> SoftLabels:
    """Soft labels of face crops; of several identical face crops, the first one counts.

    Args:
        crops: uint8 (count, size, size, channels).
        probabilities: labels and probabilities (count, labels) by head.
        provenance: how they were computed, as JSON.
    """
    keys, rows = np.unique(pixel_hashes(crops), return_index=True)
    heads = (
        SoftHead(head, labels, values[rows].astype(np.float16)) for head, (labels, values) in probabilities.items()
    )
    return SoftLabels(keys, tuple(heads), provenance)


def read(path: Path) -> SoftLabels:
    """Read a file of soft labels.

    Raises:
        TrainingError: the file can't be read, or holds something else.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"it is larger than {MAX_FILE_BYTES} bytes")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return _from_arrays({name: np.asarray(stored[name]) for name in stored.files})
    except (*UNREADABLE, TrainingError) as error:
        raise TrainingError(
            f"expected a file of soft labels at {path}; it can't be read ({error}). 'mien soft-labels' writes one"
        ) from error


def soft_labels_setting(value: str) -> str:
    """The ``soft_labels`` of a config for a value of ``--soft-labels``: "" for "none", a name, or an absolute path."""
    if value == NONE:
        return ""
    return value if NAME_PATTERN.fullmatch(value) and not Path(value).is_file() else str(Path(value).absolute())


def soft_labels_file(config: TrainingConfig, shipped: Path = SHIPPED_FOLDER) -> Path:
    """The file of a config's soft labels: a shipped one by its name, or the user's."""
    name = config.soft_labels
    return shipped / f"{name}-soft-labels.npz" if NAME_PATTERN.fullmatch(name) else Path(name)


def soft_labels_origin(config: TrainingConfig) -> str:
    """Name and SHA-256 of the file of a config's soft labels; "" without soft labels."""
    if not config.soft_labels:
        return ""
    path = soft_labels_file(config)
    return f"{path.name} sha256:{sha256_of(path)}"


def soft_labels_for(config: TrainingConfig, training: Dataset, shipped: Path = SHIPPED_FOLDER) -> SoftLabels | None:
    """The soft labels that a config names, or None where there are none for this data.

    Shipped configs name shipped files, whatever data they are used on. Such a file is ignored if it covers less than
    half of the rows; a file of the user must match the data.

    Args:
        config: names the soft labels.
        training: the training data.
        shipped: folder of the shipped files.

    Raises:
        TrainingError: the file can't be read, or the user's file covers no row or no head of the data.
    """
    if not config.soft_labels:
        return None
    path = soft_labels_file(config, shipped)
    is_shipped = path.parent == shipped
    soft = read(path)
    known = float((soft.rows_of(training.crops) >= 0).mean())
    heads = {truth.head for truth in training.truths} & {head.head for head in soft.heads}
    if is_shipped:
        return soft if heads and known >= MIN_COVERAGE else None
    if not heads or known == 0:
        raise TrainingError(
            f"expected soft labels of {training.name} in {config.soft_labels}; received some that cover {known:.0%} of "
            f"its rows and these of its heads: {sorted(heads)}. Compute them from this data with 'mien soft-labels', "
            f"or use --soft-labels {NONE}"
        )
    return soft


def without_foreign_soft_labels(
    config: TrainingConfig, training: Dataset, shipped: Path = SHIPPED_FOLDER
) -> TrainingConfig:
    """The config without shipped soft labels that belong to other data, so that it records only those in use.

    Args:
        config: the training config.
        training: the training data.
        shipped: folder of the shipped files.

    Raises:
        TrainingError: as ``soft_labels_for``.
    """
    known = soft_labels_for(config, training, shipped) is not None
    return config if known else dataclasses.replace(config, soft_labels="")


def blend_soft_labels(training: Dataset, soft: SoftLabels, weight: float) -> Dataset:
    """The data with its targets blended with soft labels, for training only; see ``blended_targets``.

    Rows and heads without soft labels stay unchanged.

    Args:
        training: the training data.
        soft: the soft labels.
        weight: distillation weight, 0 to 1.

    Raises:
        TrainingError: a head of the soft labels has other labels.
    """
    rows = soft.rows_of(training.crops)
    heads = {head.head: head for head in soft.heads}
    truths = (
        _blended(truth, heads[truth.head], rows, weight) if truth.head in heads else truth for truth in training.truths
    )
    return dataclasses.replace(training, truths=tuple(truths))


def _blended(truth: Truth, soft: SoftHead, rows: npt.NDArray[np.int64], weight: float) -> Truth:
    if tuple(map(str, truth.labels)) != soft.labels:
        raise TrainingError(
            f"expected soft labels of the head {truth.head!r} for {list(map(str, truth.labels))}, in this order; "
            f"received them for {list(soft.labels)}. Compute them from this data with 'mien soft-labels'"
        )
    if weight == 0:
        return truth
    known = np.flatnonzero(rows >= 0)
    probabilities = soft.probabilities[rows[known]].astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    targets, weights = truth.targets.copy(), truth.weights.copy()
    from mien.training.tasks.classification.batches import blended_targets  # it imports Keras

    targets[known], weights[known] = blended_targets(targets[known], weights[known], probabilities, weight)
    return dataclasses.replace(truth, targets=targets, weights=weights)


def _from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> SoftLabels:
    if str(arrays["format"]) != FORMAT:
        raise ValueError(f"its format is {str(arrays['format'])[:40]!r}, not {FORMAT!r}")
    heads = (
        SoftHead(head, tuple(arrays[f"{head}.labels"].tolist()), arrays[f"{head}.probabilities"])
        for head in arrays["heads"].tolist()
    )
    return SoftLabels(arrays["keys"], tuple(heads), str(arrays["made"]))
