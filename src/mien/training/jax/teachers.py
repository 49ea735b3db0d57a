"""Teachers in the program that a network learns in: networks of Keras with the weights of their model files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from mien.classification.probabilities import vector_scaled
from mien.models.store import ModelStore
from mien.training.transfer.trained_weights import network_in

if TYPE_CHECKING:
    import keras

    from mien.data.dataset import Dataset
    from mien.models.card import Head
    from mien.training.config import TrainingConfig

    Values = tuple[list[jax.Array], list[jax.Array]]


class TeachersOnDevice:
    """What ``Teachers`` are for images on the host.

    Args:
        config: names the teachers; model files in float32.
        training: what is learnt from.

    Attributes:
        share: how much they count of each row.
        values: of the variables of each network. A program is given them, since it would be compiled anew for others.

    Raises:
        ModelError: there is no such model.
        TrainingError: the weights can't be had from a model file.
    """

    def __init__(self, config: TrainingConfig, training: Dataset) -> None:
        store = ModelStore()
        self._teachers = [network_in(store.load(name), training) for name in config.teachers()]
        self.share = config.distillation_weight
        self.values = [_values(network) for network, _ in self._teachers]

    def told(self, values: list[Values], images: jax.Array) -> dict[str, jax.Array]:
        """As ``Teachers.told``, by given values of the variables."""
        each = []
        for (network, card), own in zip(self._teachers, values, strict=True):
            logits, _ = network.stateless_call(*own, images, training=False)
            each.append({head.name: _calibrated(logits[head.name], head) for head in card.heads})
        return {head: jnp.mean(jnp.stack([told[head] for told in each]), axis=0) for head in each[0]}


def _values(network: keras.Model) -> Values:
    variables = (network.trainable_variables, network.non_trainable_variables)
    trainable, others = ([variable.value for variable in part] for part in variables)
    return trainable, others


def _calibrated(logits: jax.Array, head: Head) -> jax.Array:
    return jax.nn.softmax(jnp.asarray(vector_scaled(logits, head.offsets, head.scales)) / head.temperature, axis=1)
