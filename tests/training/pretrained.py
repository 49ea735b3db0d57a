"""Files of weights such as Keras publishes: random ones, for a network that is small enough for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import keras
from tasks_drawn import drawn

from mien.training.architectures import NetworkShape, build
from mien.training.architectures.pretrained import backbone_of
from mien.training.engine.variables import estimate_batch_norm

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

SMALL = "mobilenetv3"
SIZE = 24


def write_weights(path: Path, network: str = SMALL) -> Path:
    """Writes weights without top in the form of Keras 2, which all published ones have: layers at the file's root.

    Batch normalisation has the statistics of drawn stripes: with those of a fresh network no signal comes through.
    """
    keras.utils.set_random_seed(0)
    model = build(network, NetworkShape(SIZE, 1, (("classes", 8),)))
    estimate_batch_norm(model, drawn(each=8, size=SIZE).crops)
    whole = path.with_suffix(".whole.h5")
    backbone_of(model).save(whole)
    with h5py.File(whole) as source, h5py.File(path, "w") as target:
        for name, value in source["model_weights"].attrs.items():
            target.attrs[name] = value
        for name in source["model_weights"]:
            source.copy(f"model_weights/{name}", target)
    whole.unlink()
    return path


def with_top(path: Path) -> Path:
    """Writes weights of the small network with its top."""
    keras.applications.MobileNetV3Small(weights=None).save(path)
    return path


def base_weights(model: keras.Model) -> dict[str, list[np.ndarray]]:
    """The weights of each layer of a transfer network's base."""
    return {layer.name: layer.get_weights() for layer in backbone_of(model).layers if layer.weights}
