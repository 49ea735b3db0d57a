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
# It needs `pip install '.[train,plots]'`. The figures on this page are for FER2013 (Goodfellow et al. 2013), which
# you download yourself. Put `fer2013.csv` (or .gz, .xz, .zip) into a folder `fer2013`, and name the parent folder:
# `MIEN_TUTORIAL_DATA=data`. Without it the tutorial draws synthetic faces, and the resulting model works on nothing
# else.

# %%
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
# a third of FER2013 is enough to show the workflow in minutes; the order of its rows is random
training = training.select(np.arange(min(len(training), 10_000)))
truth = training.truths[0]
rows = [np.flatnonzero(truth.class_ids == label) for label in range(len(truth.labels))]
display(Image.fromarray(overview(training.crops, truth.labels, rows)).reduce(2))

# %%
counts = np.bincount(truth.class_ids, minlength=len(truth.labels))
for label, count in zip(truth.labels, counts, strict=True):
    print(f"{label:9} {count:6,}  {'#' * round(60 * count / counts.max())}")
majority = str(truth.labels[counts.argmax()])
majority_accuracy = np.mean(validation.truths[0].class_ids == counts.argmax())
print(f"\naccuracy of always predicting {majority!r}: {majority_accuracy:.1%}, which a network must beat")

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
for name, probabilities in {
    "knows nothing": np.full((1, 7), 1 / 7),
    "correct, uncertain": 0.5 * target + 0.5 / 7,
    "correct, confident": 0.98 * target + 0.02 / 7,
    "wrong, confident": 0.98 * np.roll(target, 1, axis=1) + 0.02 / 7,
}.items():
    print(f"  {name:20} loss {cross_entropy(target, probabilities)[0]:.2f}")

# %% [markdown]
# ## The network and its config
#
# `two-conv` is the classic first network: two convolutions with pooling, a dense layer, seven outputs. Nearly all of
# its parameters are in one place, where the feature maps are flattened into the dense layer.

# %%
from mien.training.architectures.complexity import summary
from mien.training.config import config_for
from mien.training.tasks.classification.compilation import build_float32, shape_of

config = replace(config_for("two-conv"), epochs=14)
if not FULL:
    config = replace(config, epochs=6, fine_tune_epochs=1, batch=16, precision="float32")
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
from mien.training.run.directory import Source, is_run
from mien.training.run.history import Epoch
from mien.training.tasks.classification.task import fit

RUN = Path("runs/first")


def report(event):
    """Prints a line per epoch."""
    if isinstance(event, Epoch):
        accuracy = event.scores[0].accuracy
        print(f"epoch {event.number:2}: loss {event.loss:.3f}, validation accuracy {accuracy:.1%}", flush=True)


run = fit(training, validation, config, RUN, report, Options(resume=is_run(RUN), source=Source(str(csv.absolute()))))

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
from mien.tutorial.comparison import confusion_image, confusion_matrix

matrix = confusion_matrix(run.model, validation, 0)
low, high = matrix.interval
print(f"accuracy {matrix.accuracy:.1%}, 95 % interval {low:.1%} to {high:.1%}")
print(f"always {majority!r}: {majority_accuracy:.1%}")
for class_id, (label, row) in enumerate(zip(matrix.labels, matrix.counts, strict=True)):
    errors = np.where(np.arange(len(row)) == class_id, 0, row)
    recall = row[class_id] / max(row.sum(), 1)
    print(f"{label:9} recall {recall:4.0%}; most often confused with {matrix.labels[errors.argmax()]} ({errors.max()})")
display(Image.fromarray(confusion_image([matrix])))

# %% [markdown]
# ## A model file
#
# `export` writes `model.onnx`, which needs no Keras for inference. Its card holds the labels and their order, the
# crop rule, the origin of the model and its scores. Export also calibrates: networks are over- or underconfident, and
# one number (the temperature, fitted on the validation split) makes a probability of 70 % correct about 70 % of the
# time. Below `unsure_below` a prediction is marked unsure.

# %%
from mien.classification.probabilities import softmax
from mien.evaluation.metrics import compute_metrics
from mien.training.export.classifier import export_classifier
from mien.training.tasks.classification.task import predict_logits

card = export_classifier(run.model, training, validation, config, RUN / "model.onnx")
head = card.heads[0]
print(f"{RUN / 'model.onnx'}: {(RUN / 'model.onnx').stat().st_size / 1e6:.1f} MB, labels {[*map(str, head.labels)]}")
logits = predict_logits(run.model, validation.crops)["fer2013"]
for name, calibration in {"as trained": (1.0,), "calibrated": (head.temperature, head.offsets, head.scales)}.items():
    metrics = compute_metrics(softmax(logits, *calibration), validation.truths[0].class_ids, head.labels)
    print(f"{name}: temperature {calibration[0]:.2f}, ECE {metrics.ece:.3f}, accuracy {metrics.accuracy:.1%}")
print(f"unsure below {head.unsure_below:.0%}")

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
from mien.media.image import read
from mien.recognizer import Recognizer
from mien.visualization.annotate import draw

recognizer = Recognizer.load(RUN / "model.onnx")
portrait = read(PORTRAIT)
result = recognizer.predict(portrait)
for prediction in result.predictions:
    print(f"shows {prediction.emotion}{' (unsure)' if prediction.unsure else ''}, {prediction.probability:.0%}")
    for label, probability in zip(prediction.labels, prediction.probabilities, strict=True):
        print(f"  {label:9} {probability:4.0%} {'#' * round(40 * probability)}")
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
