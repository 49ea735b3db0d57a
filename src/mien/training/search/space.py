"""What a search varies of a config, and how far: little, around the config that the network comes with.

The optimizer, the schedule and the network itself stay: they make other runs, to be compared by ``mien runs``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mien.training.config import Augmentation, TrainingConfig

BATCHES = (64, 128, 256)

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
"""Every choice of an augmentation that one factor makes stronger or weaker, and the most that each can be."""


@dataclass(frozen=True)
class Choices:
    """One point of the space; names as in ``TrainingConfig``.

    Attributes:
        rate: a tenth to three times that of the config.
        weight_decay: a tenth to ten times it.
        dropout: 0 to 0.6.
        label_smoothing: 0 to 0.2.
        batch: 64, 128, 256, or the config's own.
        augmentation: factor on how far and how often images are changed; 1 leaves the config's own.
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
        """The choices by name, as far as the config's space has them."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name in space(config)}


def own_choices(config: TrainingConfig) -> Choices:
    """The point that is the config itself."""
    return Choices(config.learning_rate, config.weight_decay, config.dropout, config.label_smoothing, config.batch)


def space(config: TrainingConfig) -> Mapping[str, Any]:
    """Optuna's distributions by name; without the weight decay or the augmentation where the config has none."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    decay = config.weight_decay
    own = {
        "learning_rate": FloatDistribution(config.learning_rate / 10, config.learning_rate * 3, log=True),
        "dropout": FloatDistribution(0.0, max(0.6, config.dropout)),
        "label_smoothing": FloatDistribution(0.0, max(0.2, config.label_smoothing)),
        "batch": CategoricalDistribution(tuple(sorted({*BATCHES, config.batch}))),
    }
    if decay > 0:
        own["weight_decay"] = FloatDistribution(decay / 10, decay * 10, log=True)
    if strengthened(config.augmentation, 0.0) != config.augmentation:
        own["augmentation"] = FloatDistribution(0.0, 1.5)
    return own


def strengthened(augmentation: Augmentation, factor: float) -> Augmentation:
    """The augmentation so many times as far and as often, as far as it goes; mirroring stays as it is."""
    changes: dict[str, Any] = {
        name: min(factor * getattr(augmentation, name), most) for name, most in AUGMENTATION_LIMITS.items()
    }
    smallest, largest = augmentation.scale
    changes["scale"] = (max(smallest**factor, 0.2), min(largest**factor, 5.0))
    return dataclasses.replace(augmentation, **changes)
