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
# # Your first expression network
#
# This tutorial goes from a csv of small grey faces to a model file that runs on a photo or webcam: load the data,
# look at it, define the loss, train, evaluate, export, use. Each step names its command; `mien train` runs them all.
#
# It needs `pip install 'mien[train,plots]'`. The figures on this page are for FER2013 (Goodfellow et al. 2013), which
# you download yourself. Put `fer2013.csv` (or .gz, .xz, .zip) into a folder `fer2013`, and name the parent folder:
# `MIEN_TUTORIAL_DATA=data`. Without it the tutorial draws synthetic faces, and the resulting model works on nothing
# else.

# %%
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
# ## The csv
#
# One line per face: the number of its expression, 48 x 48 grey values from 0 to 255, and its split.
#
# ```
# emotion,pixels,Usage
# 3,92 80 83 93 112 78 92 80 73 83 84 82 ...,Training
# ```
#
# `PublicTest` is the validation split: choices are made on it. `PrivateTest`, where a file has it, stays untouched
# until the very end: a split that you have looked at many times gives optimistic figures.

# %%
from mien.data.pixel_csv import read_fer2013
from mien.data.splits import training_and_validation

FULL = tutorial_data.folder() is not None
csv = tutorial_data.faces_csv(Path("faces.csv"), training=700, validation=280)
data = read_fer2013(csv)
print(f"{len(data):,} faces of {data.crops.shape[1:]}; {len(data.rejected)} lines can't be read")
print({name: int((data.splits == name).sum()) for name in data.split_names()})

# %% [markdown]
# ## Look at the data
#
# Before training: what is in the data, and how much of each class? (`mien data info fer2013.csv --out sheets`; `mien
# data audit` finds duplicates and wrong labels.)

# %%
from mien.data.summary import overview

training, validation = training_and_validation(data)
# a third of FER2013 tells the story in minutes; its order is that of chance
training = training.select(np.arange(min(len(training), 10_000)))
truth = training.truths[0]
rows = [np.flatnonzero(truth.class_ids == label) for label in range(len(truth.labels))]
display(Image.fromarray(overview(training.crops, truth.labels, rows)).reduce(2))

# %%
counts = np.bincount(truth.class_ids, minlength=len(truth.labels))
for label, count in zip(truth.labels, counts, strict=True):
    print(f"{label:9} {count:6,}  {'#' * round(60 * count / counts.max())}")
most = str(truth.labels[counts.argmax()])
always = np.mean(validation.truths[0].class_ids == counts.argmax())
print(f"\nto answer {most!r} always is right {always:.1%} of the time: what a network must beat")

# %% [markdown]
# ## The loss
#
# The network outputs seven logits, one per expression; softmax turns them into probabilities. The target is a row
# with a 1 at the true label (one-hot). Cross-entropy is the distance between the two: -log of the probability of the
# true label. A network that knows nothing gives each label a seventh, and its loss is log 7.

# %%
from mien.tutorial.activation import cross_entropy, one_hot

target = one_hot(truth.class_ids[:1], 7)
print(f"the first face is labelled {truth.labels[truth.class_ids[0]]}:", target[0].astype(int))
for words, shares in {
    "knows nothing": np.full((1, 7), 1 / 7),
    "leans to the truth": 0.5 * target + 0.5 / 7,
    "sure, and right": 0.98 * target + 0.02 / 7,
    "sure, and wrong": 0.98 * np.roll(target, 1, axis=1) + 0.02 / 7,
}.items():
    print(f"  {words:20} loss {cross_entropy(target, shares)[0]:.2f}")

# %% [markdown]
# ## The network and its config
#
# `two-conv` is the classic first network: two convolutions with pooling, a dense layer, seven outputs. Nearly all of
# its parameters are in one place, where the feature maps are flattened into the dense layer.

# %%
from mien.training.tasks.classification.compilation import build_float32, shape_of
from mien.training.config import config_for
from mien.training.architectures.complexity import summary

own = config_for("two-conv")
config = replace(own, epochs=14) if FULL else replace(own, epochs=6, fine_tune_epochs=1, batch=16, precision="float32")
for layer in summary(build_float32(shape_of(training, config), "two-conv")).layers:
    print(f"{layer.kind:13} -> {layer.output!s:14} {layer.parameters:9,} parameters")

# %% [markdown]
# The config holds every choice: the learning rate, the number of epochs, and how each face is augmented (mirrored,
# rotated, shifted, changed in brightness), so that the network never sees the same image twice. `mien train` saves it
# next to the weights.

# %%
print(config.to_toml())

# %% [markdown]
# ## Train
#
# `mien train --data fer2013.csv --arch two-conv --out runs/first` does this step and the export below. A run that is
# stopped resumes where it was. Run this cell again after Ctrl-C, or after it has finished: no epoch is trained twice.

# %%
from mien.training.engine.loop import Options
from mien.training.run.history import Epoch
from mien.training.tasks.classification.task import fit
from mien.training.run.directory import Source, is_run

RUN = Path("runs/first")


def told(news):
    """A line an epoch."""
    if isinstance(news, Epoch):
        score = news.scores[0]
        print(f"epoch {news.number:2}: loss {news.loss:.3f}, right of PublicTest {score.accuracy:.1%}", flush=True)


run = fit(training, validation, config, RUN, told, Options(resume=is_run(RUN), source=Source(str(csv.absolute()))))

# %% [markdown]
# What the network saw: the original faces, and the same faces as augmented in four epochs.

# %%
display(Image.open(RUN / "augmentation.png"))

# %% tags=["public"]
from mien.training.run.plots import draw_curves

draw_curves(RUN / "curves.png", run.history)
curves = Image.open(RUN / "curves.png")
display(curves.resize((curves.width * 3 // 4, curves.height * 3 // 4)))

# %% [markdown]
# How to read the curves: training loss and validation loss fall together while the network generalises. The training
# curve may stay *above* the validation curve: training images are augmented, and dropout is active. Macro-F1 is the
# mean F1 over the seven expressions, each with the same weight. Where it is far below the accuracy, a rare expression
# is hardly ever predicted.

# %% [markdown]
# ## Evaluate
#
# Accuracy is one number. The confusion matrix shows which expressions are confused; a row is the true label.

# %% tags=["public"]
from mien.tutorial.comparison import confusion_matrix
from mien.tutorial.comparison import confusion_image

found = confusion_matrix(run.model, validation, 0)
low, high = found.interval
print(f"{found.accuracy:.1%} right, 95 % interval {low:.1%} to {high:.1%}; always {most!r}: {always:.1%}")
for at, (label, row) in enumerate(zip(found.labels, found.counts, strict=True)):
    others = np.where(np.arange(len(row)) == at, 0, row)
    print(
        f"{label:9} {row[at] / max(row.sum(), 1):4.0%} found; {others.max()} taken for {found.labels[others.argmax()]}"
    )
display(Image.fromarray(confusion_image([found])))

# %% [markdown]
# ## A model file
#
# `export` writes `model.onnx`, which needs no Keras for inference. Its card holds the labels and their order, the
# crop rule, the origin of the model and its scores. Export also calibrates: networks are over- or underconfident, and
# one number (the temperature, fitted on the validation split) makes a probability of 70 % correct about 70 % of the
# time. Below `unsure_below` a prediction is marked unsure.

# %%
from mien.evaluation.metrics import compute_metrics
from mien.classification.probabilities import softmax
from mien.training.export.classifier import export_classifier
from mien.training.tasks.classification.validation import predict_logits

card = export_classifier(run.model, training, validation, config, RUN / "model.onnx")
head = card.heads[0]
print(f"{RUN / 'model.onnx'}: {(RUN / 'model.onnx').stat().st_size / 1e6:.1f} MB, labels {[*map(str, head.labels)]}")
logits = predict_logits(run.model, validation.crops)["fer2013"]
for words, calibration in {"as learnt": (1.0,), "calibrated": (head.temperature, head.offsets, head.scales)}.items():
    metrics = compute_metrics(softmax(logits, *calibration), validation.truths[0].class_ids, head.labels)
    print(
        f"{words:11} temperature {calibration[0]:.2f}: calibration error {metrics.ece:.3f}, "
        f"{metrics.accuracy:.1%} right"
    )
print(f"sure answers are those of {head.unsure_below:.0%} and more")

# %% [markdown]
# A temperature does not change the predicted label. *Offsets* do, a little; the card has them where they improve
# calibration. (Both were fitted on the images that they are evaluated on here, so the figures are slightly
# optimistic.) `mien models show runs/first/model.onnx` prints the card. `mien evaluate --data fer2013.csv --model
# runs/first --out report` writes a report with all of this.
#
# ## Use it
#
# On a photo, mien detects the face, crops it by the card's rule, and classifies it.

# %% tags=["public"]
from mien.apps.cli.first_steps import PORTRAIT
from mien.visualization.annotate import draw
from mien.media.image import read
from mien.recognizer import Recognizer

recognizer = Recognizer.load(RUN / "model.onnx")
portrait = read(PORTRAIT)
result = recognizer.predict(portrait)
for prediction in result.predictions:
    print(f"shows {prediction.emotion}{' (unsure)' if prediction.unsure else ''}, {prediction.probability:.0%}")
    for label, share in zip(prediction.labels, prediction.probabilities, strict=True):
        print(f"  {label:9} {share:4.0%} {'#' * round(40 * share)}")
display(Image.fromarray(draw(portrait, result.predictions)))

# %% [markdown]
# And live:
#
# ```
# mien predict photo.jpg --model runs/first/model.onnx
# mien live --model runs/first/model.onnx
# ```
#
# Trained on all 28,709 faces for its 20 epochs, with FER+ votes as a second head, `two-conv` reaches 56 % on
# PublicTest, and the shipped `compact` 71 %. One person agrees with about 65 % of the labels, since the labels
# themselves are disputed. Every model names the expression *shown*. What a person feels is not in the image.
#
# To try: all faces and 20 epochs (`mien train --data fer2013.csv --arch two-conv --out runs/all`); `--arch
# deep-conv`; your own faces in folders, `faces/happy/*.jpg`, which `mien collect` helps to record; `--balance
# weights` for the rare expressions: how do macro-F1 and accuracy change?
