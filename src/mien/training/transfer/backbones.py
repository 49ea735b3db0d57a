"""The pretrained backbones, and the parts of a training config that depend on them. Needs no Keras."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mien.training.config import PLAIN
from mien.training.run.directory import is_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mien.training.config import TrainingConfig

IMAGENET = "imagenet"
RANDOM = "none"

FINE_TUNE_LR_RATIO = 0.1
"""Learning rate of fine-tuned blocks, relative to that of the new head."""


@dataclass(frozen=True)
class Backbone:
    """A network of ``keras.applications`` as the backbone of a transfer network.

    Attributes:
        application: name of the function in ``keras.applications``.
        size: side in pixels that face crops are resized to. Upscaling 48 px faces adds no detail, but these networks
            downsample 32 times, so a final feature map of 3x3 needs 96; each has the smallest size that works.
        preprocessing: of pixels, as for its ImageNet weights: "tf" (-1 to 1), "caffe" (BGR minus ImageNet's mean),
            "torch" (minus ImageNet's mean, over its deviation), or "own" (a layer of the backbone).
        block_end: regular expression for the name of the last layer of each block.
        url: of the ImageNet weights without top at Keras' server; its last part is the file name in Keras' cache.
        md5: of that file, where Keras publishes it.
    """

    application: str
    size: int
    preprocessing: str
    block_end: str
    url: str
    md5: str | None


BACKBONES: Mapping[str, Backbone] = MappingProxyType(
    {
        "mobilenet": Backbone(
            "MobileNet",
            96,
            "tf",
            r"conv_pw_\d+_relu",
            "mobilenet/mobilenet_1_0_224_tf_no_top.h5",
            None,
        ),
        "resnet50": Backbone(
            "ResNet50",
            96,
            "caffe",
            r"conv\d_block\d_out",
            "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "4d473c1dd8becc155b73f8504c6f6626",
        ),
        "vgg16": Backbone(
            "VGG16",
            64,  # without stride in its first layers it would cost 2.8 G multiply-adds at 96, four times resnet50
            "caffe",
            r"block\d_pool",
            "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "6d6bbae143d832006294945121d1f1fc",
        ),
        "inceptionv3": Backbone(
            "InceptionV3",
            107,  # unpadded: 75 is the minimum, 107 gives a final feature map of 2x2
            "tf",
            r"mixed\d+",
            "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "bcbd6486424b2319ff4ef7d526e38f63",
        ),
        "mobilenetv3": Backbone(
            "MobileNetV3Small",
            96,
            "own",
            r"expanded_conv.*_project_bn",
            "mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
            "d3e8ec802a04aa4fc771ee12a9a9b836",
        ),
        "efficientnetv2": Backbone(
            "EfficientNetV2B0",
            96,
            "torch",
            r"block.*_project_bn",
            "efficientnet_v2/efficientnetv2-b0_notop.h5",
            "893217f2bb855e2983157299931e43ff",
        ),
    }
)


def effective_config(config: TrainingConfig) -> TrainingConfig:
    """The config as the run uses it: head training on frozen features has no augmentation but horizontal flips."""
    if config.network not in BACKBONES or config.weights == RANDOM or config.fine_tune:
        return config
    flip = 1.0 if config.augmentation.flip > 0 else 0.0
    return replace(config, augmentation=replace(PLAIN, flip=flip), fine_tune_epochs=0, precision="float32")


def fine_tuning_config(config: TrainingConfig) -> TrainingConfig:
    """The shipped config of a transfer network, with the learning rate lowered for fine-tuning."""
    return replace(config, learning_rate=config.learning_rate * FINE_TUNE_LR_RATIO)


def weights_setting(value: str) -> str:
    """The ``weights`` of a config for a value of ``--weights``.

    Args:
        value: "imagenet", "none", the name of a model, or the path of a file or run.

    Returns:
        The value itself, or for a path the absolute one.
    """
    path = Path(value).expanduser()
    is_name = path.name == value and not path.suffix and not path.is_file() and not is_run(path)
    return value if is_name or value in (IMAGENET, RANDOM) else str(path.absolute())
