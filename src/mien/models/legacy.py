"""Names that mien 0.1.0 wrote into files, and what they are called now: the one place for them.

Readers of model cards, run directories, training configs and JSON Lines rename what they find by these tables, so
files of 0.1.0 stay readable. Writers use the new names only.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADS = MappingProxyType({"answer": "fused"})
"""Output heads, in cards, options and requests."""

METRICS = MappingProxyType({"false a picture": "FPPI", "false an image": "FPPI"})
"""Metrics of the scores in cards."""

CARD_FIELDS = MappingProxyType({"answer": "fused"})
ORIGIN_FIELDS = MappingProxyType({"recipe": "config"})

CONFIG_FIELDS = MappingProxyType(
    {
        "rate": "learning_rate",
        "passes": "repeats",
        "gentle_epochs": "fine_tune_epochs",
        "clip": "clipnorm",
        "average": "ema_decay",
        "further_heads": "auxiliary_loss_weight",
        "answer_own": "own_head_weight",
        "answer_even": "prior_correction",
        "soft_share": "distillation_weight",
        "pasted": "copy_paste",
    }
)
"""Fields of training configs."""

SHIPPED_CONFIGS = MappingProxyType({"compact-taught": "compact-distilled"})
"""Configs that ship."""

AUGMENTATION_FIELDS = MappingProxyType({"light": "brightness", "erase": "random_erasing"})
EPOCH_FIELDS = MappingProxyType({"rate": "learning_rate", "pictures_a_second": "images_per_second"})
"""Lines of a run's history."""

SOURCE_FIELDS = MappingProxyType({"without": "exclude"})
"""The source of the data in a run's run.json."""

RUN_FILES = MappingProxyType({"config.toml": "recipe.toml"})
"""Files of a run directory under today's name, and what they were called."""

CHECKPOINT_FILES = MappingProxyType({"state.json": "moment.json"})
"""Files of a checkpoint, likewise."""


def renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The values under their new names; what the table does not name keeps its own."""
    return {names.get(name, name): value for name, value in values.items()}


def head_named(name: str) -> str:
    """The name of an output head as it is now."""
    return HEADS.get(name, name)
