"""The Keras network of a run, with its model card, and the tensors inside it that explanations start from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mien.errors import TrainingError, UsageError
from mien.models.onnx_file import card_of
from mien.models.store import ModelStore
from mien.training import prepare_backend
from mien.training.run.directory import BEST, MODEL, read_run

if TYPE_CHECKING:
    from pathlib import Path

    import keras

    from mien.models.card import ModelCard
    from mien.structures import Crops

    Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """The network of a run with its best weights.

    Attributes:
        model: uint8 face crops in, a dict of logits by head out.
        card: of the run's model file: labels, temperatures, fusion weights.
        name: of the architecture.
    """

    model: keras.Model
    card: ModelCard
    name: str

    def randomized(self, share: float, seed: int = 0) -> Network:
        """A copy with the weights of its last layers permuted at random; see ``mien.explain.faithfulness``.

        Args:
            share: of the layers with weights to randomise, counted from the output; 1 randomises all of them.
            seed: of the permutation.
        """
        copy = _built(self.card, self.name)
        copy.set_weights(self.model.get_weights())
        kernels = [variable for variable in copy.trainable_variables if len(variable.shape) > 1]
        rng = np.random.default_rng(seed)
        for variable in reversed(kernels[len(kernels) - math.ceil(share * len(kernels)) :]):
            values = array_of(variable)
            variable.assign(rng.permutation(values.ravel()).reshape(values.shape))
        return Network(copy, self.card, self.name)


def load_network(run: Path) -> Network:
    """Rebuild the network of a run directory and load the weights of its best epoch.

    Raises:
        TrainingError: the directory holds no run, or no weights that fit.
        ModelError: its model file is missing or was changed.
        MissingExtraError: Keras or its backend is not installed.
    """
    prepare_backend()
    record = read_run(run)
    card = card_of(ModelStore().load(run / MODEL))
    model = _built(card, record.config.network)
    try:
        model.load_weights(run / BEST)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"expected weights of {record.config.network!r} at {run / BEST}; received none that fit ({error})"
        ) from error
    return Network(model, card, record.config.network)


def _built(card: ModelCard, name: str) -> keras.Model:
    from mien.training.architectures import NetworkShape
    from mien.training.tasks.classification.compilation import build_float32

    heads = tuple((head.name, len(head.labels)) for head in card.heads)
    return build_float32(NetworkShape(card.size, card.channels, heads), name)


def split_at(model: keras.Model, tensor: keras.KerasTensor) -> tuple[keras.Model, keras.Model]:
    """Split a network at an inner tensor: from its input to the tensor, and from the tensor to its outputs."""
    import keras

    return keras.Model(model.input, tensor), keras.Model(tensor, model.output)


def first_float_tensor(model: keras.Model) -> keras.KerasTensor:
    """The first float tensor of a network, up to which gradients reach: (count, size, size, channels)."""
    return next(layer.output for layer in model.layers if "float" in str(getattr(layer.output, "dtype", "")))


def last_feature_maps(model: keras.Model) -> keras.KerasTensor:
    """The last feature maps larger than 1x1: a tensor of four axes in Keras' data format.

    Raises:
        UsageError: the network has none.
    """
    maps = feature_map_layers(model)
    if not maps:
        raise UsageError(
            f"expected a network with convolutions; {model.name!r} has none, so it has no feature maps: "
            "--method occlusion or integrated-gradients explain it"
        )
    return maps[-1].output


def feature_map_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers from the first convolution on whose feature maps are larger than 1x1.

    A nested network (a pretrained backbone) counts as one layer.
    """
    import keras

    kernels = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D, keras.Model)
    first = next((index for index, layer in enumerate(model.layers) if isinstance(layer, kernels)), len(model.layers))
    return [layer for layer in model.layers[first:] if _positions(layer) > 1]


def _positions(layer: keras.layers.Layer) -> int:
    """Spatial positions of a layer's feature maps; 0 where its output has no such maps."""
    shape: Any = getattr(layer.output, "shape", ())
    if len(shape) != 4:
        return 0
    return int(shape[2] * shape[3]) if channels_first() else int(shape[1] * shape[2])


def channels_first() -> bool:
    """Whether Keras holds feature maps as (count, channels, rows, columns)."""
    import keras

    return bool(keras.config.image_data_format() == "channels_first")


def array_of(tensor: Any) -> Values:
    """A tensor or variable of any backend as float32."""
    import keras

    return np.array(keras.ops.convert_to_numpy(keras.ops.stop_gradient(tensor)), np.float32)


def with_mirrored(crop: Crops, card: ModelCard) -> Crops:
    """The face crop, plus its mirror image where the card averages over both: (1 or 2, size, size, channels)."""
    return np.stack([crop, crop[:, ::-1]]) if card.mirrored else crop[None]


def merge_mirrored(maps: Values) -> Values:
    """Maps of ``with_mirrored``, (1 or 2, size, size), the second one flipped back and added: (size, size)."""
    merged: Values = maps[0] if len(maps) == 1 else maps[0] + maps[1][:, ::-1]
    return merged
