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
# From a csv of small grey faces to a model file that reads a photo or your camera: read the data, look at it, say what
# is asked of the network, teach it, judge it, export it, use it. Each step has its command beside it; `mien train`
# does them all in one.
#
# It needs `pip install 'mien[train,plots]'`. The figures of this page are of FER2013 (Goodfellow et al. 2013), which
# you fetch yourself: put `fer2013.csv` (or .gz, .xz, .zip) into a folder `fer2013` and name the folder that it lies in:
# `MIEN_TUTORIAL_DATA=data`. Without that the lesson draws faces of its own, and what it teaches reads nothing else.

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
# A line a face: the number of its expression, 48 x 48 grey values from 0 to 255, and the split that it belongs to.
#
# ```
# emotion,pixels,Usage
# 3,92 80 83 93 112 78 92 80 73 83 84 82 ...,Training
# ```
#
# `PublicTest` is what choices are made on. `PrivateTest`, where a file has it, stays untouched until the very end: what
# you have looked at many times judges you too kindly.

# %%
from mien.data import fer2013
from mien.data.dataset import training_and_validation

FULL = tutorial_data.folder() is not None
csv = tutorial_data.faces_csv(Path("faces.csv"), training=700, validation=280)
data = fer2013.read(csv)
print(f"{len(data):,} faces of {data.crops.shape[1:]}; {len(data.rejected)} lines can't be read")
print({name: int((data.splits == name).sum()) for name in data.split_names()})

# %% [markdown]
# ## Look at it
#
# Before anything is taught: what is in there, and how much of it? (`mien data info fer2013.csv --out sheets`,
# `mien data audit` finds copies and wrong labels.)

# %%
from mien.data.contact_sheet import overview

training, validation = training_and_validation(data)
# a third of FER2013 tells the story in minutes; its order is that of chance
training = training.select(np.arange(min(len(training), 10_000)))
truth = training.truths[0]
rows = [np.flatnonzero(truth.answers == label) for label in range(len(truth.labels))]
display(Image.fromarray(overview(training.crops, truth.labels, rows)).reduce(2))

# %%
counts = np.bincount(truth.answers, minlength=len(truth.labels))
for label, count in zip(truth.labels, counts, strict=True):
    print(f"{label:9} {count:6,}  {'#' * round(60 * count / counts.max())}")
most = str(truth.labels[counts.argmax()])
always = np.mean(validation.truths[0].answers == counts.argmax())
print(f"\nto answer {most!r} always is right {always:.1%} of the time: what a network must beat")

# %% [markdown]
# ## What is asked of the network
#
# It gives seven numbers, one an expression; softmax makes shares of them. The target is a row with a 1 at the truth
# (one-hot). Cross-entropy is the distance between both: -log of the share that the truth got. One that knows nothing
# gives each a seventh, and its loss is log 7.

# %%
from mien.tutorial.activation import cross_entropy, one_hot

target = one_hot(truth.answers[:1], 7)
print(f"the first face is labelled {truth.labels[truth.answers[0]]}:", target[0].astype(int))
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
# `two-conv` is the classic first one: two convolutions with pooling, a dense layer, seven answers. Nearly all of its
# numbers are in one place, where the maps are flattened into the dense layer.

# %%
from mien.training.engine.compilation import plain, shape_of
from mien.training.config import config_for
from mien.training.architectures.complexity import summary

own = config_for("two-conv")
config = replace(own, epochs=14) if FULL else replace(own, epochs=6, fine_tune_epochs=1, batch=16, precision="float32")
for layer in summary(plain(shape_of(training, config), "two-conv")).layers:
    print(f"{layer.kind:13} -> {layer.output!s:14} {layer.parameters:9,} parameters")

# %% [markdown]
# The config holds every choice: how fast it learns, for how long, and how each face is changed before it is learnt from
# (mirrored, turned, moved, lit otherwise), so that no face comes twice. `mien train` saves it beside the weights.

# %%
print(config.to_toml())

# %% [markdown]
# ## Teach it
#
# `mien train --data fer2013.csv --model two-conv --out runs/first` does this step and the export below. A run that is
# stopped goes on where it was; run this cell again after Ctrl-C, or again when it is done: nothing is taught twice.

# %%
from mien.training.engine.fit import Epoch, Options, fit
from mien.training.run.directory import Source, is_run

RUN = Path("runs/first")


def told(news):
    """A line an epoch."""
    if isinstance(news, Epoch):
        score = news.scores[0]
        print(f"epoch {news.number:2}: loss {news.loss:.3f}, right of PublicTest {score.accuracy:.1%}", flush=True)


run = fit(training, validation, config, RUN, told, Options(resume=is_run(RUN), source=Source(str(csv.absolute()))))

# %% [markdown]
# What the network saw: the same faces as they are, and as four epochs changed them.

# %%
display(Image.open(RUN / "augmentation.png"))

# %% tags=["public"]
from mien.training.run.curves import draw_curves

draw_curves(RUN / "curves.png", run.history)
curves = Image.open(RUN / "curves.png")
display(curves.resize((curves.width * 3 // 4, curves.height * 3 // 4)))

# %% [markdown]
# How to read it: the loss of the training images and that of the validation images fall together while what is
# learnt holds for faces not seen. The training line may stay *above*: those images are changed, and a part of the
# network is dropped while it learns. Macro-F1 is the mean over the seven expressions, each counted alike; where it lies
# far under the accuracy, a rare expression is hardly ever named.

# %% [markdown]
# ## Judge it
#
# Accuracy is one number; the matrix tells which expressions are taken for which. A row is the truth.

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
# `export` writes `model.onnx`, which needs no Keras to be used. Inside is a card: the labels and their order, how a
# face is cut out of a photo, where the model comes from, how it scored. It also mends the probabilities: networks are
# too sure or too timid, and one number (the temperature, fitted on the validation split) makes "70 %" right about 70 %
# of the time. Under `unsure_below` an answer is called unsure.

# %%
from mien.evaluation.metrics import judge
from mien.classification.probabilities import softmax
from mien.training.export.classifier import export_classifier
from mien.training.engine.validation import predict_logits

card = export_classifier(run.model, training, validation, config, RUN / "model.onnx")
head = card.heads[0]
print(f"{RUN / 'model.onnx'}: {(RUN / 'model.onnx').stat().st_size / 1e6:.1f} MB, labels {[*map(str, head.labels)]}")
logits = predict_logits(run.model, validation.crops)["fer2013"]
for words, calibration in {"as learnt": (1.0,), "calibrated": (head.temperature, head.offsets, head.scales)}.items():
    metrics = judge(softmax(logits, *calibration), validation.truths[0].answers, head.labels)
    print(
        f"{words:11} temperature {calibration[0]:.2f}: calibration error {metrics.ece:.3f}, "
        f"{metrics.accuracy:.1%} right"
    )
print(f"sure answers are those of {head.unsure_below:.0%} and more")

# %% [markdown]
# A temperature moves no maximum. *Offsets* do, a little, which the card has where they mend the calibration: each label
# is told as often as it is true. (Both were fitted on the images they are judged on here, so the figures are a little
# kind.) `mien models show runs/first/model.onnx` prints the card; `mien evaluate --data fer2013.csv --model runs/first
# --out report` writes a page with all of this.
#
# ## Use it
#
# On a photo, mien finds the face, cuts it as the card says, and asks the model.

# %% tags=["public"]
from mien.apps.cli.demo import PORTRAIT
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
# Taught on all 28,709 faces for its 20 epochs, and on FER+ votes beside, `two-conv` gets 56 % of PublicTest right; the
# shipped `compact` 71 %; one person about 65 %, since the labels themselves are disputed. What any of them names is the
# expression *shown*. What a person feels is not in the image.
#
# To try: all faces and 20 epochs (`mien train --data fer2013.csv --model two-conv --out runs/all`);
# `--model deep-conv`; your own faces in folders, `faces/happy/*.jpg`, which `mien collect` helps to take;
# `--balance weights` for the rare expressions: what happens to macro-F1, and what to the accuracy?
