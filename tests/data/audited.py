"""A data set with one fault of each kind, for the tests of the audit, of its page and of the summary."""

from __future__ import annotations

import numpy as np
from skimage.data import lfw_subset

from mien.data.dataset import PUBLIC_TEST, TRAINING, Dataset, Rejected, Truth, one_hot

LABELS = ("happy", "sad", "<b>odd</b>")
ANSWERS = (0, 1, 0, 1, 0, 0, 1, 2, 0, 1)
VOTES = ((10, 0), (0, 10), (6, 4), (0, 10), (10, 0), (10, 0), (5, 5), (9, 1), (0, 0), (0, 10))


def faulty(size: int = 25, channels: int = 1) -> Dataset:
    """Ten images in two splits, with votes.

    Row 5 (PublicTest) repeats row 0, row 6 repeats row 1 mirrored, rows 2 and 3 are the same with other labels, row 4
    is blank, and no vote for row 8 names an expression.
    """
    faces = np.rint(lfw_subset()[:10, ..., None] * 255).astype(np.uint8)
    faces[5], faces[6], faces[3], faces[4] = faces[0], faces[1, :, ::-1], faces[2], 17
    times = -(-size // faces.shape[1])
    crops = faces.repeat(times, axis=1).repeat(times, axis=2)[:, :size, :size].repeat(channels, axis=3)
    return labelled(crops, ANSWERS, [TRAINING] * 5 + [PUBLIC_TEST] + [TRAINING] * 3 + [PUBLIC_TEST]).with_truth(voted())


def labelled(crops: np.ndarray, answers, splits) -> Dataset:
    """Face crops with labels of ``LABELS``, as if read from the files 0.png and so on."""
    return Dataset(
        name="drawn",
        crops=np.ascontiguousarray(crops),
        truths=(one_hot("classes", LABELS, np.array(answers)),),
        splits=np.array(splits),
        rows=np.array([f"{row}.png" for row in range(len(crops))]),
        digest="0" * 64,
        rejected=(Rejected("bad.png", "it is <torn>"),),
    )


def voted() -> Truth:
    votes = np.array(VOTES, np.float32)
    total = votes.sum(axis=1)
    targets = np.where(total[:, None] > 0, votes / np.maximum(total, 1)[:, None], 0.5).astype(np.float32)
    return Truth("ferplus", ("happy", "sad"), targets, (total > 0).astype(np.float32), targets.max(axis=1) > 0.5)
