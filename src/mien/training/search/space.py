"""The search space: a neighbourhood of the config that a network ships with.

Optimizer, schedule and network are fixed; compare those with ``mien runs``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mien.training.config import Augmentation, TrainingConfig

BATCH_SIZES = (64, 128, 256)

AUGMENTATION_LIMITS = {
    "rotate": 180.0,
    "shift": 0.5,
    "shear": 1.0,
    "brightness": 0.9,
    "blur": 1.0,
    "shrink": 1.0,
    "jpeg": 1.0,
    "random_erasing": 1.0,
    "mixup_share": 1.0,
}
"""Fields of an augmentation that one factor scales, and the upper limit of each."""


@dataclass(frozen=True)
class Choices:
    """One point of the search space; names as in ``TrainingConfig``.

    Attributes:
        learning_rate: a tenth to three times that of the config.
        weight_decay: a tenth to ten times it.
        dropout: 0 to 0.6.
        label_smoothing: 0 to 0.2.
        batch: 64, 128, 256, or that of the config.
        augmentation: factor on strength and probabilities; 1 is that of the config.
    """

    learning_rate: float
    weight_decay: float
    dropout: float
    label_smoothing: float
    batch: int
    augmentation: float = 1.0

    def applied(self, config: TrainingConfig) -> TrainingConfig:
        """The config with these choices."""
        values = dataclasses.asdict(self) | {"augmentation": strengthened(config.augmentation, self.augmentation)}
        return dataclasses.replace(config, **values)

    def parameters(self, config: TrainingConfig) -> dict[str, Any]:
        """The choices that the config's search space varies, by name."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name in space(config)}


def own_choices(config: TrainingConfig) -> Choices:
    """The config itself as a point."""
    return Choices(config.learning_rate, config.weight_decay, config.dropout, config.label_smoothing, config.batch)


def space(config: TrainingConfig) -> Mapping[str, Any]:
    """Optuna's distributions by name; no weight decay or augmentation if the config has none."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    decay = config.weight_decay
    own = {
        "learning_rate": FloatDistribution(config.learning_rate / 10, config.learning_rate * 3, log=True),
        "dropout": FloatDistribution(0.0, max(0.6, config.dropout)),
        "label_smoothing": FloatDistribution(0.0, max(0.2, config.label_smoothing)),
        "batch": CategoricalDistribution(tuple(sorted({*BATCH_SIZES, config.batch}))),
    }
    if decay > 0:
        own["weight_decay"] = FloatDistribution(decay / 10, decay * 10, log=True)
    if strengthened(config.augmentation, 0.0) != config.augmentation:
        own["augmentation"] = FloatDistribution(0.0, 1.5)
    return own


def strengthened(augmentation: Augmentation, factor: float) -> Augmentation:
    """The augmentation with strength and probabilities scaled, within their limits; flip and mixup stay."""
    changes: dict[str, Any] = {
        name: min(factor * getattr(augmentation, name), limit) for name, limit in AUGMENTATION_LIMITS.items()
    }
    smallest, largest = augmentation.scale
    changes["scale"] = (max(smallest**factor, 0.2), min(largest**factor, 5.0))
    return dataclasses.replace(augmentation, **changes)
