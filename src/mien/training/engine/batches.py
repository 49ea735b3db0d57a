"""The batches of an epoch: shuffled, augmented and mixed as a pure function of (seed, epoch)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.media.prefetch import prefetch
from mien.training.engine.augmentation import augment, draws, generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mien.data.dataset import Dataset
    from mien.structures import Crops, Targets
    from mien.training.config import TrainingConfig
    from mien.training.distillation.online import Teachers

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """One step's face crops with the targets and weights of each head by name."""

    crops: Crops
    targets: dict[str, Targets]
    weights: dict[str, Weights]


@dataclass(frozen=True)
class Drawn:
    """What chance decides of one step.

    Attributes:
        rows: int64 (batch,), of the training split.
        table: float32 (batch, uses), how each image is changed: rows of ``augmentation.draws``.
        share: of itself that each image keeps when it is mixed with another; 1: none is mixed.
    """

    rows: npt.NDArray[np.int64]
    table: npt.NDArray[np.float32]
    share: float


class Batches:
    """Batches of a training split. The next one is made while the network learns from this one.

    Args:
        data: the rows, with targets and weights as they are learnt from.
        config: every choice.
        teachers: whose answers on the images of each batch are learnt too.
    """

    def __init__(self, data: Dataset, config: TrainingConfig, teachers: Teachers | None = None) -> None:
        self.data = data
        self._config = config
        self._teachers = teachers

    def steps(self) -> int:
        """Batches an epoch; of each pass a last short one is left out unless it is the only one."""
        return self._config.repeats * self._steps_a_pass()

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0, from its step ``first`` on: the same as in a whole epoch."""
        return prefetch((self._batch(drawn, number) for drawn in self.drawn(number, first)), 1)

    def drawn(self, number: int, first: int = 0) -> Iterator[Drawn]:
        """What chance decides of each step of an epoch, from its step ``first`` on."""
        config, steps = self._config, self._steps_a_pass()
        strength = config.augmentation_of(number)
        for at in range(first // steps, config.repeats):
            turn = number * config.repeats + at
            order = generator(config.seed, turn, stream=1).permutation(len(self.data))
            table = draws(config.seed, turn, len(self.data))
            mixing = generator(config.seed, turn, stream=2)
            for step in range(steps):
                rows = order[step * config.batch : (step + 1) * config.batch]
                share = _mixing_share(mixing, strength.mixup, strength.mixup_share)
                if at * steps + step >= first:
                    yield Drawn(rows, table[rows], share)

    def _steps_a_pass(self) -> int:
        return max(1, len(self.data) // self._config.batch)

    def _batch(self, drawn: Drawn, epoch: int) -> Batch:
        crops = augment(self.data.crops[drawn.rows], drawn.table, self._config.augmentation_of(epoch))
        truths = {truth.head: (truth.targets[drawn.rows], truth.weights[drawn.rows]) for truth in self.data.truths}
        if drawn.share < 1.0:
            crops = mixed_crops(crops, drawn.share)
            truths = {head: mixed_targets(*truth, drawn.share) for head, truth in truths.items()}
        if self._teachers:
            told, share = self._teachers.predict(crops), self._teachers.weight
            truths = {head: blended_targets(*truth, told[head], share) for head, truth in truths.items()}
        return Batch(
            crops,
            {head: targets for head, (targets, _) in truths.items()},
            {head: weights for head, (_, weights) in truths.items()},
        )


def mixed_crops(crops: Crops, share: float) -> Crops:
    """Each face crop blended with the one as far from the other end of the batch; ``share`` is its own part."""
    own = crops.astype(np.float32)
    return np.rint(share * own + (1.0 - share) * own[::-1]).astype(np.uint8)


def mixed_targets(targets: Targets, weights: Weights, share: float) -> tuple[Targets, Weights]:
    """Targets and weights of blended face crops: a row that counts for nothing adds nothing to its partner's target."""
    own, other = share * weights, (1.0 - share) * weights[::-1]
    total = own + other
    mixed = own[:, None] * targets + other[:, None] * targets[::-1]
    counted = total > 0
    mixed[counted] /= total[counted, None]
    mixed[~counted] = targets[~counted]
    return mixed.astype(np.float32), total.astype(np.float32)


def blended_targets(
    targets: Targets, weights: Weights, told: npt.NDArray[np.floating], share: float
) -> tuple[Targets, Weights]:
    """Targets and weights of rows that a teacher's answers are learnt of too.

    Cross-entropy is linear in its targets: learning from the blend is learning from both, the data's own labels with
    (1 - share) of their weights and the teacher's with ``share``, added. A row that counted for nothing counts for
    what the teacher says.

    Args:
        targets: the data's own, (count, labels).
        weights: what each row counts by them, (count,).
        told: the teacher's probabilities, (count, labels).
        share: of the teacher, above 0 and up to 1.
    """
    own = (1 - share) * weights.astype(np.float64)
    blend = own[:, None] * targets + share * told
    return (blend / (own + share)[:, None]).astype(np.float32), (own + share).astype(np.float32)


def _mixing_share(random: np.random.Generator, alpha: float, batches: float) -> float:
    """How much of itself each image of a batch keeps; 1.0: not mixed."""
    chosen, share = random.random() < batches, random.beta(alpha, alpha) if alpha > 0 else 1.0
    return float(max(share, 1.0 - share)) if chosen else 1.0
