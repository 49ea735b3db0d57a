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
# # Three dense networks and a convolution
#
# Digits of 28x28 pixels, and four networks that learn to name them. Three see a row of 784 numbers; the fourth sees a
# image. This lesson compares them fairly, looks at what they get wrong, and finds out what the dense ones never knew.
#
# It needs `pip install 'mien[train,plots]'`. The figures of this page are of MNIST: put its files
# (`t10k-images-idx3-ubyte.gz` and `t10k-labels-idx1-ubyte.gz` are enough) into a folder `mnist` and name the folder
# that it lies in: `MIEN_TUTORIAL_DATA=data`. Without that the lesson draws some digits of its own, in seconds.

# %%
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.tutorial import data as tutorial_data
from mien.training import prepare_backend

try:
    from IPython.display import display
except ImportError:  # run as a plain script there is nothing to show on
    display = print

from PIL import Image

prepare_backend()
print(tutorial_data.origin())

# %% [markdown]
# ## The data
#
# A digit is a label and an image. A fifth is held out: the networks never learn from it, and it is what they are
# judged by.

# %%
from mien.data.contact_sheet import overview

FULL = tutorial_data.folder() is not None
training, validation = tutorial_data.digits(8000, 2000) if FULL else tutorial_data.digits(600, 300)
truth = training.truths[0]
print(f"{len(training)} digits to learn from, {len(validation)} held out; face crops are {training.crops.shape[1:]}")

rows = [np.flatnonzero(truth.answers == label) for label in range(10)]
display(Image.fromarray(overview(training.crops, truth.labels, rows)).reduce(2))

# %% [markdown]
# ## Four networks
#
# `dense-64-tanh` flattens the image and has one hidden layer; `dense-64-32-tanh` has two; `dense-64-32-relu` has two
# with another activation. `digits-conv` looks through 3x3 windows first. `mien models show digits-conv` prints the same
# on a terminal.
#
# A layer's parameters can be counted by hand. A dense layer has a weight from each input to each unit and a bias a
# unit: (784 + 1) x 64 = 50,240. A convolution has its kernels only, and uses them at every place:
# (3 x 3 x 1 + 1) x 16 = 160.

# %%
from mien.training.architectures.complexity import summary_of
from mien.training.architectures import NetworkShape

DENSE = ("dense-64-tanh", "dense-64-32-tanh", "dense-64-32-relu")
CONV = "digits-conv"
shape = NetworkShape(28, 1, (("classes", 10),), 0.0)
for name in (*DENSE, CONV):
    summary = summary_of(name, shape)
    print(f"\n{name}: {summary.parameters:,} parameters, {summary.multiply_adds:,} multiply-adds a digit")
    for layer in summary.layers:
        if layer.parameters:
            print(f"  {layer.kind:8} -> {layer.output!s:14} {layer.parameters:7,}")

first = summary_of(DENSE[0], shape).layers
assert (784 + 1) * 64 in [layer.parameters for layer in first]

# %% [markdown]
# ## One config for all
#
# A comparison is fair when one thing changes at a time. So all four are taught by the same config: same optimizer, same
# rate, same number of epochs, no augmentation, no dropout. Only the network differs.

# %%
from mien.training.engine.fit import fit
from mien.training.config import config_for

RUNS = Path(tempfile.mkdtemp(prefix="digits-"))
EPOCHS = 10 if FULL else 6
config = replace(config_for("dense-64-32-relu"), epochs=EPOCHS, batch=64 if FULL else 32)


def train(name, config, learnt=training, held=validation):
    """The network of a config, taught into a run directory of its own."""
    run = fit(learnt, held, config, RUNS / name, lambda _: None)
    best = max(epoch.scores[0].accuracy for epoch in run.history)
    print(f"{name:26} {run.model.count_params():8,} parameters, {best:.1%} right", flush=True)
    return run


trained = {name: train(name, replace(config, network=name)) for name in (*DENSE, CONV)}

# %% [markdown]
# Side by side: dashed is what a network gets right of the digits that it learns from, the line what it gets right of
# those it never saw. The gap between them is what it learnt by heart.

# %% tags=["public"]
from mien.tutorial.comparison import accuracies_image, histories_image

display(Image.fromarray(histories_image({name: run.history for name, run in trained.items()})))

# %% [markdown]
# Which differences are real? All were judged on the same digits, so count those that only one of two gets right. The
# last columns are by how many points a network is better than the first, and the 95 % interval of that. An interval
# that holds 0 may be luck. One that doesn't speaks of these very networks; another seed would have made others. So a
# lead as small as those among the dense ones is worth a second run before it is worth a sentence.

# %%
from mien.evaluation.comparison import difference_interval
from mien.tutorial.comparison import confusion_matrix
from mien.training.engine.validation import predict_logits


def answers_of(name):
    """What a network says each held-out digit is."""
    return predict_logits(trained[name].model, validation.crops)["classes"].argmax(axis=1)


truths = validation.truths[0].answers
found = {name: confusion_matrix(run.model, validation, 0) for name, run in trained.items()}
before = answers_of(DENSE[0]) == truths
for name, one in found.items():
    right = answers_of(name) == truths
    low, high = difference_interval(int((before & ~right).sum()), int((right & ~before).sum()), len(truths))
    told = "" if name == DENSE[0] else f"{right.mean() - before.mean():+.1%} ({low:+.1%} to {high:+.1%})"
    print(f"{name:18} {one.accuracy:.1%} ({one.interval[0]:.1%} to {one.interval[1]:.1%})   {told}")

# %% [markdown]
# ## What it gets wrong
#
# A row is the truth, a column the answer; what lies off the diagonal is wrong. Then the digits themselves: would you
# have known?

# %% tags=["public"]
from mien.tutorial.comparison import confusion_image

display(Image.fromarray(confusion_image([found[CONV]])))

# %%
from mien.data.contact_sheet import captioned
from mien.classification.probabilities import softmax

shares = softmax(predict_logits(trained[CONV].model, validation.crops)["classes"])
answers = shares.argmax(axis=1)
wrong = np.flatnonzero(answers != truths)
surest = wrong[np.argsort(-shares[wrong].max(axis=1))][:12]
print(f"{len(wrong)} of {len(validation)} are wrong; the surest first:")
if len(surest):
    words = [f"{truths[row]}, said {answers[row]} {shares[row].max():.0%}" for row in surest]
    display(Image.fromarray(captioned(validation.crops[surest], words, columns=6)))

# %% [markdown]
# ## What the flatten throws away
#
# **Places.** Give every pixel a new place, the same one in all images. Nothing is lost, yet no one could read the
# digits any more.

# %%
order = np.random.default_rng(0).permutation(28 * 28)


def shuffled(data):
    """The same digits with their pixels in another order."""
    return replace(data, crops=data.crops.reshape(len(data), -1)[:, order].reshape(data.crops.shape))


display(Image.fromarray(overview(shuffled(training).crops, truth.labels[:3], rows[:3])).reduce(2))
for name in ("dense-64-32-relu", CONV):
    train(f"{name}, shuffled", replace(config, network=name), shuffled(training), shuffled(validation))

# %% [markdown]
# The dense network learns about as well as before: it never knew which pixels are neighbours. The convolution loses
# what set it apart, since its windows now see pixels that have nothing to do with each other.
#
# **The same thing elsewhere.** Move the held-out digits by a pixel, two, three. To us nothing happens.

# %%
SHIFTS = (0, 1, 2, 3, 4)


def moved(data, pixels):
    """The same digits, further to the right; the rim is black, so nothing comes in again on the left."""
    return replace(data, crops=np.roll(data.crops, pixels, axis=2))


def under_shifts(model):
    return [confusion_matrix(model, moved(validation, pixels), 0) for pixels in SHIFTS]


shifted = {name: under_shifts(trained[name].model) for name in ("dense-64-32-relu", CONV)}
crops = np.concatenate([moved(validation, pixels).crops[:1] for pixels in SHIFTS])
display(Image.fromarray(captioned(crops, [f"{pixels} px" for pixels in SHIFTS])))

# %% [markdown]
# A dense unit has a weight for each place, so a stroke two pixels further right is met by weights that were learnt for
# something else. A kernel goes with the stroke: the same map, moved. Pooling then forgets a pixel or two. But the dense
# layer at the convolution's end has places too, so it falls as well, only later.
#
# What helps further is to *show* it digits elsewhere. The config that `digits-conv` comes with turns, scales and moves
# each digit a little, anew in each epoch. That is the one thing taken over from it here.

# %% tags=["public"]
own = config_for(CONV).augmentation
print(f"turned by up to {own.rotate:g} degrees, {own.scale} times as large, moved by up to {own.shift:.0%}")
augmented = train("digits-conv, augmented", replace(config, network=CONV, augmentation=own))
shifted["digits-conv, augmented"] = under_shifts(augmented.model)
for name, each in shifted.items():
    print(f"{name:24}", "  ".join(f"{pixels} px {one.accuracy:5.1%}" for pixels, one in zip(SHIFTS, each, strict=True)))
display(Image.fromarray(accuracies_image(SHIFTS, shifted, "pixels moved to the right")))

# %% [markdown]
# ## What to keep
#
# - The number of parameters says little: the convolution has about twice those of the dense networks, but it is the
#   *sharing* of its kernels over all places that sets it apart. Its first layer has 160 of them.
# - tanh or ReLU, one hidden layer or two: about a point, and other seeds may order them otherwise. The convolution is
#   another matter. Say which is which, with the interval.
# - What a network should not care about (a shift, a turn) is either built in (convolution, pooling) or shown to it
#   (augmentation). Best both.
#
# To try: `mien train --data data/mnist --model digits-conv --out runs/digits` teaches it from the command line, by its
# own config; `np.roll(..., axis=1)` moves the digits down; a dense network with `augmentation=own`: does augmentation
# alone do it?
