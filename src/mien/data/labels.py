"""Labels as tables write them: FER2013's numbers, names of expressions, or the user's own classes.

Numbers in a column called emotion or expression are FER2013's 0 to 6; so are those in a column called label, class or
target if the images are 48x48 and the numbers are 0 to 6, at least up to 2. Others are the user's own classes.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.data.dataset import Truth, labels_for, one_hot, truth_of_labels
from mien.data.rows import BadRowError, shown
from mien.data.split_names import EMPTY
from mien.emotions import FER2013, Emotion, emotion_named
from mien.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LABEL_LETTERS = 64
MAX_LABELS = 1000
"""Distinct labels; a column with more holds row numbers or names."""

MAX_VOTES = 1e6
FER2013_SIDE = 48
"""Side of FER2013's images in pixels."""

NUMBER = re.compile(r"[\[(']?\s*(0|[1-9]\d{0,8})(?:[.,]0*)?(?:e[+-]?0+)?\s*[\])']?")
"""A class number, also as a float or a list of one: "3", "3.0", "3,0", "3.0e+00", "[3]", "'3'"."""

NUMBERS_ORDER = ", ".join(f"{number} {emotion}" for number, emotion in enumerate(FER2013))
REMEDY = (
    "Subtract the first number if the order is FER2013's "
    f"({NUMBERS_ORDER}); otherwise, as in RAF-DB, write the names of the expressions in place of the numbers"
)
CONTEMPT_SHARE = 0.001
"""Share of rows labelled 7 from which the label is no mistake of single rows."""


class LabelColumn:
    """How the labels of a column are written, decided from its first rows.

    Args:
        is_emotion: whether the column's name says that it holds expressions.
        sample: the first values.
        names: of the classes that numbers stand for, where the file lists them.
    """

    def __init__(self, *, is_emotion: bool, sample: Sequence[str], names: Sequence[str] = ()) -> None:
        given = [value.strip() for value in sample if value.strip().lower() not in EMPTY - {"none"}]
        self.names = tuple(names)
        self.is_emotion = is_emotion
        numbers = sum(bool(NUMBER.fullmatch(value)) for value in given)
        self.numbered = 2 * numbers > len(given) if given else is_emotion
        self.expressions = 2 * sum(emotion_named(value) is not None for value in given) > len(given)
        self.beyond: Counter[int] = Counter()

    @property
    def is_fer2013(self) -> bool:
        """Whether each label is one of FER2013's numbers."""
        return self.is_emotion and self.numbered and not self.names

    def parse(self, value: str) -> int | str:
        """The class number, or the name of the class.

        Raises:
            BadRowError: the value is missing, or no label of this column.
        """
        value = value.strip()
        number = NUMBER.fullmatch(value)
        if self.numbered:
            return self._number(value, int(number[1]) if number else None)
        if not value.isprintable() or not 0 < len(value) <= MAX_LABEL_LETTERS:
            raise BadRowError(f"expected a label of 1 to {MAX_LABEL_LETTERS} letters; received {shown(value)}")
        if self.is_emotion and not any(map(str.isalpha, value)):
            raise BadRowError(f"expected an emotion from 0 to {len(FER2013) - 1}, or its name; received {shown(value)}")
        is_expression = emotion_named(value) is not None
        if not is_expression and (value.lower() in EMPTY or (self.expressions and (self.is_emotion or number))):
            raise BadRowError(f"expected an expression ({', '.join(Emotion)}) as in other rows; received {value!r}")
        return value

    def truth(self, labels: Sequence[int | str], side: int, path: object) -> tuple[Truth, tuple[str, ...]]:
        """The ground truth of all rows, and notes on how the labels were read.

        Args:
            labels: as ``parse`` gives them.
            side: of the images as they were written.
            path: for messages.

        Raises:
            DatasetError: numbers are not FER2013's although they seem to be meant, or there are too many labels.
        """
        different = set(labels)
        if len(different) > MAX_LABELS:
            raise DatasetError(
                f"expected at most {MAX_LABELS} different labels in {path}; received {len(different)}, such as "
                f"{min(map(str, different))!r}. Is the column of labels one of names or row numbers?"
            )
        if not self.numbered:
            return truth_of_labels([str(label) for label in labels]), ()
        if self.names:
            return truth_of_labels([self.names[int(label)] for label in labels]), ()
        numbers = np.array(labels, dtype=np.int64)
        self._refuse_other_numbers(numbers, side, path)
        if self.is_emotion:
            note = f"no label is 0, and none over 6: they are read as FER2013's, {NUMBERS_ORDER}"
            shifted = set(numbers.tolist()) == set(range(1, len(FER2013)))
            return one_hot("fer2013", tuple(FER2013), numbers), (note,) * shifted
        if side == FER2013_SIDE and 2 <= numbers.max() < len(FER2013):
            note = f"labels 0 to 6 are read as FER2013's: {NUMBERS_ORDER}; name the classes if they are others"
            return one_hot("fer2013", tuple(FER2013), numbers), (note,)
        return truth_of_labels([str(label) for label in labels]), ()

    def _number(self, value: str, number: int | None) -> int:
        if self.names:
            if number is None or number >= len(self.names):
                raise BadRowError(f"expected a label from 0 to {len(self.names) - 1}; received {shown(value)}")
        elif self.is_emotion:
            if number is None or number >= len(FER2013):
                self.beyond[-1 if number is None else number] += 1
                raise BadRowError(f"expected an emotion from 0 to {len(FER2013) - 1}; received {shown(value)}")
        elif number is None:
            raise BadRowError(f"expected a whole number from 0 on as a label; received {shown(value)}")
        return number

    def _refuse_other_numbers(self, numbers: Any, side: int, path: object) -> None:
        """Refuse numbers from 1 to 7, or 0 to 7, whose order is another than FER2013's."""
        counts = Counter(numbers.tolist()) + Counter({number: n for number, n in self.beyond.items() if number > 0})
        looks_like_fer2013 = self.is_emotion or side == FER2013_SIDE
        low, high = min(counts), max(counts)
        shifted = low > 0 and counts[7] > (low > 1)  # one 7 among others may be a mistake
        if looks_like_fer2013 and shifted and (self.is_emotion or high == 7):
            raise DatasetError(
                f"expected labels from 0 to 6 in {path}; received {low} to {high}: they look shifted by one. {REMEDY}"
            )
        if self.is_emotion and high == 7 and counts[7] > max(1, CONTEMPT_SHARE * counts.total()):
            raise DatasetError(
                f"expected labels from 0 to 6 in {path}; received 0 to 7, {counts[7]:,} rows with 7: in FER+ 0 is "
                "neutral and 7 contempt, elsewhere 7 is added to FER2013's order. Write the names of the expressions "
                "in place of the numbers"
            )


def votes_of(values: Sequence[str]) -> tuple[float, ...]:
    """The votes of a row.

    Raises:
        BadRowError: a value is no number of votes, or all are 0.
    """
    try:
        votes = tuple(map(float, values))
    except ValueError:
        votes = (-1.0,)
    if not all(0 <= vote <= MAX_VOTES for vote in votes) or not sum(votes) > 0:
        raise BadRowError(f"expected votes of 0 or more, not all 0; received {shown(' '.join(values))}")
    return votes


def shares(votes: Sequence[Sequence[float]], expressions: Sequence[Emotion]) -> Truth:
    """The ground truth of votes: each row's shares.

    Args:
        votes: of each row, in the order of ``expressions``.
        expressions: that the columns stand for.
    """
    head, labels = labels_for(expressions)
    counts = np.array(votes, dtype=np.float64)
    targets = np.zeros((len(counts), len(labels)), dtype=np.float32)
    targets[:, [labels.index(expression) for expression in expressions]] = counts / counts.sum(axis=1, keepdims=True)
    everyone = np.ones(len(counts))
    return Truth(head, labels, targets, everyone.astype(np.float32), everyone.astype(np.bool_))
