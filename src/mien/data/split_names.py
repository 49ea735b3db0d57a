"""The names that data sets give their splits: one table, for columns of csv files, folders, and names of files.

Case, spaces, hyphens, underscores, numbers and other words do not matter: ``Training Set``, ``train_set`` and
``train-00000-of-00001`` are all ``Training``. FER2013's own names keep its meaning: PublicTest is the validation split
and PrivateTest the test split. A name outside the table names a split of its own, which is never trained on.
"""

from __future__ import annotations

import re
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from mien.data.dataset import PRIVATE_TEST, PUBLIC_TEST, TRAINING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

MIXED = "TrainVal"
"""Training and validation rows mixed. They are Training if the data has no validation rows of its own."""

SPLIT_WORDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("train", "training", "trn", "learn", "learning", "fit"), TRAINING),
        **dict.fromkeys(
            ("val", "valid", "validate", "validating", "validation", "dev", "devel", "development", "tune", "tuning"),
            PUBLIC_TEST,
        ),
        "publictest": PUBLIC_TEST,
        **dict.fromkeys(("test", "tests", "testing", "tst", "eval", "evaluate", "evaluation"), PRIVATE_TEST),
        **dict.fromkeys(("privatetest", "holdout", "heldout"), PRIVATE_TEST),
        **dict.fromkeys(("trainval", "trainvalid", "trainvalidation", "traindev", "trainingvalidation"), MIXED),
    }
)
"""Words in lower case, and the split that each names."""

COLUMN_WORDS = frozenset({"usage", "split", "splits", "subset", "partition"})
"""Words that make a column one of splits; so does the whole name ``set``."""

NEGATIONS = frozenset({"no", "not", "non", "without", "except", "exclude", "excluded", "ignore", "ignored"})
"""A name with one of these is no synonym: ``not train``."""

YES, NO = frozenset({"1", "1.0", "true", "yes", "t", "y"}), frozenset({"0", "0.0", "false", "no", "f", "n"})
"""Values in lower case of columns that say whether a row is of a split."""

FER2013_PHRASE = re.compile(r"(public|private)[\W_]*test", re.IGNORECASE)
CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
SUFFIXES = ("set", "data", "dataset", "split", "images", "faces")
"""Endings of words without a space: ``trainset``, ``testdata``."""

EMPTY = frozenset({"", "nan", "none", "null", "na", "n/a", "<na>"})
"""Values in lower case that stand for a missing one."""


def split_named(name: str) -> str | None:
    """The split that a name stands for, or None if it is in no table.

    >>> split_named("Training Set"), split_named("val"), split_named("test-00000-of-00001"), split_named("fold 3")
    ('Training', 'PublicTest', 'PrivateTest', None)
    """
    text = CAMEL.sub(" ", FER2013_PHRASE.sub(r" \1test ", name))
    words = re.findall(r"[a-z]+", text.lower())
    if NEGATIONS & set(words):
        return None
    found = {split for word in words if (split := _of_word(word)) is not None}
    if len(found) == 1:
        return found.pop()
    if found and TRAINING not in found and MIXED not in found:
        return PRIVATE_TEST  # "val test": neither trained on nor chosen by
    return MIXED if found and PRIVATE_TEST not in found else None


def split_in_path(path: str) -> str | None:
    """The split that the path of an image names: its own name, if that is numbered, or else the nearest folder.

    >>> split_in_path("train/happy/3.jpg"), split_in_path("happy/test_0003.jpg"), split_in_path("happy/test.jpg")
    ('Training', 'PrivateTest', None)
    """
    *folders, name = re.split(r"[/\\]", path)
    numbered = re.search(r"\d", name.partition(".")[0]) is not None
    return next(filter(None, map(split_named, ([name] if numbered else []) + folders[::-1])), None)


def is_split_column(name: str) -> bool:
    """Whether a column holds splits, by its name: ``Usage``, ``split``, ``set``, ``emotion usage``."""
    words = re.findall(r"[a-z]+", CAMEL.sub(" ", name).lower())
    return words == ["set"] or not COLUMN_WORDS.isdisjoint(words)


def unmixed(splits: Iterable[str]) -> tuple[npt.NDArray[np.str_], tuple[str, ...]]:
    """The splits of all rows, str (count,), with ``MIXED`` resolved; and notes on rows that are not trained on.

    Args:
        splits: of each row, as ``split_named`` gives them, or a name of the data's own.
    """
    found = np.array(list(splits), dtype=np.str_)
    counts = Counter(found.tolist())
    if MIXED in counts and PUBLIC_TEST not in counts:
        found[found == MIXED] = TRAINING
        del counts[MIXED]
    notes = [
        f"{count:,} rows of the split {name!r} are neither trained on nor validated on: expected a name such as "
        "train, validation or test"
        for name, count in counts.items()
        if name not in {TRAINING, PUBLIC_TEST, PRIVATE_TEST, MIXED}
    ]
    if MIXED in counts:
        notes.append(
            f"{counts[MIXED]:,} rows of the split {MIXED!r} are neither trained on nor validated on: they mix training "
            "and validation, and the data has validation rows of its own"
        )
    return found, tuple(notes)


def _of_word(word: str) -> str | None:
    if word in SPLIT_WORDS:
        return SPLIT_WORDS[word]
    return next((SPLIT_WORDS.get(word.removesuffix(end)) for end in SUFFIXES if word.endswith(end)), None)
