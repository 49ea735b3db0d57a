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
# # Overfitting and augmentation
#
# A network with a million parameters can memorise a few thousand faces and fail on the next one. This tutorial lets
# that happen, watches it, and tries the usual remedies: dropout, early stopping, augmentation, more data. Each is
# changed alone, so the table at the end shows what helped.
#
# It needs `pip install '.[train,plots]'`. The figures on this page are for FER2013. Put `fer2013.csv` (or .gz,
# .xz, .zip) into a folder `fer2013`, and name the parent folder: `MIEN_TUTORIAL_DATA=data`. Without it the tutorial
# draws synthetic faces and runs in seconds.

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
# ## Little data
#
# 1,500 of FER2013's faces for training, and 1,500 others for evaluation. (That is a twentieth of the data: the
# tutorial trains ten networks, and small data is its topic.)

# %%
FULL = tutorial_data.folder() is not None
training, validation = tutorial_data.faces(1500, 1500) if FULL else tutorial_data.faces(280, 210)
print(f"{len(training):,} faces to train on, {len(validation):,} for validation")

# %% [markdown]
# ## Memorising
#
# `two-conv` without any regularisation: no augmentation, no dropout, no label smoothing, no weight decay, a constant
# learning rate. Everything below is this config with one change.

# %%
from mien.training.config import PLAIN, config_for
from mien.training.tasks.classification.task import fit

RUNS = Path(tempfile.mkdtemp(prefix="overfitting-"))
baseline = replace(
    config_for("two-conv"),
    epochs=15 if FULL else 8,
    fine_tune_epochs=0,
    batch=32,
    schedule="constant",
    warmup_epochs=1.0,
    ema_decay=0.9,
    weight_decay=0.0,
    label_smoothing=0.0,
    dropout=0.0,
    precision="float32",
    augmentation=PLAIN,
)
histories = {}


def train(name, config, train_data=training):
    """Trains with a config in a run directory of its own; keeps the history under the name."""
    run = fit(train_data, validation, config, RUNS / name, lambda _: None)
    histories[name] = run.history
    best = max(epoch.scores[0].accuracy for epoch in run.history)
    last = run.history[-1]
    print(f"{name}: best validation accuracy {best:.1%}")
    print(f"  last epoch: training {last.accuracy:.1%}, validation {last.scores[0].accuracy:.1%}")
    return run


runs = {"nothing": train("nothing", baseline)}

# %% [markdown]
# Training accuracy goes to the top, validation accuracy stops early. The loss shows it sooner and more clearly: the
# validation loss falls, turns, and *rises*, while accuracy hardly moves. The network becomes more confident in its
# errors.

# %% tags=["public"]
from mien.tutorial.comparison import accuracies_image, histories_image

display(Image.fromarray(histories_image(histories)))

# %% [markdown]
# ## Early stopping
#
# Early stopping ends a run when several epochs in a row brought no improvement. mien keeps the weights of the best
# epoch in any case, so a stopped run gives the same network sooner. (Elsewhere early stopping is often compared with
# the *last* epoch, which nobody should use.) The config option is `patience`; on the command line, `--patience 4`.

# %%
from mien.training.engine.optimization import is_finished
from mien.training.run.history import best_epoch

history = histories["nothing"]
patient = replace(baseline, patience=4)
stopped = next((n for n in range(1, len(history)) if is_finished(patient, history[:n])), len(history))
best, last = history[best_epoch(history) - 1], history[-1]
print(f"with patience=4 it stops after {stopped} of {len(history)} epochs; best epoch {best_epoch(history[:stopped])}")
print(f"validation loss: {best.scores[0].nll:.2f} at epoch {best.number}, {last.scores[0].nll:.2f} at the end")

# %% [markdown]
# ## Dropout
#
# Half of the last features are dropped at random in each step, so none can rely on a single other one.

# %%
runs["dropout"] = train("dropout", replace(baseline, dropout=0.5))

# %% [markdown]
# ## Augmentation
#
# A mirrored face shows the same expression; so does a face rotated by ten degrees, shifted, or in other light. Each
# epoch changes every face in a new way. Look at the augmented faces before you trust them: a face upside down, or one
# whose mouth is out of the image, only adds label noise.

# %%
augmentation = config_for("two-conv").augmentation
print({name: value for name, value in vars(augmentation).items() if value != getattr(PLAIN, name)})
runs["augmentation"] = train("augmentation", replace(baseline, augmentation=augmentation))
display(Image.open(RUNS / "augmentation" / "augmentation.png"))

# %%
runs["both"] = train("both", replace(baseline, augmentation=augmentation, dropout=0.5))

# %% [markdown]
# The plots use the same scales. Where the two lines stay together, the network generalises. The price: a regularised
# network learns more slowly and needs more epochs than it has here. Note which epoch is its best.

# %% tags=["public"]
display(Image.fromarray(histories_image({name: run.history for name, run in runs.items()})))

# %% [markdown]
# ## More data
#
# The oldest remedy. The same config on fewer and on more faces, with and without augmentation, is a *learning curve*.
# Students want to know first how many images they need: see how much each doubling brings.

# %% tags=["public"]
from mien.tutorial.comparison import confusion_matrix

SIZES = (375, 750, 1500, 3000) if FULL else (140, 280)
pool = tutorial_data.faces(max(SIZES), 1)[0] if FULL else training
curves = {"nothing": [], "augmentation": []}
for size in SIZES:
    subset = pool.select(np.arange(size))
    for name, config in {"nothing": baseline, "augmentation": replace(baseline, augmentation=augmentation)}.items():
        run = runs[name] if size == len(training) else train(f"{name}, {size:,} faces", config, subset)
        curves[name].append(confusion_matrix(run.model, validation, 0))
display(Image.fromarray(accuracies_image(SIZES, curves, "training faces")))

# %% [markdown]
# ## What helped
#
# "Gap" is the training accuracy (without augmentation) minus the validation accuracy. The last columns compare with
# "nothing" on the same faces: the difference in points and its 95 % interval. Where the interval contains 0, it may
# be chance.

# %%
from mien.evaluation.comparison import difference_interval
from mien.training.tasks.classification.task import predict_logits


def is_correct(model, data):
    """For each face, whether the model predicts its label."""
    return predict_logits(model, data.crops)["fer2013"].argmax(axis=1) == data.truths[0].class_ids


reference = is_correct(runs["nothing"].model, validation)
print(f"{'':13} best epoch  validation     gap   compared with nothing")
for name, run in runs.items():
    correct = is_correct(run.model, validation)
    gap = is_correct(run.model, training).mean() - correct.mean()
    lost, gained = int((reference & ~correct).sum()), int((correct & ~reference).sum())
    low, high = difference_interval(lost, gained, len(correct))
    row = f"{name:13} {best_epoch(run.history):10} {correct.mean():11.1%} {gap:7.1%}"
    difference = f"{correct.mean() - reference.mean():+.1%} ({low:+.1%} to {high:+.1%})"
    print(row if name == "nothing" else f"{row}   {difference}")

# %% [markdown]
# Results on FER2013:
#
# - A small gap is not the goal: a network that learned nothing has none. The goal is accuracy on held-out faces.
# - **Augmentation** gained three points, as much as doubling the data: in the learning curve, its line at 750 faces
#   is where the plain one is at 1,500. It creates new images of the same expressions, at no cost but time.
# - **Dropout** lost three points, though it reduced the gap. It only hides part of the same old images, slows
#   learning, and its best epoch was the last: 15 epochs were too few. Regularisation needs more time. So this is no
#   verdict on dropout as such, only on dropout within the epochs that the others had.
# - **Early stopping** gained only time, since the best epoch is kept anyway. That epoch is chosen by accuracy. By
#   loss it would be an earlier one, which is less confident in its errors; `export` corrects that by calibration.
# - **More data** keeps helping: about three points per doubling, so the next points cost twice as many faces.
# - The epoch was chosen on the same faces that the table uses, so all figures are slightly optimistic. Compare them
#   with each other, and keep a split that nothing was chosen on for the figure that you publish
#   ([training](../training.md)).
#
# To try: `random_erasing=0.25` in the augmentation; `label_smoothing=0.1`; twice the epochs for "both"; a smaller
# network instead (`mini-xception`); `rotate=90`: how much is too much?
