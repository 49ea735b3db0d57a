"""Training throughput of ``mien train``, compared with the same networks in plain Keras.

    KERAS_BACKEND=torch python benchmarks/training.py
    KERAS_BACKEND=tensorflow python benchmarks/training.py --data FER2013_FOLDER --out docs/gpu_training.md

Plain Keras is what tutorials use: Keras' own layers in float32, standardised pixels, Adam, ``model.fit`` over arrays,
or over an ``ImageDataGenerator`` that rotates, shifts, shears, zooms and flips. mien trains with the network's own
config, including its precision; the rows without augmentation only turn that off. All take turns in one process on one
backend. Each figure is the median over the rounds of an epoch after a warm-up epoch.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from page import Section, fill, table
from setting import PORTRAIT, SHARED, busy, machine, today
from timing import Sample, interleaved

from mien.data import TRAINING, Dataset, Truth, load
from mien.emotions import FER2013
from mien.media.files import write_text
from mien.training import prepare_backend
from mien.training.config import PLAIN, config_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

NETWORKS = ("two-conv", "compact")
FER = SHARED / "data" / "fer2013"


class Variant(NamedTuple):
    """One measured combination."""

    network: str
    augmented: bool
    by: str


class Throughput(NamedTuple):
    """Images per second of a warm epoch, and the share of it spent waiting for data (NaN: unknown)."""

    images_per_second: float
    waiting: float


def training(data: Dataset, rounds: int) -> Section:
    """Images per second by network, with and without augmentation, of mien and of plain Keras."""
    variants: dict[Variant, Callable[[], Throughput]] = {}
    for network in NETWORKS:
        for augmented in (False, True):
            variants[Variant(network, augmented, "Keras")] = partial(by_keras, network, data, augmented=augmented)
            variants[Variant(network, augmented, "mien")] = partial(by_mien, network, data, augmented=augmented)
    measured = interleaved(variants, rounds)
    rows, figures = [], {}
    for network in NETWORKS:
        for augmented in (False, True):
            theirs, ours = (measured[Variant(network, augmented, by)] for by in ("Keras", "mien"))
            rates = [Sample(tuple(pace.images_per_second for pace in samples)) for samples in (theirs, ours)]
            waiting = Sample(tuple(pace.waiting for pace in ours)).times(100)
            ratio = rates[1].over(rates[0])
            rows.append([network, "yes" if augmented else "no", rates[0].text(), rates[1].text(), ratio.text(2),
                         waiting.text(1)])  # fmt: skip
            figures[f"{network}, {'augmented' if augmented else 'plain'}"] = {
                "keras": rates[0].values, "mien": rates[1].values, "waiting": waiting.values,
            }  # fmt: skip
    header = ["network", "augmented", "plain Keras", "mien", "times", "waiting for data, %"]
    return Section(table(header, rows), figures)


def by_mien(network: str, data: Dataset, *, augmented: bool) -> Throughput:
    """The second epoch of a run."""
    from mien.training.tasks.classification.task import fit

    own = config_for(network)
    config = dataclasses.replace(
        own, epochs=2, fine_tune_epochs=0, warmup_epochs=0.5, augmentation=own.augmentation if augmented else PLAIN
    )
    with tempfile.TemporaryDirectory() as folder:
        last = fit(data, data.select(np.arange(128)), config, Path(folder) / "run", lambda _: None).history[-1]
    return Throughput(last.images_per_second, last.waiting)


def by_keras(network: str, data: Dataset, *, augmented: bool) -> Throughput:
    """The second epoch of ``model.fit`` as tutorials use it: channels last, float32, Adam."""
    import keras

    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        model = plain_keras(network, data)
        truth = data.truths[0]
        batch = config_for(network).batch
        crops = data.crops.astype(np.float32) / 255.0
        times: list[float] = []
        clock = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: times.append(time.perf_counter()),
            on_epoch_end=lambda *_: times.append(time.perf_counter()),
        )
        if augmented:
            model.fit(_generator().flow(crops, truth.targets, batch), epochs=2, verbose=0, callbacks=[clock])
        else:
            model.fit(crops, truth.targets, batch, epochs=2, verbose=0, callbacks=[clock])
    finally:
        keras.config.set_image_data_format(before)
    return Throughput(len(data) / (times[-1] - times[-2]), float("nan"))


def plain_keras(network: str, data: Dataset) -> keras.Model:
    """The network from Keras' own layers alone, with a softmax at its end."""
    import keras

    from mien.training import architectures
    from mien.training.architectures.blocks import BatchNormalization, Standardize

    def own(layer: keras.Layer) -> keras.Layer:
        if isinstance(layer, Standardize):
            return keras.layers.Identity(name=layer.name)
        if isinstance(layer, BatchNormalization):
            return keras.layers.BatchNormalization(name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    truth = data.truths[0]
    built = architectures.build(
        network, architectures.NetworkShape(data.size, data.channels, ((truth.head, len(truth.labels)),))
    )
    crops = keras.Input((data.size, data.size, data.channels))
    cloned = keras.models.clone_model(built, input_tensors=crops, clone_function=own)
    model = keras.Model(crops, keras.layers.Softmax()(cloned.outputs[0]))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def _generator() -> object:
    """Keras' own generator, which tutorials still use; older versions had it under ``keras.preprocessing``."""
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator(
        rotation_range=15,
        width_shift_range=0.1,
        height_shift_range=0.1,
        shear_range=3,
        zoom_range=(0.85, 1.2),
        horizontal_flip=True,
    )


def crops_of_portrait(count: int) -> Dataset:
    """Random face crops of the portrait that ships with mien, used when there is no data set."""
    from mien.classification.face_crop import crop
    from mien.media.image import read
    from mien.models.card import CropRule
    from mien.structures import Box, Face

    frame, dice = read(PORTRAIT), np.random.default_rng(0)
    height, width = frame.shape[:2]
    crops = []
    for _ in range(count):
        side = dice.uniform(0.2, 0.6) * min(height, width)
        left, top = dice.uniform(0, width - side), dice.uniform(0, height - side)
        crops.append(crop(frame, Face(Box(left, top, left + side, top + side)), CropRule(), 48, 1))
    ones = np.ones(count, np.float32)
    targets = np.eye(7, dtype=np.float32)[dice.integers(0, 7, count)]
    truth = Truth("fer2013", tuple(map(str, FER2013)), targets, ones, ones > 0)
    return Dataset(
        "portrait", np.stack(crops), (truth,), np.full(count, TRAINING), np.arange(count).astype(str), "0" * 64
    )


def main() -> None:
    """Measure, and print or fill the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=FER if FER.is_dir() else None, help="a data set of 48x48 face crops"
    )
    parser.add_argument("--images", type=int, default=6400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a page with a block 'training-BACKEND'")
    arguments = parser.parse_args()
    backend, load_before = prepare_backend(), busy()
    if arguments.data:
        data = load(arguments.data).split(TRAINING).select(np.arange(arguments.images))
        data = dataclasses.replace(data, truths=data.truths[:1])
    else:
        data = crops_of_portrait(arguments.images)
    print(f"measuring on {backend}, {len(data)} images of {data.name}", file=sys.stderr)
    section = training(data, arguments.rounds)
    import keras

    below = f"{today()}, keras {keras.__version__} on {backend}, {machine()}" + (
        f"; **load {load_before:.1f} before the run**" if load_before else ""
    )
    text = f"{section.markdown}\n\n<sub>{below}.</sub>"
    if arguments.out:
        write_text(arguments.out, fill(arguments.out.read_text(encoding="utf-8"), {f"training-{backend}": text}))
    else:
        print(text)


if __name__ == "__main__":
    main()
