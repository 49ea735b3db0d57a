# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Transfer learning
#
# With few faces, a network that starts from random weights memorises them and learns little else. So take a network
# trained on *another task* with many images, keep its convolutions, which already detect edges, corners and spots,
# and train new layers on their output. This tutorial first measures with a small network what that gains and what it
# depends on. Then it does the same with MobileNet and ResNet50.
#
# It needs `pip install '.[train,plots]'`. `MIEN_TUTORIAL_DATA=FOLDER` names a folder with `fer2013/` and `mnist/`;
# without it digits and faces are synthetic. `MIEN_TUTORIAL_WEIGHTS=imagenet`, or the path of an .h5 file, gives
# MobileNet its weights; without it they are random, and the tutorial says so where it matters.

# %%
import os
import time
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from PIL import Image

from mien.training import prepare_backend
from mien.tutorial import data as tutorial_data

prepare_backend()

import keras

from mien.classification.probabilities import softmax
from mien.data.dataset import one_hot
from mien.evaluation.metrics import compute_metrics, wilson_interval
from mien.training.architectures.complexity import multiply_adds
from mien.training.architectures.pretrained import backbone_of, blocks
from mien.training.config import config_for
from mien.training.engine.variables import estimate_batch_norm
from mien.training.engine.loop import Options
from mien.training.run.directory import read_run
from mien.training.tasks.classification.compilation import build_float32, shape_of
from mien.training.tasks.classification.task import fit
from mien.training.tasks.classification.task import predict_logits
from mien.training.transfer.backbones import BACKBONES, IMAGENET, fine_tuning_config
from mien.training.transfer.fine_tuning import train, unfreeze
from mien.tutorial.figures import figure, frame_of

try:
    from IPython.display import display
except ImportError:  # a plain script can't show images
    display = print

FULL = tutorial_data.folder() is not None
RUNS = Path(mkdtemp(prefix="transfer-"))  # runs of this tutorial: a fresh folder each time
print(tutorial_data.origin())

# %% [markdown]
# ## Two tasks, one with few images
#
# The target task: fear, sad or surprise, from **20 faces each** (synthetic ones are easier: six). Two source tasks
# have many images: digits, which look nothing like faces, and faces with *other* expressions, which do.
#
# As many faces again choose the epoch. The figures are for faces on which nothing was chosen.

# %%
SOURCE_LABELS, TARGET_LABELS = ("angry", "disgust", "happy", "neutral"), ("fear", "sad", "surprise")
PER_LABEL = 20 if FULL else 6


def with_labels(data, labels):
    """The rows with some labels, and only these labels as classes."""
    truth = data.truths[0]
    names = np.array(truth.labels)[truth.class_ids]
    rows = np.flatnonzero(np.isin(names, labels))
    class_ids = np.array([labels.index(name) for name in names[rows]])
    return replace(data.select(rows), truths=(one_hot("classes", labels, class_ids),))


def split_off(data, per_label):
    """The first rows of each label, and the rest."""
    truth = data.truths[0]
    rows = np.concatenate([np.flatnonzero(truth.class_ids == label)[:per_label] for label in range(len(truth.labels))])
    chosen = np.isin(np.arange(len(data)), rows)
    return data.select(chosen), data.select(~chosen)


train_faces, val_faces = tutorial_data.faces(12_000, 3_589) if FULL else tutorial_data.faces(900, 450)
train_digits, val_digits = tutorial_data.digits(8_000, 500) if FULL else tutorial_data.digits(500, 200)
train_source, val_source = with_labels(train_faces, SOURCE_LABELS), with_labels(val_faces, SOURCE_LABELS)
validation, test = split_off(with_labels(val_faces, TARGET_LABELS), PER_LABEL)
print(f"source tasks: {len(train_digits):,} digits; {len(train_source):,} faces that show {', '.join(SOURCE_LABELS)}")
draws, rest = [], with_labels(train_faces, TARGET_LABELS)
for _ in range(3 if FULL else 1):  # which few faces you have is chance too
    few, rest = split_off(rest, PER_LABEL)
    draws.append(few)
print(f"target task: {len(few)} faces that show {', '.join(TARGET_LABELS)}")
print(f"{len(validation)} faces to choose the epoch, {len(test):,} to test")

# %% [markdown]
# ## Train the first network on a source task
#
# Two convolutions and two dense layers (`digits-conv`). Its accuracy on its own task does not matter; its
# convolutions do.

# %%
config = replace(
    config_for("digits-conv"), precision="float32", epochs=15 if FULL else 10, fine_tune_epochs=0, batch=64
)


def fitted(name, train_data, val_data, config, start=None):
    """The model of a training run; ``start`` may set initial weights and freeze layers."""
    return fit(train_data, val_data, config, RUNS / name, lambda _: None, Options(start=start)).model


def accuracy(model, data):
    """The accuracy of a model on some data."""
    truth = data.truths[0]
    probabilities = softmax(predict_logits(model, data.crops)["classes"])
    return compute_metrics(probabilities, truth.class_ids, truth.labels).accuracy


source_models = {
    "digits": fitted("digits", train_digits, val_digits, config),
    "other expressions": fitted("other expressions", train_source, val_source, config),
}
for name, data in (("digits", val_digits), ("other expressions", val_source)):
    print(f"{name}: accuracy {accuracy(source_models[name], data):.1%}, {len(data.truths[0].labels)} labels")

# %% [markdown]
# ## From scratch, frozen, fine-tuned
#
# - **From scratch**: the whole network trains on the few faces, from random weights.
# - **Frozen features + MLP**: the convolutions stay fixed (*bottleneck features*), and a new dense layer and output
#   are trained on top. Random convolutions are included as a baseline: without it you don't know what the source task
#   contributed.
# - **Fine-tuned**: afterwards all layers train at a tenth of the learning rate, so that the first large steps of new
#   layers don't destroy good features. That is why the new layers come first.

# %%
few_config = replace(config, batch=16, epochs=20)


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def frozen_from(source):
    """Copies the convolutions of another model (None: keeps random ones) and freezes them."""

    def start(model):
        for layer, source_layer in zip(convolutions(model), convolutions(source or model), strict=True):
            layer.set_weights(source_layer.get_weights())
            layer.trainable = False

    return start


def all_weights_from(source):
    """Copies all weights of another model."""
    return lambda model: model.set_weights(source.get_weights())


def compare_methods(few, draw):
    """The test accuracy of each method, by its name."""
    accuracies = {"from scratch": accuracy(fitted(f"{draw} scratch", few, validation, few_config), test)}
    for name, source in {"random": None, **source_models}.items():
        frozen = fitted(f"{draw} {name} frozen", few, validation, few_config, frozen_from(source))
        accuracies[f"{name}, frozen + MLP"] = accuracy(frozen, test)
        if source:
            start = all_weights_from(frozen)
            tuned = fitted(f"{draw} {name} tuned", few, validation, fine_tuning_config(few_config), start)
            accuracies[f"{name}, fine-tuned"] = accuracy(tuned, test)
    return accuracies


results = [compare_methods(few, draw) for draw, few in enumerate(draws)]

# %% tags=["public"]
methods = list(results[0])
means = {method: float(np.mean([accuracies[method] for accuracies in results])) for method in methods}
intervals = {method: wilson_interval(round(mean * len(test)), len(test)) for method, mean in means.items()}
for method in methods:
    per_draw = ", ".join(f"{accuracies[method]:.3f}" for accuracies in results)
    low, high = intervals[method]
    print(f"{method:32} {means[method]:.3f} ({low:.3f} to {high:.3f})   per draw: {per_draw}")

chart = figure(8, 3)
axes = chart.subplots()
values, limits = np.array(list(means.values())), np.array(list(intervals.values()))
colours = ["#2c63c9" if "other" in method else "#8fa8d6" if "digits" in method else "#b9bec8" for method in methods]
axes.barh(methods, values, xerr=np.abs(limits.T - values), color=colours, ecolor="#1c2230", capsize=3)
axes.invert_yaxis()
axes.axvline(1 / len(TARGET_LABELS), color="#c8423c", linestyle="--", linewidth=1)
axes.set(xlim=(0, 1), xlabel=f"accuracy on {len(test):,} faces; dashed: guessing")
display(Image.fromarray(frame_of(chart)))

# %% [markdown]
# How to read it: the intervals cover chance in the test faces, not in the choice of the few training faces; the
# separate draws show that. Where intervals overlap widely, nothing is shown. Measured on FER2013 (20 faces each,
# three draws, 1,504 test faces; guessing is 0.333):
#
# | source | frozen + MLP | fine-tuned | the draws |
# |---|---:|---:|---|
# | random weights | 0.376 | 0.399 (from scratch) | 0.387, 0.426, 0.385 |
# | digits | 0.391 | 0.395 | 0.410, 0.398, 0.376 |
# | other expressions | 0.425 | 0.429 | 0.410, 0.412, 0.465 |
#
# - Convolutions trained on *digits* are worth about as much as random ones: transfer depends on how similar the tasks
#   are.
# - Convolutions trained on *other expressions* gain three points over training from scratch on average, but lose in
#   one draw of three. With a single draw you could have reported either result.
# - Random frozen convolutions with an MLP are close behind. Without that baseline the others would look like a
#   triumph.
# - All results are poor. Sixty faces are sixty faces, and the first network was small and got only two of three right
#   on its own task. A better first network helps more, which is the next part.
#
# ## MobileNet and ResNet50
#
# Networks of this size were trained on 1.2 million photos of a thousand kinds of objects (ImageNet). mien has six of
# them. The graph resizes grey 48x48 face crops and converts colours and scaling, so the model file takes face crops
# like any other. (`mien models show resnet50 --network` prints it layer by layer.)

# %%
for name in ("mobilenet", "resnet50") if FULL else ("mobilenet",):
    model = build_float32(shape_of(few, config_for(name)), name)
    base, family = backbone_of(model), BACKBONES[name]
    trainable = []
    for count in (0, 3, len(blocks(base, family))):
        unfreeze(base, family, count)
        trainable.append(f"{sum(weight.shape.num_elements() for weight in model.trainable_weights) / 1e6:.2f} M")
    head_only, three_blocks, everything = trainable
    print(f"{name}: {model.count_params() / 1e6:.1f} M parameters, {multiply_adds(model) / 1e6:.0f} M multiply-adds")
    print(f"  trainable: new layers {head_only}; with the last three blocks {three_blocks}; all {everything}")

# %% [markdown]
# Stage 1: `train` computes the output of the frozen base for each image and its mirror image *once*, caches it on
# disk, and trains `Dense 256` and the output on it. A second run on the same data finds its features in the cache.
# With so few faces, building the network takes most of both runs. With all of FER2013 the features take minutes, and
# each further run of the new layers takes seconds. So try ten settings of them, not one.

# %%
os.environ.setdefault("MIEN_CACHE", str(RUNS / "cache"))
WEIGHTS = os.environ.get("MIEN_TUTORIAL_WEIGHTS") or os.environ.get("MIEN_LESSON_WEIGHTS", "")


def random_base(network):
    """Random weights in a file like those of Keras, with batch normalisation statistics estimated on the faces."""
    keras.utils.set_random_seed(0)
    model = build_float32(shape_of(few, config_for(network)), network)
    estimate_batch_norm(model, few.crops)
    path = RUNS / f"random-{network}.weights.h5"
    backbone_of(model).save_weights(path)
    return str(path)


def transfer(name, config):
    """Trains on top of the base; prints the seconds and the test accuracy."""
    started = time.perf_counter()
    model = train(few, validation, config, RUNS / name, lambda _: None).model
    seconds = time.perf_counter() - started
    print(f"{name}: {seconds:.1f} s, accuracy {accuracy(model, test):.3f} on {len(test):,} faces")


print("MobileNet's weights:", WEIGHTS or "RANDOM. The accuracy below is that of random features, not of ImageNet's")
mobilenet = replace(config_for("mobilenet"), weights=WEIGHTS or random_base("mobilenet"), batch=16)
transfer("new layers", mobilenet)
transfer("new layers again, cached features", replace(mobilenet, dropout=0.3))
print("in run.json and in the card of the model file:", read_run(RUNS / "new layers").run_info.source.weights)

# %% [markdown]
# Stage 2, with `fine_tune`, unfreezes the last blocks at a tenth of the learning rate. Batch normalisation stays
# fixed: with few images its statistics would be worse than those of a million. The tutorial runs this stage only
# where you named weights; random ones are not worth it.

# %%
if WEIGHTS:
    transfer("with the last three blocks", fine_tuning_config(replace(mobilenet, fine_tune=3, epochs=10)))
    if WEIGHTS == IMAGENET:
        transfer("resnet50, new layers", replace(config_for("resnet50"), batch=16))
else:
    print("skipped, no weights named: set MIEN_TUTORIAL_WEIGHTS to imagenet or to an .h5 file without top")

# %% [markdown]
# ## With ImageNet weights
#
# ```
# mien train --data fer2013.csv --arch mobilenet --out runs/m                    # downloaded by Keras; new layers
# mien train --data fer2013.csv --arch mobilenet --fine-tune 3 --out runs/m3     # and the last three blocks
# mien train --data fer2013.csv --arch resnet50 --weights FILE.h5 --out runs/r   # a file of your own
# mien evaluate --data fer2013.csv --model runs/m --model runs/m3 --out report   # is the difference more than chance?
# ```
#
# Keras downloads them once. Where it can't, the message names the address and the place for the file. **mien was
# developed without access to them**, so this page has no figures for them; those above are for networks trained here.
# 28,709 faces are many, and 48 grey pixels are far from ImageNet, so measure before you believe: the same faces, a
# small network from scratch, and a paired test.
#
# ## Which to use
#
# | you have | use |
# |---|---|
# | under a hundred images per label | frozen features + MLP, from the most *similar* task you can get |
# | some hundreds to thousands | fine-tuning, from the last blocks backwards, at a tenth of the learning rate |
# | tens of thousands | a network of the right size from scratch as well, and compare |
#
# Check the licence of weights trained by others: it goes into your model card with their SHA-256.
#
# To try: `PER_LABEL = 5` and `PER_LABEL = 100`; `SOURCE_LABELS` and `TARGET_LABELS` swapped; `frozen_from` for the
# first convolution only.
