"""What follows from the choice of transfer learning, for whoever makes a config. Needs no Keras."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mien.training.config import PLAIN
from mien.training.run.directory import is_run

if TYPE_CHECKING:
    from mien.training.config import TrainingConfig

IMAGENET = "imagenet"
RANDOM = "none"

TRANSFER = ("mobilenet", "resnet50", "vgg16", "inceptionv3", "mobilenetv3", "efficientnetv2")
"""The networks of the architectures made on one of Keras' own, which can begin with ImageNet's weights."""

FINER = 0.1
"""The rate of blocks that are taught on, over that of new layers."""


def settled(config: TrainingConfig) -> TrainingConfig:
    """The config as it will be used: new layers on a frozen base see plain and mirrored images, no other changes."""
    if config.network not in TRANSFER or config.weights == RANDOM or config.fine_tune:
        return config
    flip = 1.0 if config.augmentation.flip > 0 else 0.0
    return replace(config, augmentation=replace(PLAIN, flip=flip), fine_tune_epochs=0, precision="float32")


def fine_tuned(config: TrainingConfig) -> TrainingConfig:
    """A network's own config for teaching blocks of its base on: at a tenth of its rate."""
    return replace(config, learning_rate=config.learning_rate * FINER)


def chosen_weights(words: str) -> str:
    """Weights as a config names them: "imagenet", "none", a model's name, or the absolute path of a file or a run."""
    path = Path(words).expanduser()
    named = path.name == words and not path.suffix and not path.is_file() and not is_run(path)
    return words if named or words in (IMAGENET, RANDOM) else str(path.absolute())
