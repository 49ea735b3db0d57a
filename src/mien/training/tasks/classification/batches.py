"""The batches of an epoch: shuffled, augmented and mixed up as a pure function of (seed, epoch)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.media.prefetch import prefetch
from mien.training.engine.augmentation import augment, draws, generator
from mien.training.engine.steps import Batch, Weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mien.data.dataset import Dataset
    from mien.structures import Crops, Targets
    from mien.training.config import TrainingConfig
    from mien.training.distillation.online import Teachers


@dataclass(frozen=True)
class Drawn:
    """The random choices of one step.

    Attributes:
        rows: int64 (batch,), of the training split.
        table: float32 (batch, columns), the random numbers of the augmentation: rows of ``augmentation.draws``.
        share: the mixup weight of the image itself; 1: no mixup.
    """

    rows: npt.NDArray[np.int64]
    table: npt.NDArray[np.float32]
    share: float


class Batches:
    """Batches of a training split, prefetched: the next one is made while the network trains on this one.

    Args:
        data: the rows, with the targets and weights for training.
        config: the training config.
        teachers: for online distillation.
    """

    def __init__(self, data: Dataset, config: TrainingConfig, teachers: Teachers | None = None) -> None:
        self.data = data
        self._config = config
        self._teachers = teachers

    def steps(self) -> int:
        """Batches per epoch; a last short one of each pass is dropped, unless it is the only one."""
        return self._config.repeats * self._steps_per_pass()

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0, from step ``first`` on; the same as in a whole epoch."""
        return prefetch((self._batch(drawn, number) for drawn in self.drawn(number, first)), 1)

    def drawn(self, number: int, first: int = 0) -> Iterator[Drawn]:
        """The random choices of each step of an epoch, from step ``first`` on."""
        config, steps = self._config, self._steps_per_pass()
        strength = config.augmentation_of(number)
        for at in range(first // steps, config.repeats):
            pass_number = number * config.repeats + at
            order = generator(config.seed, pass_number, stream=1).permutation(len(self.data))
            table = draws(config.seed, pass_number, len(self.data))
            mixing = generator(config.seed, pass_number, stream=2)
            for step in range(steps):
                rows = order[step * config.batch : (step + 1) * config.batch]
                share = _mixing_share(mixing, strength.mixup, strength.mixup_share)
                if at * steps + step >= first:
                    yield Drawn(rows, table[rows], share)

    def _steps_per_pass(self) -> int:
        return max(1, len(self.data) // self._config.batch)

    def _batch(self, drawn: Drawn, epoch: int) -> Batch:
        crops = augment(self.data.crops[drawn.rows], drawn.table, self._config.augmentation_of(epoch))
        truths = {truth.head: (truth.targets[drawn.rows], truth.weights[drawn.rows]) for truth in self.data.truths}
        if drawn.share < 1.0:
            crops = mixed_crops(crops, drawn.share)
            truths = {head: mixed_targets(*truth, drawn.share) for head, truth in truths.items()}
        if self._teachers:
            soft, weight = self._teachers.predict(crops), self._teachers.weight
            truths = {head: blended_targets(*truth, soft[head], weight) for head, truth in truths.items()}
        return Batch(
            crops,
            {head: targets for head, (targets, _) in truths.items()},
            {head: weights for head, (_, weights) in truths.items()},
        )


def mixed_crops(crops: Crops, share: float) -> Crops:
    """Mixup of each face crop with its mirror position in the batch; ``share`` is the weight of the crop itself."""
    own = crops.astype(np.float32)
    return np.rint(share * own + (1.0 - share) * own[::-1]).astype(np.uint8)


def mixed_targets(targets: Targets, weights: Weights, share: float) -> tuple[Targets, Weights]:
    """Targets and weights after mixup; a row of weight 0 adds nothing to its partner's target."""
    own, other = share * weights, (1.0 - share) * weights[::-1]
    total = own + other
    mixed = own[:, None] * targets + other[:, None] * targets[::-1]
    counted = total > 0
    mixed[counted] /= total[counted, None]
    mixed[~counted] = targets[~counted]
    return mixed.astype(np.float32), total.astype(np.float32)


def blended_targets(
    targets: Targets, weights: Weights, soft: npt.NDArray[np.floating], share: float
) -> tuple[Targets, Weights]:
    """Targets and weights for distillation: the data's labels blended with a teacher's probabilities.

    Cross-entropy is linear in its targets, so the loss on the blend equals the sum of two losses: on the data's labels
    with (1 - share) of their weights, and on the teacher's with ``share``. A row of weight 0 is trained on the
    teacher's probabilities alone.

    Args:
        targets: the data's own, (count, labels).
        weights: of the rows, (count,).
        soft: the teacher's probabilities, (count, labels).
        share: the distillation weight, above 0 and up to 1.
    """
    own = (1 - share) * weights.astype(np.float64)
    blend = own[:, None] * targets + share * soft
    return (blend / (own + share)[:, None]).astype(np.float32), (own + share).astype(np.float32)


def _mixing_share(random: np.random.Generator, alpha: float, batches: float) -> float:
    """The mixup weight of the images themselves; 1.0: no mixup."""
    chosen, share = random.random() < batches, random.beta(alpha, alpha) if alpha > 0 else 1.0
    return float(max(share, 1.0 - share)) if chosen else 1.0
