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
# This tutorial trains four networks on digits of 28x28 pixels. Three are dense: their input is a row of 784 numbers.
# The fourth is convolutional: its input is an image. The tutorial compares them fairly, looks at their errors, and
# shows what dense networks can't know.
#
# It needs `pip install '.[train,plots]'`. The figures on this page are for MNIST. Put its files
# (`t10k-images-idx3-ubyte.gz` and `t10k-labels-idx1-ubyte.gz` are enough) into a folder `mnist`, and name the parent
# folder: `MIEN_TUTORIAL_DATA=data`. Without it the tutorial draws synthetic digits and runs in seconds.

# %%
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.training import prepare_backend
from mien.tutorial import data as tutorial_data

try:
    from IPython.display import display
except ImportError:  # a plain script can't show images
    display = print

from PIL import Image

prepare_backend()
print(tutorial_data.origin())

# %% [markdown]
# ## The data
#
# Each row is an image and a label. A fifth of the rows is held out: the networks never train on it and are evaluated
# on it.

# %%
from mien.data.summary import overview

FULL = tutorial_data.folder() is not None
training, validation = tutorial_data.digits(8000, 2000) if FULL else tutorial_data.digits(600, 300)
truth = training.truths[0]
print(f"{len(training)} digits to train on, {len(validation)} held out; images of {training.crops.shape[1:]}")

rows = [np.flatnonzero(truth.class_ids == label) for label in range(10)]
display(Image.fromarray(overview(training.crops, truth.labels, rows)).reduce(2))

# %% [markdown]
# ## Four networks
#
# `dense-64-tanh` flattens the image and has one hidden layer. `dense-64-32-tanh` has two. `dense-64-32-relu` has two
# with another activation. `digits-conv` applies 3x3 convolutions first. `mien models show digits-conv` prints the
# same in a terminal.
#
# You can count parameters by hand. A dense layer has a weight from each input to each unit, and a bias per unit: (784
# + 1) x 64 = 50,240. A convolution has only its kernels and applies them at every place: (3 x 3 x 1 + 1) x 16 = 160.

# %%
from mien.training.architectures import NetworkShape
from mien.training.architectures.complexity import summary_of

DENSE = ("dense-64-tanh", "dense-64-32-tanh", "dense-64-32-relu")
CONV = "digits-conv"
shape = NetworkShape(28, 1, (("classes", 10),), 0.0)
for name in (*DENSE, CONV):
    summary = summary_of(name, shape)
    print(f"\n{name}: {summary.parameters:,} parameters, {summary.multiply_adds:,} multiply-adds per digit")
    for layer in summary.layers:
        if layer.parameters:
            print(f"  {layer.kind:8} -> {layer.output!s:14} {layer.parameters:7,}")

assert (784 + 1) * 64 in [layer.parameters for layer in summary_of(DENSE[0], shape).layers]

# %% [markdown]
# ## One config for all
#
# A comparison is fair when one thing changes at a time. All four networks train with the same config: same optimizer,
# learning rate and number of epochs, no augmentation, no dropout. Only the architecture differs.

# %%
from mien.training.config import config_for
from mien.training.tasks.classification.task import fit

RUNS = Path(tempfile.mkdtemp(prefix="digits-"))
EPOCHS = 10 if FULL else 6
config = replace(config_for("dense-64-32-relu"), epochs=EPOCHS, batch=64 if FULL else 32)


def train(name, config, train_data=training, val_data=validation):
    """Trains with a config in a run directory of its own."""
    run = fit(train_data, val_data, config, RUNS / name, lambda _: None)
    best = max(epoch.scores[0].accuracy for epoch in run.history)
    print(f"{name:26} {run.model.count_params():8,} parameters, accuracy {best:.1%}", flush=True)
    return run


runs = {name: train(name, replace(config, network=name)) for name in (*DENSE, CONV)}

# %% [markdown]
# The plots use the same scales. The dashed line is the training accuracy, the solid line the validation accuracy. The
# gap between them is overfitting.

# %% tags=["public"]
from mien.tutorial.comparison import accuracies_image, histories_image

display(Image.fromarray(histories_image({name: run.history for name, run in runs.items()})))

# %% [markdown]
# Which differences are real? All networks were evaluated on the same digits, so count those that only one of two gets
# right. The last columns show the difference from the first network, in points, with its 95 % interval. If the
# interval contains 0, the difference may be chance. If it does not, it holds for these trained networks; another seed
# gives other networks. A lead as small as those among the dense networks deserves a second run first.

# %%
from mien.evaluation.comparison import difference_interval
from mien.training.tasks.classification.task import predict_logits
from mien.tutorial.comparison import confusion_matrix

targets = validation.truths[0].class_ids


def is_correct(name):
    """For each held-out digit, whether a network predicts its label."""
    return predict_logits(runs[name].model, validation.crops)["classes"].argmax(axis=1) == targets


matrices = {name: confusion_matrix(run.model, validation, 0) for name, run in runs.items()}
reference = is_correct(DENSE[0])
for name, matrix in matrices.items():
    correct = is_correct(name)
    lost, gained = int((reference & ~correct).sum()), int((correct & ~reference).sum())
    low, high = difference_interval(lost, gained, len(targets))
    difference = f"{correct.mean() - reference.mean():+.1%} ({low:+.1%} to {high:+.1%})"
    row = f"{name:18} {matrix.accuracy:.1%} ({matrix.interval[0]:.1%} to {matrix.interval[1]:.1%})"
    print(row if name == DENSE[0] else f"{row}   {difference}")

# %% [markdown]
# ## Errors
#
# In the confusion matrix a row is the true label and a column the prediction; everything off the diagonal is wrong.
# Below it are the most confident errors. Would you have read those digits correctly?

# %% tags=["public"]
from mien.tutorial.comparison import confusion_image

display(Image.fromarray(confusion_image([matrices[CONV]])))

# %%
from mien.classification.probabilities import softmax
from mien.data.summary import captioned

probabilities = softmax(predict_logits(runs[CONV].model, validation.crops)["classes"])
predicted = probabilities.argmax(axis=1)
wrong = np.flatnonzero(predicted != targets)
shown = wrong[np.argsort(-probabilities[wrong].max(axis=1))][:12]
print(f"{len(wrong)} of {len(validation)} are wrong; the most confident errors first:")
if len(shown):
    captions = [f"{targets[row]} as {predicted[row]}, {probabilities[row].max():.0%}" for row in shown]
    display(Image.fromarray(captioned(validation.crops[shown], captions, columns=6)))

# %% [markdown]
# ## What flattening throws away
#
# **Position.** Move every pixel to a new place, the same one in all images. No information is lost, yet nobody could
# read the digits any more.

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
# its advantage, since its windows now see unrelated pixels.
#
# **Translation.** Shift the held-out digits by one, two or three pixels. For us nothing changes.

# %%
SHIFTS = (0, 1, 2, 3, 4)


def shift_right(data, pixels):
    """The same digits, shifted right; the right border is black, so nothing reappears on the left."""
    return replace(data, crops=np.roll(data.crops, pixels, axis=2))


def under_shifts(model):
    return [confusion_matrix(model, shift_right(validation, pixels), 0) for pixels in SHIFTS]


shifted = {name: under_shifts(runs[name].model) for name in ("dense-64-32-relu", CONV)}
crops = np.concatenate([shift_right(validation, pixels).crops[:1] for pixels in SHIFTS])
display(Image.fromarray(captioned(crops, [f"{pixels} px" for pixels in SHIFTS])))

# %% [markdown]
# A dense unit has one weight per place. A stroke two pixels further right meets weights that were trained for
# something else. A convolution's feature map shifts with the stroke, and pooling absorbs a pixel or two. The dense
# layer at the end of the convolutional network has fixed places too, so its accuracy also drops, only later.
#
# Showing it shifted digits helps further. The config that ships with `digits-conv` rotates, scales and shifts each
# digit a little, anew in every epoch. Only that is taken from it here.

# %% tags=["public"]
augmentation = config_for(CONV).augmentation
print(f"rotation {augmentation.rotate:g} degrees, scale {augmentation.scale}, shift {augmentation.shift:.0%}")
augmented = train("digits-conv, augmented", replace(config, network=CONV, augmentation=augmentation))
shifted["digits-conv, augmented"] = under_shifts(augmented.model)
for name, results in shifted.items():
    accuracies = (f"{pixels} px {result.accuracy:5.1%}" for pixels, result in zip(SHIFTS, results, strict=True))
    print(f"{name:24}", "  ".join(accuracies))
display(Image.fromarray(accuracies_image(SHIFTS, shifted, "shift to the right in pixels")))

# %% [markdown]
# ## Summary
#
# - The number of parameters says little. The convolutional network has about twice as many as the dense ones, but
#   what matters is *weight sharing*: its first layer has 160 parameters, used at every place.
# - tanh or ReLU, one hidden layer or two: about a point, and other seeds may reverse the order. The convolution makes
#   a real difference. State which is which, with the interval.
# - Invariance (to shifts or rotations) is either built in (convolution, pooling) or trained (augmentation). Both
#   together work best.
#
# To try: `mien train --data data/mnist --arch digits-conv --out runs/digits` trains it from the command line with its
# own config. `np.roll(..., axis=1)` shifts the digits down. Train a dense network with `augmentation=augmentation`: is
# augmentation enough?
