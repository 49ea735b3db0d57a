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
# A network with a million numbers can learn some thousand faces by heart, and know nothing of the next one. This lesson
# lets it, watches it happen, and tries what is said to help: dropout, early stopping, augmentation, more data. Each is
# changed alone, so the table at the end says what helped.
#
# It needs `pip install 'mien[train,plots]'`. The figures of this page are of FER2013: put `fer2013.csv` (or .gz, .xz,
# .zip) into a folder `fer2013` and name the folder that it lies in: `MIEN_TUTORIAL_DATA=data`. Without that the lesson
# draws faces of its own, in seconds.

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
# ## Little data
#
# 1,500 of FER2013's faces to learn from; 1,500 others, never learnt from, to judge by. (A twentieth of it: the lesson
# teaches ten networks, and little data is what it is about.)

# %%
FULL = tutorial_data.folder() is not None
training, validation = tutorial_data.faces(1500, 1500) if FULL else tutorial_data.faces(280, 210)
print(f"{len(training):,} faces to learn from, {len(validation):,} held out")

# %% [markdown]
# ## Learnt by heart
#
# `two-conv`, without anything that would hold it back: no augmentation, no dropout, no softened labels, no weight
# decay, a learning rate that stays. All that follows is this config with one thing changed.

# %%
from mien.training.engine.fit import fit
from mien.training.config import PLAIN, config_for

RUNS = Path(tempfile.mkdtemp(prefix="overfitting-"))
bare = replace(
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


def train(name, config, learnt=training):
    """The network of a config, taught into a run directory of its own; its history is kept under the name."""
    run = fit(learnt, validation, config, RUNS / name, lambda _: None)
    histories[name] = run.history
    best = max(epoch.scores[0].accuracy for epoch in run.history)
    last = run.history[-1]
    print(
        f"{name}: best {best:.1%}; at the end {last.accuracy:.1%} of training, {last.scores[0].accuracy:.1%} of others"
    )
    return run


trained = {"nothing": train("nothing", bare)}

# %% [markdown]
# Accuracy of the training faces goes to the top, that of the others stops early. The loss tells it sooner and louder:
# on faces not seen it falls, turns, and *rises*, while accuracy hardly moves. The network gets surer of its mistakes.

# %% tags=["public"]
from mien.tutorial.comparison import accuracies_image, histories_image

display(Image.fromarray(histories_image(histories)))

# %% [markdown]
# ## Stop in time
#
# Early stopping ends a run when some epochs in a row brought nothing better. mien keeps the best epoch's weights in any
# case, so a run that is stopped gives the very same network, sooner. (What early stopping is compared with elsewhere is
# often the *last* epoch, which nobody should use.) In a config it is `patience`, on the command line `--patience 4`.

# %%
from mien.training.engine.schedule import best_epoch, is_finished

history = histories["nothing"]
patient = replace(bare, patience=4)
ended = next((n for n in range(1, len(history)) if is_finished(patient, history[:n])), len(history))
best, last = history[best_epoch(history) - 1], history[-1]
print(f"with patience it ends after {ended} of {len(history)} epochs; the best so far is {best_epoch(history[:ended])}")
print(f"loss on faces held out: {best.scores[0].nll:.2f} at epoch {best.number}, {last.scores[0].nll:.2f} at the end")

# %% [markdown]
# ## Dropout
#
# Half of the last features are dropped, others in each step, so none can rely on one other alone.

# %%
trained["dropout"] = train("dropout", replace(bare, dropout=0.5))

# %% [markdown]
# ## Augmentation
#
# A mirrored face shows the same expression; so does one turned by ten degrees, moved, or in other light. Each epoch
# shows each face otherwise, so none comes twice. Look at what it makes of the faces before you believe in it: a face
# upside down, or one whose mouth is out of the image, teaches nonsense.

# %%
gentle = config_for("two-conv").augmentation
print({name: value for name, value in vars(gentle).items() if value != getattr(PLAIN, name)})
trained["augmentation"] = train("augmentation", replace(bare, augmentation=gentle))
display(Image.open(RUNS / "augmentation" / "augmentation.png"))

# %%
trained["both"] = train("both", replace(bare, augmentation=gentle, dropout=0.5))

# %% [markdown]
# Side by side, on the same scales. Where the two lines stay together, what is learnt holds for others. The price: what
# is held back learns slower, and wants more epochs than it has here. Look where its best epoch stands.

# %% tags=["public"]
shown = ("nothing", "dropout", "augmentation", "both")
display(Image.fromarray(histories_image({name: histories[name] for name in shown})))

# %% [markdown]
# ## More data
#
# The oldest cure. The same config on fewer faces and on more, bare and augmented: a *learning curve*. It answers what
# students ask first, "how many images do I need?": look at how much each doubling brings.

# %% tags=["public"]
from mien.tutorial.comparison import confusion_matrix

SIZES = (375, 750, 1500, 3000) if FULL else (140, 280)
more = tutorial_data.faces(max(SIZES), 1)[0] if FULL else training
curve = {"nothing": [], "augmentation": []}
for size in SIZES:
    few = more.select(np.arange(size))
    for name, config in {"nothing": bare, "augmentation": replace(bare, augmentation=gentle)}.items():
        done = trained[name] if size == len(training) else train(f"{name}, {size:,} faces", config, few)
        curve[name].append(confusion_matrix(done.model, validation, 0))
display(Image.fromarray(accuracies_image(SIZES, curve, "faces learnt from")))

# %% [markdown]
# ## What helped
#
# "Gap" is what a network gets right of its training faces (as they are), more than of others. The last columns compare
# with "nothing" on the very same faces: by how many points it is better, and the 95 % interval of that. Where the
# interval holds 0, it may have been luck.

# %%
from mien.evaluation.comparison import difference_interval
from mien.training.engine.validation import predict_logits


def right(model, data):
    """Which faces of a split a network names right."""
    return predict_logits(model, data.crops)["fer2013"].argmax(axis=1) == data.truths[0].answers


before = right(trained["nothing"].model, validation)
print(f"{'':13} best epoch  held out     gap   against nothing")
for name, run in trained.items():
    held = right(run.model, validation)
    gap = right(run.model, training).mean() - held.mean()
    low, high = difference_interval(int((before & ~held).sum()), int((held & ~before).sum()), len(held))
    row = f"{name:13} {best_epoch(run.history):10} {held.mean():9.1%} {gap:7.1%}"
    print(row if name == "nothing" else f"{row}   {held.mean() - before.mean():+.1%} ({low:+.1%} to {high:+.1%})")

# %% [markdown]
# What it says, on the faces of FER2013:
#
# - A small gap is not the aim: a network that learnt nothing has none. The aim is what it gets right of faces held out.
# - **Augmentation** won three points, as much as twice the faces did: in the learning curve its line at 750 is where
#   the bare one is at 1,500. It shows new images of the same expressions, for nothing but time.
# - **Dropout** lost three, though it made the gap smaller. It hides a part of what is made of the same old images, it
#   learns slower, and its best epoch was the last: 15 were too few for it. What holds a network back must be given
#   time. So this is no verdict on dropout, but one on dropout in the time that the others had.
# - **Early stopping** won nothing but time, since the best epoch is kept anyway. That one is chosen by accuracy. By the
#   loss it would be an earlier one, which is less sure of its mistakes; `export` mends that by calibration.
# - **More data** goes on helping: about three points with each doubling, so the next points cost twice as many faces.
# - The epoch was chosen on the same faces that the table is of, so all of its figures are a little kind: compare them
#   with each other, and keep a split that nothing was chosen on for the figure that you tell others
#   ([training](../training.md), "The best epoch").
#
# To try: `erase=0.25` in the augmentation; `label_smoothing=0.1`; twice the epochs for "both"; a smaller network in
# place of all this (`mini-xception`); `rotate=90`: how much is too much?
