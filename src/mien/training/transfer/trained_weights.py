"""A network of the architectures begun with the weights of one that was taught: those of a run, or of a model file.

In a model file each batch normalisation is folded into the convolution before it. It is taken out again by what the
convolution gives for given images, so that the network says the same and can learn on.
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
from mien.training.architectures.parts import NetworkShape
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

LOOKED_AT = 2048
"""Face crops from which statistics are taken."""

TOGETHER = 256

KINDS = "convolutions, dense layers and batch normalisation alone"
RUN = "begin with the directory of its run"


@dataclass(frozen=True)
class TrainedRun:
    """A network that was taught.

    Attributes:
        model: in float32.
        labels: of each of its heads.
        told: where it came from, for the card of what begins with it.
    """

    model: keras.Model
    labels: Labels
    told: str


def trained_network(weights: str, training: Dataset, config: TrainingConfig) -> TrainedRun:
    """The network that a config begins with.

    Args:
        weights: a run's directory, a model's name, or an .onnx file that mien wrote in float32.
        training: images as in use, and the size and channels that the network is to have.
        config: names the network.

    Raises:
        ModelError: there is no such model.
        TrainingError: it is of another network, or of one whose weights can't be had from a model file.
    """
    path = Path(weights)
    if is_run(path):
        run_info = read_run(path).run_info
        _check_network(run_info.network, config, weights)
        shape = _shape(training, dict(run_info.heads))
        model = best_network(path, shape, config.network)
        return TrainedRun(model, dict(run_info.heads), f"{path.name}, a run, sha256:{sha256_of(path / BEST)}")
    content = ModelStore().load(weights)
    _check_network(card_of(content).origin.network, config, weights)
    model, card = network_in(content, training)
    labels = {head.name: head.labels for head in card.heads}
    return TrainedRun(model, labels, f"{path.name} sha256:{hashlib.sha256(content).hexdigest()}")


def network_in(content: bytes, training: Dataset) -> tuple[keras.Model, ModelCard]:
    """The network in a model file, in float32, and the file's card.

    Args:
        content: of the .onnx file.
        training: images as in use, of the size and channels that the network reads.

    Raises:
        ModelError: it is no model file.
        TrainingError: it is of a network whose weights can't be had from a model file.
    """
    card = Classifier(content).card
    model = build_float32(_shape(training, {head.name: head.labels for head in card.heads}), card.origin.network)
    load_graph(model, content, card, training.crops[:: max(1, len(training) // LOOKED_AT)])
    return model, card


def begin_with(model: keras.Model, trained: TrainedRun, labels: Labels) -> None:
    """Gives a fresh network the weights of a taught one; heads of other labels stay fresh.

    Args:
        model: of the same kind.
        trained: what it begins with.
        labels: of each head of ``model``.
    """
    for layer, source in zip(_body(model, labels), _body(trained.model, trained.labels), strict=True):
        layer.set_weights(source.get_weights())
    for head in labels:
        if labels[head] == trained.labels.get(head):
            model.get_layer(head).set_weights(trained.model.get_layer(head).get_weights())


def _body(model: keras.Model, labels: Labels) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if layer.name not in labels]


def load_graph(model: keras.Model, content: bytes, card: ModelCard, crops: Crops) -> None:
    """Gives a network the weights in a model file of the same network.

    Args:
        model: of the architectures, made of convolutions and dense layers with batch normalisation right behind them,
            in float32.
        content: of the .onnx file.
        card: the file's.
        crops: uint8 (count, size, size, channels), images as in use, in any order.

    Raises:
        TrainingError: the file holds another network, or one made of other layers.
    """
    kernels, heads = _kernels(content, card)
    norms = _norms(model)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            kernel, bias = heads[layer.name] if layer.name in heads else _taken(kernels, layer)
            layer.kernel.assign(kernel)
            if layer.use_bias:
                layer.bias.assign(bias)
            else:
                _pass(norms.pop(layer.name), bias)
        elif layer.weights and not isinstance(layer, keras.layers.BatchNormalization | keras.layers.Dropout):
            raise TrainingError(f"expected {KINDS} in a network begun by a model file; received {layer.name!r}: {RUN}")
    if norms or kernels:
        raise TrainingError(
            f"expected a model file whose normalisation is part of its convolutions; this is not: {RUN}"
        )
    _unfold(model, list(_norms(model).values()), crops)


def _shape(training: Dataset, labels: Labels) -> NetworkShape:
    heads = tuple((name, len(each)) for name, each in labels.items())
    return NetworkShape(training.size, training.channels, heads)


def _check_network(network: str, config: TrainingConfig, weights: str) -> None:
    if network != config.network:
        raise TrainingError(
            f"expected weights of the network {config.network!r}; received {weights}, which is of {network!r}. "
            f"Say --model {network}, or begin with other weights"
        )


def _kernels(content: bytes, card: ModelCard) -> tuple[Kernels, dict[str, tuple[Array, Array]]]:
    """Kernel, as Keras has it, and bias of each convolution and dense layer of a graph, in order; the heads' apart."""
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
    """The batch normalisation that follows each layer, by the layer's name."""
    return {
        layer.input._keras_history.operation.name: layer  # noqa: SLF001  Keras has no other way back
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }


def _taken(kernels: Kernels, layer: Any) -> tuple[Array, Array]:
    """The first of the kernels that fits a layer, taken out of the list: both are in the order of the graph."""
    for at, (kernel, _) in enumerate(kernels):
        if kernel.shape == tuple(layer.kernel.shape):
            return kernels.pop(at)
    raise TrainingError(
        f"expected a model file with a kernel of {tuple(layer.kernel.shape)} for {layer.name!r} in float32; there is "
        f"none: {RUN}"
    )


def _pass(norm: keras.layers.BatchNormalization, bias: Array) -> None:
    """Makes a normalisation add a bias and do nothing else."""
    norm.gamma.assign(np.ones_like(bias))
    norm.beta.assign(bias)
    norm.moving_mean.assign(np.zeros_like(bias))
    norm.moving_variance.assign(np.full_like(bias, 1.0 - norm.epsilon))


def _unfold(model: keras.Model, norms: list[keras.layers.BatchNormalization], crops: Crops) -> None:
    """Gives each normalisation the statistics of what it sees, and the scale and offset that undo them."""
    seen = keras.Model(model.input, [norm.input for norm in norms])
    parts = np.array_split(crops, max(1, len(crops) // TOGETHER))
    moments = [np.zeros((2, norm.gamma.shape[0])) for norm in norms]
    for part in parts:
        moments = [
            total + _moments(np.asarray(values, np.float64), norm.axis) / len(parts)
            for total, values, norm in zip(moments, seen.predict_on_batch(part), norms, strict=True)
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
