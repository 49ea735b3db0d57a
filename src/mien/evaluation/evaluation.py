"""One or several models judged on the same rows, from data to files."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mien.classification.face_crop import crop
from mien.errors import ImageError
from mien.evaluation.comparison import Comparison, compare
from mien.evaluation.inference import judge_crops, judge_photos
from mien.media.image import read
from mien.models.card import CropRule
from mien.structures import Box, Face

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from mien.classification.classifier import Classifier
    from mien.data.dataset import Dataset, Rejected
    from mien.data.photos import LabelledPhotos
    from mien.evaluation.predictions import Judged
    from mien.recognizer import Recognizer

FACE_SIZE = 120
"""Side in pixels of the images cut from photos."""

AROUND = CropRule(factor=1.5)
"""A face with what is around it, so that people can judge it too."""


@dataclass(frozen=True)
class Evaluation:
    """What models answered to the same rows, and how those look.

    Attributes:
        models: the first is the baseline that the others are compared with; all have names of their own.
        shown: the image of a row, by its place among the rows judged: uint8 (height, width, 1 or 3, RGB); None where
            it can't be read.
        rejected: rows of the data that could not be read.
        comparison: of the first model with each other one; None where there is only one.
    """

    models: tuple[Judged, ...]
    shown: Callable[[int], npt.NDArray[np.uint8] | None]
    rejected: tuple[Rejected, ...] = ()
    comparison: Comparison | None = None

    def to_dict(self, copied: npt.NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """Plain values, ready for JSON: one model's report, or ``models`` and their ``comparison``.

        Args:
            copied: bool (n,), the rows that have a copy in what may have been learnt from; adds to each model its
                scores ``without_copies`` (None where every row is a copy). None: not looked for.
        """
        reports = [{**judged.report.to_dict(), **_without_copies(judged, copied)} for judged in self.models]
        if self.comparison is None:
            return reports[0]
        return {"models": reports, "comparison": self.comparison.to_dict()}

    def to_json(self, copied: npt.NDArray[np.bool_] | None = None) -> str:
        """``to_dict`` on one line."""
        return json.dumps(self.to_dict(copied), ensure_ascii=False, allow_nan=False)


def evaluate_crops(models: Mapping[str, Classifier], data: Dataset, head: str = "") -> Evaluation:
    """Models judged on the face crops of one split.

    Args:
        models: by what the user calls them; a report takes the card's name where that is no other model's too.
        data: one split.
        head: as ``judge_crops`` takes it.

    Raises:
        ModelError: a model has no such label set.
        UsageError: no row can be judged, or the models name different labels.
    """
    judged = _named({name: judge_crops(classifier, data, head) for name, classifier in models.items()})
    rows = judged[0].rows
    return Evaluation(judged, lambda row: data.crops[rows[row]], data.rejected, _comparison(judged))


def evaluate_photos(
    models: Mapping[str, Recognizer],
    photos: LabelledPhotos,
    leave_out: Sequence[str] = (),
    tell: Callable[[float], None] = lambda _: None,
) -> Evaluation:
    """Models judged on photos through the whole chain.

    Args:
        models: by what the user calls them; a report takes the card's name where that is no other model's too.
        photos: paths with the expression shown.
        leave_out: words for expressions whose photos are not judged.
        tell: called with the share that is done.

    Raises:
        UsageError: as ``judge_photos`` does, or the models name different labels.
    """
    judged = _named(
        {
            name: judge_photos(recognizer, photos, leave_out, _part(tell, at, len(models)))
            for at, (name, recognizer) in enumerate(models.items())
        }
    )
    return Evaluation(judged, lambda row: _face_shown(judged[0], row), photos.rejected, _comparison(judged))


def _part(tell: Callable[[float], None], at: int, count: int) -> Callable[[float], None]:
    """Told the share of one of several parts that is done, tells the share of the whole."""
    return lambda share: tell((at + share) / count)


def _named(judged: Mapping[str, Judged]) -> tuple[Judged, ...]:
    cards = [one.report.model for one in judged.values()]
    return tuple(
        one if cards.count(one.report.model) == 1 else replace(one, report=replace(one.report, model=name))
        for name, one in judged.items()
    )


def _comparison(judged: tuple[Judged, ...]) -> Comparison | None:
    return compare(judged) if len(judged) > 1 else None


def _face_shown(judged: Judged, row: int) -> npt.NDArray[np.uint8] | None:
    """The face that was judged; where none was found, the middle of the photo."""
    try:
        frame = read(str(judged.places[row]))
    except ImageError:
        return None
    face = judged.faces[row]
    if face is not None:
        return crop(frame, face, AROUND, FACE_SIZE, 3)
    height, width = frame.shape[:2]
    return crop(frame, Face(Box(0, 0, width, height)), CropRule(), FACE_SIZE, 3)


def _without_copies(judged: Judged, copied: npt.NDArray[np.bool_] | None) -> dict[str, Any]:
    if copied is None:
        return {}
    return {"without_copies": None if copied.all() else judged.report_on(~copied).to_dict()}
