"""The batches of an epoch: shuffled, augmented and mixed as a pure function of (seed, epoch)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mien.ahead import ahead
from mien.training.augmentation import augment, draws, generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mien.arrays import Chips, Targets
    from mien.datasets.dataset import Dataset
    from mien.training.recipe import Recipe

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """One step's chips with the targets and weights of each head by name."""

    chips: Chips
    targets: dict[str, Targets]
    weights: dict[str, Weights]


class Batches:
    """Batches of a training split. The next one is made while the network learns from this one."""

    def __init__(self, data: Dataset, recipe: Recipe) -> None:
        self._data = data
        self._recipe = recipe

    def steps(self) -> int:
        """Batches an epoch; a last short one is left out unless it is the only one."""
        return max(1, len(self._data) // self._recipe.batch)

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, counted from 0, from its step ``first`` on: the same as in a whole epoch."""
        recipe = self._recipe
        order = generator(recipe.seed, number, stream=1).permutation(len(self._data))
        table = draws(recipe.seed, number, len(self._data))
        mixing = generator(recipe.seed, number, stream=2)
        strength = recipe.augmentation_of(number)

        def jobs() -> Iterator[Callable[[], Batch]]:
            for step in range(self.steps()):
                rows = order[step * recipe.batch : (step + 1) * recipe.batch]
                share = _mixing_share(mixing, strength.mixup, strength.mixup_share)
                if step >= first:
                    yield partial(self._batch, rows, table, number, share)

        return ahead((job() for job in jobs()), 1)

    def _batch(self, rows: npt.NDArray[np.int64], table: npt.NDArray[np.float32], epoch: int, share: float) -> Batch:
        chips = augment(self._data.chips[rows], table[rows], self._recipe.augmentation_of(epoch))
        truths = {truth.head: (truth.targets[rows], truth.weights[rows]) for truth in self._data.truths}
        if share < 1.0:
            chips = mixed_chips(chips, share)
            truths = {head: mixed_targets(*truth, share) for head, truth in truths.items()}
        return Batch(
            chips,
            {head: targets for head, (targets, _) in truths.items()},
            {head: weights for head, (_, weights) in truths.items()},
        )


def mixed_chips(chips: Chips, share: float) -> Chips:
    """Each chip blended with the one as far from the other end of the batch; ``share`` is its own part."""
    own = chips.astype(np.float32)
    return np.rint(share * own + (1.0 - share) * own[::-1]).astype(np.uint8)


def mixed_targets(targets: Targets, weights: Weights, share: float) -> tuple[Targets, Weights]:
    """Targets and weights of blended chips: a row that counts for nothing adds nothing to its partner's target."""
    own, other = share * weights, (1.0 - share) * weights[::-1]
    total = own + other
    mixed = own[:, None] * targets + other[:, None] * targets[::-1]
    counted = total > 0
    mixed[counted] /= total[counted, None]
    mixed[~counted] = targets[~counted]
    return mixed.astype(np.float32), total.astype(np.float32)


def _mixing_share(random: np.random.Generator, alpha: float, batches: float) -> float:
    """How much of itself each picture of a batch keeps; 1.0: not mixed."""
    chosen, share = random.random() < batches, random.beta(alpha, alpha) if alpha > 0 else 1.0
    return float(max(share, 1.0 - share)) if chosen else 1.0
