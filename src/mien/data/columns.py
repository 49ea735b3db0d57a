"""What the columns of a table hold: pixels or images, labels, votes and splits, by their names and first values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.data.dataset import TRAINING
from mien.data.rows import SIDES, split_of, split_of_flags
from mien.data.split_names import EMPTY, NO, YES, is_split_column, split_in_path, split_named
from mien.emotions import Emotion, emotion_named
from mien.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PIXELS = frozenset({"pixels", "pixel", "pixelvalues", "pixelvalue", "imagepixels", "facepixels", "pixelstring"})
IMAGES = frozenset({"image", "img", "imagebytes", "bytes", "picture", "photo", "face", "imagedata"})
PATHS = frozenset(
    {"path", "file", "filename", "filepath", "imagepath", "imagefile", "imagename", "imgpath", "imagefilename", "name"}
)
EMOTIONS = frozenset({"emotion", "emotions", "expression", "expressions", "emotionlabel", "emotionid", "emotionindex"})
CLASSES = frozenset({"label", "labels", "class", "classes", "target", "targets", "category", "classid", "labelid", "y"})
CLASS_NAMES = frozenset({"emotionname", "expressionname", "labelname", "classname", "emotiontext", "labeltext"})
"""Names of columns, lower case, letters and digits alone."""

NUMBERED = re.compile(r"(?:pixels?|pix|px|p|x|feature|f|col|column|v)?[ _]?(\d{1,5})")
PLACED = re.compile(r"(\d{1,3})x(\d{1,3})")
PIXEL = r"\d{1,3}(?:\.0?)?"
PIXEL_LIST = re.compile(rf"[\s\[\](){{}},;|'\"]*{PIXEL}(?:[\s\[\](){{}},;|'\"]+{PIXEL})+[\s\[\](){{}},;|'\"]*")
LABEL = re.compile(r"\d{1,3}(\.0*)?")

MAX_PATH_LETTERS = 300
"""Longer values are images in base64."""

MIN_PIXELS = SIDES[0] ** 2


@dataclass(frozen=True)
class Columns:
    """The columns of a table, by index.

    Attributes:
        names: of all columns, in lower case.
        pixels: the one column of all pixels, or one column per pixel in the image's order.
        image: the column of encoded images or of their paths, in a table without pixels.
        label: the column of labels; None if there are votes, or neither.
        is_emotion: whether the labels' column is one of expressions by its name.
        votes: the columns of votes, and the expression of each, in the order of ``Emotion``.
        split: the column of splits, or None.
        flags: without one, the columns that say yes or no to a split, such as is_test, and the split of each.
        path: without either, the column of paths, which may name splits: train/happy/3.jpg, PrivateTest_17.jpg.
        has_header: whether the first line names the columns.
        problem: what is missing, with {path} for the table's; "" if it can be read.
    """

    names: tuple[str, ...]
    pixels: tuple[int, ...] = ()
    image: int | None = None
    label: int | None = None
    is_emotion: bool = False
    votes: tuple[tuple[int, Emotion], ...] = ()
    split: int | None = None
    flags: tuple[tuple[int, str], ...] = ()
    path: int | None = None
    has_header: bool = True
    problem: str = ""

    @property
    def fit(self) -> int:
        """How much of a data set was found: 0 nothing, 1 images without labels, 2 with labels, 3 with splits too."""
        if not self.pixels and self.image is None:
            return 0
        if self.problem:
            return 1
        return 2 if self.split is None and not self.flags else 3

    def refusal(self, path: object) -> DatasetError:
        """The error of a table with a problem."""
        return DatasetError("expected " + self.problem.replace("{path}", str(path), 1))

    def split_in(self, value: Callable[[int], str], given: str) -> str:
        """The split of a row.

        Args:
            value: gives the row's value of a column.
            given: the split of the whole table; a row's own comes first, a path last.

        Raises:
            BadRowError: a value is missing, or names no split.
        """
        if self.split is not None:
            return split_of(value(self.split), ())
        if self.flags:
            return split_of_flags([value(at) for at, _ in self.flags], [named for _, named in self.flags])
        named = split_in_path(value(self.path)) if self.path is not None else None
        return given or named or TRAINING


def columns_of(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    """The columns of a table with names.

    Args:
        names: of the columns, as written.
        rows: the first rows, as text; "" where a value is no text.
    """
    lower = [name.strip().lower() for name in names]
    keys = [re.sub(r"[\W_]+", "", name) for name in lower]
    whole = [row for row in rows if len(row) == len(names)]
    image = next((at for kind in (IMAGES, PATHS) for at, key in enumerate(keys) if key in kind), None)
    pixels = _pixel_columns(lower, keys)
    if not pixels and image is not None and any(_is_pixel_list(row[image]) for row in whole[:5]):
        pixels = (image,)
    splits = [at for at, name in enumerate(lower) if at not in pixels and is_split_column(names[at])]
    labels = [at for at, key in enumerate(keys) if key in EMOTIONS | CLASSES | CLASS_NAMES and at not in splits]
    if len(labels) > 1:
        labels = _most_telling(labels, whole)
    if not splits:
        splits = [
            at for at in range(len(names)) if at not in {*pixels, *labels, image} and _are_splits(_values(whole, at))
        ][:1]
    others = [(at, emotion_named(name)) for at, name in enumerate(lower) if at not in {*pixels, *splits, image}]
    flags = tuple(
        (at, split)
        for at, _ in ([] if splits else others)
        if (split := split_named(names[at])) and set(map(str.lower, _values(whole, at))) <= YES | NO
    )
    paths = (at for at, key in enumerate(keys) if key in IMAGES | PATHS and at not in pixels)
    order = list(Emotion).index
    votes = tuple(sorted(((at, one) for at, one in others if one is not None), key=lambda vote: order(vote[1])))
    voted = len(votes) > 1 and len(votes) == len(others) == len({emotion for _, emotion in votes})
    return Columns(
        names=tuple(lower),
        pixels=pixels,
        image=None if pixels else image,
        label=labels[0] if len(labels) == 1 else None,
        is_emotion=len(labels) == 1 and keys[labels[0]] in EMOTIONS | CLASS_NAMES,
        votes=votes if voted and not labels else (),
        split=splits[0] if len(splits) == 1 else None,
        flags=flags if whole else (),
        path=next((at for at in paths if any(0 < len(row[at]) < MAX_PATH_LETTERS for row in whole)), None),
        problem=_problem(lower, labels, splits, has_images=bool(pixels) or image is not None, voted=voted),
    )


def check_alike(tables: Sequence[Columns], path: object) -> None:
    """Check that tables of one data set can be read, and have votes for the same expressions, or none.

    Raises:
        DatasetError: one can't, or they differ.
    """
    for columns in tables:
        if columns.problem:
            raise columns.refusal(path)
    if len({tuple(emotion for _, emotion in columns.votes) for columns in tables}) > 1:
        raise DatasetError(
            f"expected tables of the same columns in {path}; received different columns of votes. Name one table"
        )


def columns_without_names(rows: Sequence[Sequence[str]]) -> Columns | None:
    """The columns of a table whose first line is a row already; None if it does not look like one."""
    count = len(rows[0]) if rows else 0
    whole = [row for row in rows if len(row) == count]
    single = [at for at in range(count) if _is_pixel_list(rows[0][at])]
    splits = [at for at in range(count) if at not in single and _are_splits(_values(whole, at))]
    rest = [at for at in range(count) if at not in {*single, *splits}]
    if len(splits) > 1 or not rest:
        return None
    if len(single) == 1:
        label = next((at for at in rest if all(map(_is_label, _values(whole, at)))), None)
        pixels: tuple[int, ...] = (single[0],)
    else:
        label = min((rest[0], rest[-1]), key=lambda at: _largest(_values(whole, at)))
        pixels = tuple(at for at in rest if at != label)
        if not _is_square(len(pixels)) or not all(rows[0][at].strip().isdigit() for at in pixels):
            return None
    if label is None or not all(map(_is_label, _values(whole[:1], label))):
        return None
    usages = {value.strip().lower() for at in splits for value in _values(whole, at)}
    fer2013 = not usages.isdisjoint({"publictest", "privatetest"})
    named = {label: "emotion" if fer2013 else "label", **dict.fromkeys(splits, "usage")}
    return Columns(
        names=tuple(named.get(at, "pixels" if single else f"pixel{at}") for at in range(count)),
        pixels=pixels,
        label=label,
        is_emotion=fer2013,
        split=splits[0] if splits else None,
        has_header=False,
    )


def _problem(names: list[str], labels: list[int], splits: list[int], *, has_images: bool, voted: bool) -> str:
    """What a table lacks, as the rest of a sentence that begins with "expected"."""
    received = ", ".join(names[:6])[:80] + (", ..." if len(names) > 6 else "")
    if not has_images:
        return (
            "a header as first line, such as 'emotion,pixels,Usage', 'label,pixels', 'label,pixel0,pixel1,...' or "
            f"'label,1x1,1x2,...' in {{path}}; received {received!r}. Name the columns there; the pixels must be those "
            "of a square"
        )
    if len(labels) > 1 or len(splits) > 1 or not (labels or voted):
        return (
            "one column of labels (emotion, label, class, target), or only columns named by expressions, and at "
            f"most one of usage and split, in {{path}}; received {received!r}. There are no labels without: training "
            "and evaluation need them"
        )
    return ""


def _pixel_columns(names: list[str], keys: list[str]) -> tuple[int, ...]:
    """The columns of pixels in the image's order; empty if there are none, or if they form no square."""
    named = [at for at, key in enumerate(keys) if key in PIXELS]
    if named:
        return (named[0],) if len(named) == 1 else ()
    for pattern in (NUMBERED, PLACED):
        places = {
            at: tuple(map(int, found.groups())) for at, name in enumerate(names) if (found := pattern.fullmatch(name))
        }
        side = math.isqrt(len(places))
        if side in SIDES and set(places.values()) in _squares(side, pattern.groups):
            return tuple(sorted(places, key=places.__getitem__))
    return ()


def _squares(side: int, dimensions: int) -> list[set[tuple[int, ...]]]:
    """The names that the pixels of a square may have, numbered from 0 or from 1."""
    if dimensions == 1:
        return [{(first + at,) for at in range(side * side)} for first in (0, 1)]
    return [{(row + first, column + first) for row in range(side) for column in range(side)} for first in (0, 1)]


def _most_telling(labels: list[int], rows: Sequence[Sequence[str]]) -> list[int]:
    """Of several columns of labels the one that names expressions, next to numbers of the same; else all."""
    named = [at for at in labels if any(map(emotion_named, _values(rows, at)))]
    numbers = [at for at in labels if all(map(_is_number, _values(rows, at)))]
    if len(named) == 1 and len(numbers) == len(labels) - 1:
        return named
    return labels


def _values(rows: Sequence[Sequence[str]], at: int) -> list[str]:
    """The values of a column that are not missing."""
    return [row[at] for row in rows if row[at].strip().lower() not in EMPTY]


def _largest(values: list[str]) -> float:
    """The largest number of a column; below 0 where none is one, as labels by name."""
    return max((float(value) for value in values if _is_number(value)), default=-1)


def _are_splits(values: list[str]) -> bool:
    """Whether a column holds splits: half of its different values name one; the others are the data's own."""
    different = {value.strip().lower(): value for value in values}.values()
    named = sum(len(value) < 40 and split_named(value) is not None for value in different)
    return bool(named) and 2 * named >= len(different)


def _is_number(value: str) -> bool:
    return bool(LABEL.fullmatch(value.strip()))


def _is_label(value: str) -> bool:
    return _is_number(value) or emotion_named(value) is not None


def _is_pixel_list(value: str) -> bool:
    whole = PIXEL_LIST.fullmatch(value) if len(value) >= 2 * MIN_PIXELS - 1 else None
    return whole is not None and _is_square(len(re.findall(PIXEL, value)))


def _is_square(count: int) -> bool:
    side = math.isqrt(count)
    return side * side == count and side in SIDES
