"""A teacher's soft labels: what networks say of rows that they did not learn from, kept in a file and learnt from.

A file holds one row of probabilities an image and head. Images are known by a hash of their pixels, so they are
found again whatever file they come from, and no image is in it. Needs no Keras.
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
from mien.training.tasks.classification.batches import blended_targets

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from mien.data.dataset import Dataset, Truth
    from mien.structures import Crops
    from mien.training.config import TrainingConfig

FORMAT = "mien soft labels 1"
SHIPPED = Path(__file__).parents[1] / "configs"
"""Where the files are that ship: NAME-soft-labels.npz."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
"""What is the name of a file that ships, and no path."""

NONE = "none"
ENOUGH = 0.5
"""Share of the training rows that a file that ships must know to be of this data."""

LARGEST = 2_000_000_000
"""Bytes; ten million images take less."""

OFF = 2e-3
"""By how much a row's sum may differ from 1: float16 keeps three digits."""


@dataclass(frozen=True)
class SoftHead:
    """The soft labels of one head.

    Attributes:
        head: its name.
        labels: names in the order of the columns.
        probabilities: float16 (rows, labels), rows sum to 1 within ``OFF``.
    """

    head: str
    labels: tuple[str, ...]
    probabilities: npt.NDArray[np.float16]

    def __post_init__(self) -> None:
        told = self.probabilities
        if told.dtype != np.float16 or told.ndim != 2 or told.shape[1] != len(self.labels):
            raise TrainingError(
                f"expected float16 (rows, {len(self.labels)}) for the head {self.head!r}; "
                f"received {told.dtype} {told.shape}"
            )
        wide = told.astype(np.float32)
        if not (np.isfinite(wide).all() and (wide >= 0).all() and (np.abs(wide.sum(axis=1) - 1) < OFF).all()):
            raise TrainingError(f"expected rows of the head {self.head!r} that sum to 1; received others")


@dataclass(frozen=True)
class SoftLabels:
    """Soft labels of some images.

    Attributes:
        keys: uint64 (rows,), of the pixels of each image, see ``keys_of``; each larger than the one before.
        heads: what is said of them; at least one head.
        made: how they were made, as JSON: data, networks, configs, folds, scores.
    """

    keys: npt.NDArray[np.uint64]
    heads: tuple[SoftHead, ...]
    made: str

    def __post_init__(self) -> None:
        ordered = self.keys.dtype == np.uint64 and self.keys.ndim == 1 and bool((self.keys[1:] > self.keys[:-1]).all())
        if not ordered or not self.heads or any(len(head.probabilities) != len(self.keys) for head in self.heads):
            raise TrainingError("expected increasing uint64 keys, and a row of each head for each; received others")

    def rows_of(self, crops: Crops) -> npt.NDArray[np.int64]:
        """The row of each face crop, int64 (count,); -1 where it is not known."""
        keys = keys_of(crops)
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, at, -1).astype(np.int64)

    def save(self, path: Path) -> None:
        """Writes the file whole."""
        arrays: dict[str, Any] = {"format": np.array(FORMAT), "made": np.array(self.made), "keys": self.keys}
        arrays["heads"] = np.array([head.head for head in self.heads])
        for head in self.heads:
            arrays |= {f"{head.head}.labels": np.array(head.labels), f"{head.head}.probabilities": head.probabilities}
        # by an open file: savez would give a name without .npz that ending
        with atomic_write(path) as aside, aside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def keys_of(crops: Crops) -> npt.NDArray[np.uint64]:
    """The first 8 bytes of the SHA-256 of each face crop's bytes, uint64 (count,)."""
    digests = b"".join(hashlib.sha256(crop.tobytes()).digest()[:8] for crop in crops)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def collected(
    crops: Crops, told: Mapping[str, tuple[tuple[str, ...], npt.NDArray[np.floating]]], made: str
) -> SoftLabels:
    """Soft labels of face crops; of several with the same pixels those of the first.

    Args:
        crops: uint8 (count, size, size, channels).
        told: by head its labels and the probabilities, (count, labels).
        made: how they were made.
    """
    keys, rows = np.unique(keys_of(crops), return_index=True)
    heads = (SoftHead(head, labels, values[rows].astype(np.float16)) for head, (labels, values) in told.items())
    return SoftLabels(keys, tuple(heads), made)


def read(path: Path) -> SoftLabels:
    """The soft labels in a file.

    Raises:
        TrainingError: it can't be read, or holds something else.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it has over {LARGEST} bytes")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return _from_arrays({name: np.asarray(stored[name]) for name in stored.files})
    except (*UNREADABLE, TrainingError) as error:
        raise TrainingError(
            f"expected a file of soft labels at {path}; it can't be read ({error}). 'mien soft-labels' makes one"
        ) from error


def chosen(text: str) -> str:
    """What a config holds for the name or the file that a user gives: "" for "none", the name, or the whole path."""
    if text == NONE:
        return ""
    return text if NAME.fullmatch(text) and not Path(text).is_file() else str(Path(text).absolute())


def file_of(config: TrainingConfig, shipped: Path = SHIPPED) -> Path:
    """The file that a config's soft labels are in: one that ships, by its name, or the user's."""
    words = config.soft_labels
    return shipped / f"{words}-soft-labels.npz" if NAME.fullmatch(words) else Path(words)


def told_of(config: TrainingConfig) -> str:
    """The file of a config's soft labels and its SHA-256, or "" where it has none."""
    if not config.soft_labels:
        return ""
    path = file_of(config)
    return f"{path.name} sha256:{sha256_of(path)}"


def soft_labels_for(config: TrainingConfig, training: Dataset, shipped: Path = SHIPPED) -> SoftLabels | None:
    """The soft labels that a config names, or None where there are none for this data.

    A config that ships names a file that ships, whatever data it is used on: that file is left aside where it knows
    fewer than half of the rows. A file that the user named is meant.

    Args:
        config: names them.
        training: what will be learnt from.
        shipped: the folder of the files that ship.

    Raises:
        TrainingError: the file can't be read; or the user's knows no row or no head of the data.
    """
    if not config.soft_labels:
        return None
    path = file_of(config, shipped)
    ships = path.parent == shipped
    soft = read(path)
    known = float((soft.rows_of(training.crops) >= 0).mean())
    heads = {truth.head for truth in training.truths} & {head.head for head in soft.heads}
    if ships:
        return soft if heads and known >= ENOUGH else None
    if not heads or known == 0:
        raise TrainingError(
            f"expected soft labels of {training.name} in {config.soft_labels}; received some that know {known:.0%} of "
            f"its rows and these of its heads: {sorted(heads)}. Make them from this data by 'mien soft-labels', or say "
            f"--soft-labels {NONE}"
        )
    return soft


def fitting(config: TrainingConfig, training: Dataset, shipped: Path = SHIPPED) -> TrainingConfig:
    """The config, without the soft labels that ship where they are of other data: it tells what is learnt from.

    Args:
        config: every choice.
        training: what will be learnt from.
        shipped: the folder of the files that ship.

    Raises:
        TrainingError: as ``soft_labels_for``.
    """
    known = soft_labels_for(config, training, shipped) is not None
    return config if known else dataclasses.replace(config, soft_labels="")


def softened(training: Dataset, soft: SoftLabels, share: float) -> Dataset:
    """The data with the targets blended with soft labels, for learning only; see ``blended_targets``.

    Rows and heads that are not known stay as they are.

    Args:
        training: what is learnt from.
        soft: what is known of its rows.
        share: of the soft labels, 0 to 1.

    Raises:
        TrainingError: a head has other labels there.
    """
    rows = soft.rows_of(training.crops)
    heads = {head.head: head for head in soft.heads}
    truths = (
        _blended(truth, heads[truth.head], rows, share) if truth.head in heads else truth for truth in training.truths
    )
    return dataclasses.replace(training, truths=tuple(truths))


def _blended(truth: Truth, soft: SoftHead, rows: npt.NDArray[np.int64], share: float) -> Truth:
    if tuple(map(str, truth.labels)) != soft.labels:
        raise TrainingError(
            f"expected soft labels of the head {truth.head!r} for {list(map(str, truth.labels))}, in this order; "
            f"received them for {list(soft.labels)}. Make them from this data by 'mien soft-labels'"
        )
    if share == 0:
        return truth
    known = np.flatnonzero(rows >= 0)
    told = soft.probabilities[rows[known]].astype(np.float64)
    told /= told.sum(axis=1, keepdims=True)
    targets, weights = truth.targets.copy(), truth.weights.copy()
    targets[known], weights[known] = blended_targets(targets[known], weights[known], told, share)
    return dataclasses.replace(truth, targets=targets, weights=weights)


def _from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> SoftLabels:
    if str(arrays["format"]) != FORMAT:
        raise ValueError(f"it says {str(arrays['format'])[:40]!r} for {FORMAT!r}")
    heads = (
        SoftHead(head, tuple(arrays[f"{head}.labels"].tolist()), arrays[f"{head}.probabilities"])
        for head in arrays["heads"].tolist()
    )
    return SoftLabels(arrays["keys"], tuple(heads), str(arrays["made"]))
