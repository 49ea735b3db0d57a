"""Warm start: a network initialised with the weights of a run, or of a mien model file.

In a model file each batch normalisation is folded into the convolution before it. It is unfolded again with statistics
of the convolution's output on given images, so that the network gives the same predictions and can be trained further.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from mien.classification.classifier import Classifier
from mien.errors import TrainingError
from mien.media.files import sha256_of
from mien.models.onnx_file import card_of
from mien.models.store import ModelStore
from mien.training.architectures.blocks import NetworkShape
from mien.training.run.directory import BEST, is_run, read_run
from mien.training.tasks.classification.compilation import best_network, build_float32

if TYPE_CHECKING:
    import numpy.typing as npt

    from mien.data.dataset import Dataset
    from mien.models.card import ModelCard
    from mien.structures import Crops
    from mien.training.config import TrainingConfig

    Array = npt.NDArray[np.float32]
    Kernels = list[tuple[Array, Array]]
    Labels = dict[str, tuple[str, ...]]

STATISTICS_CROPS = 2048
"""Face crops from which the statistics of batch normalisation are estimated."""

BATCH_SIZE = 256

SUPPORTED_LAYERS = "only convolutions, dense layers and batch normalisation"
REMEDY = "start from its run directory"


@dataclass(frozen=True)
class SourceNetwork:
    """A trained network that another one starts from.

    Attributes:
        model: in float32.
        labels: of each head.
        origin: name and SHA-256 of the weights, for the model card.
    """

    model: keras.Model
    labels: Labels
    origin: str


def load_source(weights: str, training: Dataset, config: TrainingConfig) -> SourceNetwork:
    """Load the network that a config warm-starts from.

    Args:
        weights: a run directory, the name of a model, or a float32 .onnx file written by mien.
        training: typical images, of the size and channels of the new network.
        config: names the architecture.

    Raises:
        ModelError: there is no such model.
        TrainingError: it has another architecture, or one whose weights can't be read from a model file.
    """
    path = Path(weights)
    if is_run(path):
        run_info = read_run(path).run_info
        _check_network(run_info.network, config, weights)
        shape = _shape(training, dict(run_info.heads))
        model = best_network(path, shape, config.network)
        return SourceNetwork(model, dict(run_info.heads), f"{path.name}, a run, sha256:{sha256_of(path / BEST)}")
    content = ModelStore().load(weights)
    _check_network(card_of(content).origin.network, config, weights)
    model, card = network_from_onnx(content, training)
    labels = {head.name: head.labels for head in card.heads}
    return SourceNetwork(model, labels, f"{path.name} sha256:{hashlib.sha256(content).hexdigest()}")


def network_from_onnx(content: bytes, training: Dataset) -> tuple[keras.Model, ModelCard]:
    """Rebuild the network of a model file in Keras, in float32.

    Args:
        content: of the .onnx file.
        training: typical images, of the network's size and channels.

    Returns:
        The network, and the model card of the file.

    Raises:
        ModelError: it is no model file.
        TrainingError: its architecture's weights can't be read from a model file.
    """
    card = Classifier(content).card
    model = build_float32(_shape(training, {head.name: head.labels for head in card.heads}), card.origin.network)
    load_onnx_weights(model, content, card, training.crops[:: max(1, len(training) // STATISTICS_CROPS)])
    return model, card


def warm_start(model: keras.Model, source: SourceNetwork, labels: Labels) -> None:
    """Copy the weights of a trained network into a new one; heads with other labels keep their random weights.

    Args:
        model: the new network, of the same architecture.
        source: the trained network.
        labels: of each head of ``model``.
    """
    for layer, trained in zip(_trunk(model, labels), _trunk(source.model, source.labels), strict=True):
        layer.set_weights(trained.get_weights())
    for head in labels:
        if labels[head] == source.labels.get(head):
            model.get_layer(head).set_weights(source.model.get_layer(head).get_weights())


def _trunk(model: keras.Model, labels: Labels) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.name not in labels]


def load_onnx_weights(model: keras.Model, content: bytes, card: ModelCard, crops: Crops) -> None:
    """Load the weights of a model file into a network of the same architecture.

    Args:
        model: in float32, of convolutions and dense layers, each followed by at most one batch normalisation.
        content: of the .onnx file.
        card: of the file.
        crops: uint8 (count, size, size, channels), typical images in any order.

    Raises:
        TrainingError: the file holds another network, or one with unsupported layers.
    """
    kernels, heads = _kernels(content, card)
    norms = _norms(model)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            kernel, bias = heads[layer.name] if layer.name in heads else _next_kernel(kernels, layer)
            layer.kernel.assign(kernel)
            if layer.use_bias:
                layer.bias.assign(bias)
            else:
                _set_identity(norms.pop(layer.name), bias)
        elif layer.weights and not isinstance(layer, keras.layers.BatchNormalization | keras.layers.Dropout):
            raise TrainingError(
                f"expected {SUPPORTED_LAYERS} to load weights from a model file; received {layer.name!r}: {REMEDY}"
            )
    if norms or kernels:
        raise TrainingError(
            f"expected a model file with batch normalisation folded into its convolutions; received another: {REMEDY}"
        )
    _unfold(model, list(_norms(model).values()), crops)


def _shape(training: Dataset, labels: Labels) -> NetworkShape:
    heads = tuple((name, len(each)) for name, each in labels.items())
    return NetworkShape(training.size, training.channels, heads)


def _check_network(network: str, config: TrainingConfig, weights: str) -> None:
    if network != config.network:
        raise TrainingError(
            f"expected weights of the network {config.network!r}; received {weights}, which is of {network!r}. "
            f"Use --arch {network}, or start from other weights"
        )


def _kernels(content: bytes, card: ModelCard) -> tuple[Kernels, dict[str, tuple[Array, Array]]]:
    """Kernel (in Keras' layout) and bias of each convolution and dense layer in order; heads separately."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(content).graph
    known = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    names = dict(zip((output.name for output in graph.output), (head.name for head in card.heads), strict=True))
    kernels, heads = [], {}
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm") or node.input[1] not in known:
            continue
        kernel = known[node.input[1]]
        if node.op_type == "Conv":
            kernel = kernel.transpose(2, 3, 1, 0)
        elif any(part.name == "transB" and part.i for part in node.attribute):
            kernel = kernel.T
        bias = known[node.input[2]] if len(node.input) > 2 else np.zeros(kernel.shape[-1], np.float32)
        if node.output[0] in names:
            heads[names[node.output[0]]] = kernel, bias
        else:
            kernels.append((kernel, bias))
    return kernels, heads


def _norms(model: keras.Model) -> dict[str, keras.layers.BatchNormalization]:
    """The batch normalisation after each layer, by the layer's name."""
    return {
        layer.input._keras_history.operation.name: layer  # noqa: SLF001  Keras has no public way to the producer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }


def _next_kernel(kernels: Kernels, layer: Any) -> tuple[Array, Array]:
    """Remove and return the first kernel of the layer's shape; kernels and layers are in the same order."""
    for at, (kernel, _) in enumerate(kernels):
        if kernel.shape == tuple(layer.kernel.shape):
            return kernels.pop(at)
    raise TrainingError(
        f"expected a model file with a kernel of {tuple(layer.kernel.shape)} for {layer.name!r} in float32; received "
        f"none: {REMEDY}"
    )


def _set_identity(norm: keras.layers.BatchNormalization, bias: Array) -> None:
    """Make a batch normalisation add a bias and change nothing else."""
    norm.gamma.assign(np.ones_like(bias))
    norm.beta.assign(bias)
    norm.moving_mean.assign(np.zeros_like(bias))
    norm.moving_variance.assign(np.full_like(bias, 1.0 - norm.epsilon))


def _unfold(model: keras.Model, norms: list[keras.layers.BatchNormalization], crops: Crops) -> None:
    """Estimate the statistics of each batch normalisation, and set the scale and offset that cancel them."""
    inputs = keras.Model(model.input, [norm.input for norm in norms])
    parts = np.array_split(crops, max(1, len(crops) // BATCH_SIZE))
    moments = [np.zeros((2, norm.gamma.shape[0])) for norm in norms]
    for part in parts:
        moments = [
            total + _moments(np.asarray(values, np.float64), norm.axis) / len(parts)
            for total, values, norm in zip(moments, inputs.predict_on_batch(part), norms, strict=True)
        ]
    for norm, (mean, square) in zip(norms, moments, strict=True):
        variance = np.maximum(square - mean**2, 0.0)
        norm.beta.assign(keras.ops.convert_to_numpy(norm.beta) + mean)
        norm.gamma.assign(np.sqrt(variance + norm.epsilon))
        norm.moving_mean.assign(mean)
        norm.moving_variance.assign(variance)


def _moments(values: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Mean and mean square of each channel, (2, channels)."""
    others = tuple(at for at in range(values.ndim) if at != axis % values.ndim)
    return np.stack([values.mean(axis=others), (values**2).mean(axis=others)])
