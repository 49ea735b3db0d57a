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
# It needs `pip install 'mien[train,plots]'`. `MIEN_TUTORIAL_DATA=FOLDER` names a folder with `fer2013/` and `mnist/`;
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

from mien.tutorial import data as tutorial_data
from mien.training import prepare_backend

prepare_backend()

import keras

from mien.data.dataset import one_hot
from mien.evaluation.metrics import compute_metrics, wilson_interval
from mien.tutorial.figures import figure, frame_of
from mien.classification.probabilities import softmax
from mien.training.tasks.classification.compilation import build_float32, shape_of
from mien.training.engine.loop import Options
from mien.training.tasks.classification.task import fit
from mien.training.tasks.classification.validation import predict_logits
from mien.training.config import config_for
from mien.training.run.directory import read_run
from mien.training.transfer.backbones import BACKBONES, IMAGENET, fine_tuning_config
from mien.training.transfer.fine_tuning import train, unfreeze
from mien.training.engine.batch_norm import estimate_batch_norm
from mien.training.architectures.complexity import multiply_adds
from mien.training.architectures.pretrained import backbone_of, blocks

try:
    from IPython.display import display
except ImportError:  # run as a plain script there is nothing to show on
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
NEAR, WANTED = ("angry", "disgust", "happy", "neutral"), ("fear", "sad", "surprise")
EACH = 20 if FULL else 6


def showing(data, names):
    """The rows of some labels, under these labels alone."""
    truth = data.truths[0]
    words = np.array(truth.labels)[truth.class_ids]
    rows = np.flatnonzero(np.isin(words, names))
    return replace(
        data.select(rows), truths=(one_hot("classes", names, np.array([names.index(w) for w in words[rows]])),)
    )


def split_off(data, each):
    """So many rows of each label, and the rest."""
    answers = data.truths[0].class_ids
    taken = np.concatenate([np.flatnonzero(answers == label)[:each] for label in range(len(data.truths[0].labels))])
    chosen = np.isin(np.arange(len(data)), taken)
    return data.select(chosen), data.select(~chosen)


many, held = tutorial_data.faces(12_000, 3_589) if FULL else tutorial_data.faces(900, 450)
digits, held_digits = tutorial_data.digits(8_000, 500) if FULL else tutorial_data.digits(500, 200)
near, held_near = showing(many, NEAR), showing(held, NEAR)
choosing, test = split_off(showing(held, WANTED), EACH)
print(f"to learn from first: {len(digits):,} digits; {len(near):,} faces that show {', '.join(NEAR)}")
draws, rest = [], showing(many, WANTED)
for _ in range(3 if FULL else 1):  # which few faces there are is chance too
    few, rest = split_off(rest, EACH)
    draws.append(few)
print(
    f"then: {len(few)} faces that show {', '.join(WANTED)}; {len(choosing)} to choose the epoch; {len(test):,} to judge"
)

# %% [markdown]
# ## Train the first network on a source task
#
# Two convolutions and two dense layers (`digits-conv`). Its accuracy on its own task does not matter; its
# convolutions do.

# %%
config = replace(
    config_for("digits-conv"), precision="float32", epochs=15 if FULL else 10, fine_tune_epochs=0, batch=64
)


def learn(name, training, validation, config, start=None):
    """A run of mien's; ``start`` may give the fresh network weights and freeze layers."""
    run = fit(training, validation, config, RUNS / name, lambda _: None, Options(start=start))
    return run.model


def accuracy(model, data):
    """The metrics of a network on some data."""
    truth = data.truths[0]
    return compute_metrics(softmax(predict_logits(model, data.crops)["classes"]), truth.class_ids, truth.labels)


first = {
    "digits": learn("digits", digits, held_digits, config),
    "other expressions": learn("near", near, held_near, config),
}
for name, data in (("digits", held_digits), ("other expressions", held_near)):
    print(f"{name}: {accuracy(first[name], data).accuracy:.1%} right, of {len(data.truths[0].labels)} labels")

# %% [markdown]
# ## From scratch, frozen, fine-tuned
#
# - **From scratch**: the whole network trains on the few faces, from random weights.
# - **Frozen features + MLP**: the convolutions stay fixed (*bottleneck features*), and a new dense layer and output
#   are trained on top. Random convolutions are included as a baseline: without it you can't tell what the source task
#   contributed.
# - **Fine-tuned**: afterwards all layers train at a tenth of the learning rate, so that the first large steps of new
#   layers don't destroy good features. That is why the new layers come first.

# %%
few_config = replace(config, batch=16, epochs=20)


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def frozen_from(source):
    """Gives a fresh network the convolutions of another (None: leaves them random), and freezes them."""

    def start(model):
        for layer, trained in zip(convolutions(model), convolutions(source or model), strict=True):
            layer.set_weights(trained.get_weights())
            layer.trainable = False

    return start


def going_on_with(model):
    """Gives a fresh network all weights of another."""
    return lambda fresh: fresh.set_weights(model.get_weights())


def tried(few, draw):
    """The accuracy of each way on what was not learnt from."""
    found = {"from scratch": accuracy(learn(f"{draw} scratch", few, choosing, few_config), test)}
    for name, source in {"random": None, **first}.items():
        features = learn(f"{draw} {name} frozen", few, choosing, few_config, frozen_from(source))
        found[f"{name}, frozen + MLP"] = accuracy(features, test)
        if source:
            start = going_on_with(features)
            tuned = learn(f"{draw} {name} tuned", few, choosing, fine_tuning_config(few_config), start)
            found[f"{name}, fine-tuned"] = accuracy(tuned, test)
    return found


results = [tried(few, draw) for draw, few in enumerate(draws)]

# %% tags=["public"]
names = list(results[0])
means = {name: float(np.mean([found[name].accuracy for found in results])) for name in names}
for name in names:
    each = ", ".join(f"{found[name].accuracy:.3f}" for found in results)
    low, high = wilson_interval(round(means[name] * len(test)), len(test))
    print(f"{name:32} {means[name]:.3f} ({low:.3f} to {high:.3f})   the draws: {each}")

drawn = figure(8, 3)
axes = drawn.subplots()
values = np.array([means[name] for name in names])
ends = np.array([wilson_interval(round(value * len(test)), len(test)) for value in values])
colours = ["#2c63c9" if "other" in name else "#8fa8d6" if "digits" in name else "#b9bec8" for name in names]
axes.barh(names, values, xerr=np.abs(ends.T - values), color=colours, ecolor="#1c2230", capsize=3)
axes.invert_yaxis()
axes.axvline(1 / len(WANTED), color="#c8423c", linestyle="--", linewidth=1)
axes.set(xlim=(0, 1), xlabel=f"accuracy on {len(test):,} faces; dashed: guessing")
display(Image.fromarray(frame_of(drawn)))

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
    learnt = []
    for count in (0, 3, len(blocks(base, family))):
        unfreeze(base, family, count)
        learnt.append(f"{sum(weight.shape.num_elements() for weight in model.trainable_weights) / 1e6:.2f}")
    print(
        f"{name}: {model.count_params() / 1e6:.1f} M numbers, {multiply_adds(model) / 1e6:.0f} M multiply-adds a face;"
    )
    print(f"  learnt: new layers alone {learnt[0]} M, the last three blocks too {learnt[1]} M, all {learnt[2]} M")

# %% [markdown]
# Stage 1: `train` computes the output of the frozen base for each image and its mirror image *once*, caches it on
# disk, and trains `Dense 256` and the output on it. A second run on the same data finds its features in the cache.
# With so few faces, building the network takes most of both runs. With all of FER2013 the features take minutes, and
# each further run of the new layers takes seconds. So try ten settings of them, not one.

# %%
os.environ.setdefault("MIEN_CACHE", str(RUNS / "cache"))
WEIGHTS = os.environ.get("MIEN_TUTORIAL_WEIGHTS") or os.environ.get("MIEN_LESSON_WEIGHTS", "")


def random_base(network):
    """A file of weights as Keras publishes them, but random; batch normalisation knows how these images spread."""
    keras.utils.set_random_seed(0)
    model = build_float32(shape_of(few, config_for(network)), network)
    estimate_batch_norm(model, few.crops)
    backbone_of(model).save_weights(RUNS / f"random-{network}.weights.h5")
    return str(RUNS / f"random-{network}.weights.h5")


def transferred(name, config):
    """A run of mien's transfer room, how many seconds it took, and its accuracy."""
    started = time.perf_counter()
    model = train(few, choosing, config, RUNS / name, lambda _: None).model
    seconds = time.perf_counter() - started
    print(f"{name}: {seconds:.1f} s, accuracy {accuracy(model, test).accuracy:.3f} on {len(test):,} faces")


print("MobileNet's weights:", WEIGHTS or "RANDOM. The accuracy below is that of random features, not of ImageNet's")
mobilenet = replace(config_for("mobilenet"), weights=WEIGHTS or random_base("mobilenet"), batch=16)
transferred("new layers", mobilenet)
transferred("new layers again, features kept", replace(mobilenet, dropout=0.3))
print("in the run's facts, and in the card of its model file:", read_run(RUNS / "new layers").run_info.source.weights)

# %% [markdown]
# Stage 2, with `fine_tune`, unfreezes the last blocks at a tenth of the learning rate. Batch normalisation stays
# fixed: with few images its statistics would be worse than those of a million. The tutorial runs this stage only
# where you named weights; random ones are not worth it.

# %%
if WEIGHTS:
    transferred("the last three blocks too", fine_tuning_config(replace(mobilenet, fine_tune=3, epochs=10)))
    if WEIGHTS == IMAGENET:
        transferred("resnet50, new layers", replace(config_for("resnet50"), batch=16))
else:
    print("no weights were named: set MIEN_TUTORIAL_WEIGHTS to imagenet, or to an .h5 file without top")

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
# To try: `EACH = 5` and `EACH = 100`; `NEAR` and `WANTED` swapped; `frozen_from` for the first convolution only.
