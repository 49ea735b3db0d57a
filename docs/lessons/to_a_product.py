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
# # From a network to a product
#
# A network that scores well is a part, as an engine is a part of a car. This lesson is about the rest: a file that
# knows how it is to be used, the chain around the network, input that is no image, milliseconds, a word that does
# not flicker, a server, and what people must be told.
#
# It runs offline in half a minute, needs no data, and `pip install 'mien[serve,plots]'`. All images are two
# portraits that come with mien and with matplotlib.

# %%
import json
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageFilter

from mien.apps.cli.demo import PORTRAIT
from mien.classification.classifier import Classifier
from mien.classification.face_crop import crop, crop_faces
from mien.visualization.annotate import draw
from mien.errors import MienError
from mien.structures import FrameResult
from mien.media.image import encode, read
from mien.tutorial.figures import figure, frame_of
from mien.models.card import CropRule
from mien.models.store import ModelStore
from mien.recognizer import Recognizer
from mien.tracking import timeline, to_srt
from mien.tracking.tracker import TrackerConfig, Tracker

try:
    from IPython.display import display
except ImportError:  # run as a plain script there is nothing to show on
    display = print

HOPPER = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"  # US Navy, 1986, public domain
smiling, sober = read(PORTRAIT), read(HOPPER)

# %% [markdown]
# ## The file knows how it is to be used
#
# Many projects keep their labels in one file, the input size in another and the scaling of pixels in a third; a year
# later nobody knows which belong together. mien's model file is an `.onnx` whose metadata hold a *card*: labels and
# their order, how a face is cut, what turns sums into probabilities that mean what they say, under which one an
# answer is "unsure", and where all of it came from.

# %%
store = ModelStore()
file = store.load("compact")
card = Classifier(file).card
print(f"{card.name}: {card.size}x{card.size} pixels, {card.channels} channel, {len(file) / 1e6:.1f} MB")
print("labels:  ", ", ".join(card.fused.labels))
print("crop:    ", f"{card.crop.factor} times the longer side of the face's box")
print(
    "sure:    ",
    f"from a probability of {card.fused.unsure_below:.2f}, at a temperature of {card.fused.temperature:.2f}",
)
print("made of: ", card.origin.data[:60] + "...")
print("made by: ", card.origin.made_with)
for score in card.scores:
    if (score.head, score.metric) == ("fer2013", "accuracy"):
        print("measured:", f"{score.value:.3f} on {score.count} images of {score.split}, labels of {score.head}")

# %% [markdown]
# A *seal* (a SHA-256 of the file over itself) shows whether a byte was changed since the file was written. Face crops
# that are not as the card says are refused, not guessed at: pixels stay whole numbers up to the graph, where scaling is
# a layer, so nobody can scale them twice or forget to.

# %%
classifier = Classifier(file)
changed = bytearray(file)
changed[len(file) // 2] ^= 1
attempts = {
    "one bit of the file changed": lambda: Classifier(bytes(changed)),
    "pixels scaled by hand": lambda: classifier.predict(np.zeros((1, 48, 48, 1), np.float32)),
    "a face crop of another size": lambda: classifier.predict(np.zeros((1, 64, 64, 1), np.uint8)),
    "labels that it has not": lambda: classifier.predict(np.zeros((1, 48, 48, 1), np.uint8), "affectnet"),
}
for name, attempt in attempts.items():
    try:
        attempt()
        print(f"{name}: taken")
    except MienError as error:
        print(f"{name}: refused. {error}")

# %% [markdown]
# Why the crop belongs in the file: here is one face, cut tighter and wider than the network was taught. Nothing
# crashes. The answer is simply another one, and it can be *surely* wrong.

# %%
recognizer = Recognizer.load()
face = recognizer.predict(sober).predictions[0].face
factors = (0.6, 0.8, card.crop.factor, 1.5, 2.0, 3.0)
crops = np.stack([crop(sober, face, CropRule(factor), card.size, card.channels) for factor in factors])
said = []
for factor, row in zip(factors, classifier.predict(crops), strict=True):
    said.append(card.fused.labels[int(row.argmax())])
    told = "the card's" if factor == card.crop.factor else ""
    print(f"{factor:.1f} times the box: {said[-1]:8} {row.max():.2f} {told}")
display(Image.fromarray(np.hstack(list(crops[..., 0]))).resize((6 * 144, 144)))
assert said[2] == "neutral"

# %% [markdown]
# ## The chain
#
# An image becomes an answer in four steps. Each is a function with a type of its own between: frame, faces, face crops,
# probabilities. `Recognizer.predict` does all four; it is the *only* way that the command line, the window, the page
# and the server read an image, so they can't disagree.

# %%
frame = read(PORTRAIT)  # uint8 (height, width, 3), RGB: 1. decode
faces = recognizer.detector.detect(frame)  # 2. find
crops = crop_faces(frame, faces, card.crop, card.size, card.channels)  # 3. cut
row = classifier.predict(crops)[0]  # 4. classify
answer = recognizer.predict(PORTRAIT).predictions[0]
print(f"step by step: {card.fused.labels[int(row.argmax())]} {row.max():.4f}")
print(f"in one call:  {answer.emotion} {answer.probability:.4f}")
assert np.allclose(row, answer.probabilities, atol=1e-6)
display(Image.fromarray(draw(frame, [answer])))

# %% [markdown]
# The fifth step is to *say* it. An honest answer says how sure it is, and what may have spoilt it. A network can be
# sure of a face that it can hardly see; so a blurred one is `unsure` whatever the probability. Look at the last column,
# too: a tiny face still gets an answer, at times a sure and wrong one. So a product shows `unsure`, `reasons` and
# `quality_issues`, and does not just print the word.


# %%
def blurred(radius):
    return np.asarray(Image.fromarray(sober).filter(ImageFilter.GaussianBlur(radius)))


def smaller(height):
    return np.asarray(Image.fromarray(sober).resize((height * sober.shape[1] // sober.shape[0], height)))


tried = {"as it is": sober, "blurred, 6 pixels": blurred(6), "blurred, 10 pixels": blurred(10)}
tried |= {
    "40 pixels high": smaller(40),
    "a tenth of the light": (sober * 0.1).astype(np.uint8),
    "sky": sober[:80, -120:],
}
for name, image in tried.items():
    found = recognizer.predict(image).predictions
    for one in found:
        unsure = "unsure: " + ", ".join(one.reasons) if one.unsure else "sure"
        print(f"{name:21} {one.emotion:8} {one.probability:.2f}  {unsure:18} {', '.join(one.quality_issues)}")
    if not found:
        print(f"{name:21} no face found, which is an answer too")

# %% [markdown]
# ## Bad input
#
# Users send empty files, half downloads, holiday videos, and once in a while something made to break you: the PNG
# below is a few kilobytes and claims 36 million pixels. `predict` raises one kind of error (`mien.ImageError`) that
# says what was expected, what came and what to do; `predict_many` puts it beside that image and goes on with the
# next.

# %%
bomb = Path("bomb.png")
Image.new("1", (6000, 6000)).save(bomb)
jpeg = encode(frame, "jpg")
inputs = {
    "empty": b"",
    "text": b"Dear Sir or Madam",
    "half a JPEG": jpeg[: len(jpeg) // 2],
    "a bomb": bomb.read_bytes(),
}
inputs |= {"no such file": "holiday/IMG_0001.jpg", "a good one": jpeg}
for name, result in zip(inputs, recognizer.predict_many(inputs.values()), strict=True):
    print(f"{name:12} {result.error or result.predictions[0].emotion}")
bomb.unlink()

# %% [markdown]
# On the command line the same shows as the exit code: 0 all read, 1 some could not be, 2 wrong usage, 130
# interrupted.
#
# ## Milliseconds
#
# Before anything is made faster it is measured, stage by stage, as the *median* of many rounds: the mean would count
# the moment when the machine did something else, and the first call always pays for what is made ready once. Your
# figures are your machine's; what holds anywhere is which stage is the large one.


# %%
def milliseconds(work, rounds=30):
    """The median time of a call."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken)


stages = {
    "decode": lambda: read(PORTRAIT),
    "find faces": lambda: recognizer.detector.detect(frame),
    "cut": lambda: crop_faces(frame, faces, card.crop, card.size, card.channels),
    "classify": lambda: recognizer.classifier.predict(crops),
}
times = {name: milliseconds(work) for name, work in stages.items()}
whole = milliseconds(lambda: recognizer.predict(PORTRAIT))
for name, taken in times.items():
    print(f"{name:11} {taken:6.2f} ms  {'#' * round(40 * taken / sum(times.values()))}")
print(f"{'together':11} {sum(times.values()):6.2f} ms; in one call {whole:.2f} ms")

# %% [markdown]
# Three habits follow. Look at the largest stage first: making the classifier twice as fast would hardly be felt. Load
# once, not for each image. And measure what everybody knows: giving the network many faces in one call, which is
# half of the art on a GPU, gains little on a processor.

# %%
many = np.repeat(crops, 64, axis=0)
alone = milliseconds(lambda: [recognizer.classifier.predict(many[at : at + 1]) for at in range(64)], rounds=5)
together = milliseconds(lambda: recognizer.classifier.predict(many), rounds=5)
loading = milliseconds(Recognizer.load, rounds=3)
print(f"load the models:          {loading:7.1f} ms, once")
print(f"64 faces, a call each:    {alone:7.1f} ms")
print(f"64 faces, all in one:     {together:7.1f} ms")

# %% [markdown]
# ## A word that does not flicker
#
# In a video each frame is read anew, and at the border between two expressions noise decides. Here is a made clip of
# five seconds: one portrait dissolves into the other, with the noise of a camera in the dark. A `Tracker` keeps the
# number of each face, takes an exponential mean of the logits over half a second, and changes its word only when
# another expression is likelier by a margin.

# %%
RATE, NOISE = 15, 70.0
dice = np.random.default_rng(0)
first, last = (
    crop(image, recognizer.predict(image).predictions[0].face, CropRule(2.2), 240, 3).astype(float)
    for image in (sober, smiling)
)


def clip_frame(seconds):
    share = np.clip((seconds - 1.5) / 2.0, 0, 1)
    return np.clip((1 - share) * first + share * last + dice.normal(0, NOISE, first.shape), 0, 255).astype(np.uint8)


moments = [number / RATE for number in range(5 * RATE)]
frames = [clip_frame(moment) for moment in moments]
read_alone = [recognizer.predict(one).predictions for one in frames]


def followed(config):
    tracker = Tracker(config)
    return [tracker.follow(found, moment) for found, moment in zip(read_alone, moments, strict=True)]


raw, steadied = followed(TrackerConfig(smoothing_seconds=0, label_margin=0, unsure_margin=0)), followed(TrackerConfig())
display(Image.fromarray(np.hstack([frames[at] for at in (5, 37, 70)])))


# %%
def changes(results):
    said = [found[0].emotion for found in results if found]
    return sum(one != other for one, other in pairwise(said))


def first_said(word, results):
    return next(moment for moment, found in zip(moments, results, strict=True) if found and found[0].emotion == word)


drawn = figure(8, 3)
axes = drawn.subplots()
for name, followed_so, colour in (("each frame alone", raw, "#c9a27a"), ("steadied", steadied, "#2c63c9")):
    seen = [
        (moment, found[0].probability_of("happy")) for moment, found in zip(moments, followed_so, strict=True) if found
    ]
    axes.plot(*zip(*seen, strict=True), color=colour, label=name, linewidth=1.8)
    print(f"{name}: changes of word {changes(followed_so)}, first 'happy' at {first_said('happy', followed_so):.2f} s")
axes.set(xlabel="seconds", ylabel="probability of happy", ylim=(0, 1.02))
axes.legend(loc="lower right", frameon=False)
display(Image.fromarray(frame_of(drawn)))
assert changes(steadied) < changes(raw)

# %% [markdown]
# Steadiness costs delay: the mean has to follow. Half a second is felt as calm; with two, people think that it hangs.
# What was said when is then a *timeline*, here as subtitles.

# %%
results = [
    FrameResult("clipnorm", number, moment, found)
    for number, (moment, found) in enumerate(zip(moments, steadied, strict=True))
]
print(to_srt(timeline(results)))

# %% [markdown]
# ## Served over HTTP
#
# `mien serve` is a page for people and an API for programs, at 127.0.0.1 unless you say otherwise; no image is
# kept, none is sent on. Here it is started as a process of its own, as you would from a terminal.

# %%
command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--workers", "1"]
server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
told = server.stderr.readline().strip()
if not told.startswith("mien serves at "):
    raise SystemExit(f"{told}\n{server.stderr.read()}")  # such as: pip install 'mien[serve]'
print(told)
address = next(word for word in told.split() if word.startswith("http"))

# %% [markdown]
# The client needs no package of mien's: an image goes as the body, JSON comes back.


# %%
def ask(image):
    with urllib.request.urlopen(urllib.request.Request(f"{address}v1/predict", image)) as reply:
        return json.load(reply)["faces"]


for one in ask(PORTRAIT.read_bytes()):
    print(f"{one['emotion']} {one['probability']:.3f}, unsure: {one['unsure']}, at {list(map(round, one['box']))}")
    assert one["emotion"] == answer.emotion

# %% [markdown]
# The same image gives the same answer as above, since the server holds the same `Recognizer`. What is no image is
# refused with a status and a code that programs can rely on, and the server goes on.

# %%
for name in ("text", "half a JPEG"):
    try:
        ask(inputs[name])
    except urllib.error.HTTPError as refusal:
        print(refusal.code, json.load(refusal)["error"])
over_http = milliseconds(lambda: ask(jpeg), rounds=15)
in_process = milliseconds(lambda: recognizer.predict(jpeg), rounds=15)
print(f"one image over HTTP {over_http:.1f} ms, in this process {in_process:.1f} ms")

# %%
server.send_signal(signal.SIGTERM)  # as Ctrl-C: what was accepted is answered first
print("ended with exit code", server.wait(timeout=20))
server.stderr.close()

# %% [markdown]
# What a server of your own would still need, mien's has: a body is counted as it comes and left when it is too large,
# images are read in processes that may die of one without the others noticing, a place is taken before a byte is
# read, and without one the answer is 503 at once. All of it, with figures: [the server](../server.md).
#
# ## What people must be told
#
# This is no legal advice; it is where to start reading. The EU's AI Act (Regulation 2024/1689) says of such systems:
#
# - **Forbidden**: to infer emotions of people *at work and in education* (article 5(1)(f)), but for medical or safety
#   reasons. No notice and no consent makes that right. It applies since February 2025.
# - **To be told**: whoever uses an emotion recognition system informs the people exposed to it, clearly and at the
#   latest when it first looks at them (article 50(3) and (5)), and keeps to data protection law. It applies since
#   August 2026.
# - **High risk**: emotion recognition that is not forbidden stands in Annex III, 1(c), with duties of its own for who
#   makes and who uses it.
# - **What counts**: a system *for identifying or inferring emotions or intentions* from biometric data (article
#   3(39)). Merely detecting a readily apparent expression, such as a smile, is not that, *unless it is used for
#   inferring emotions* (recital 18). So it is decided by what you do with the answer, not by the network; and who
#   prints "sad" beside a face invites people to do just that.
#
# That is also why every sentence of mien's says "shows". Faces are no gauge of feelings: people scowl when they
# concentrate and smile when they are not glad, and what an expression means differs by person, moment and culture
# (Barrett et al. 2019, *Emotional Expressions Reconsidered*). A notice that people can understand:

# %%
NOTICE = f"""A camera here reads what expression your face shows, to steer the drawn face on the screen.
It knows {", ".join(card.fused.labels)}.
It does not know who you are, how old you are or what you feel. Images are read on this machine and not kept.
It is often wrong: on labelled photos of faces more than one answer in four. Do not want this? Stay behind the line.
Who to ask: NAME, ADDRESS."""
print(NOTICE)
print()
print("From the card of the model:", card.origin.notes)

# %% [markdown]
# ## What the model is not for
#
# - Judging people: in hiring, teaching, selling, policing, insuring, dating, at a border.
# - Saying what somebody feels, means, or is about to do; finding lies, pain, illness or tiredness.
# - Groups of people that nobody measured: the data it learnt from names no ages, origins or skin tones, so how well
#   it reads which of them is unknown, and an average hides it.
# - Faces that it was not taught: profiles, masks, drawings, babies, animals.
# - Anything where more than one wrong answer in four does harm.
#
# What it is for: an avatar that smiles with you, a photo wall sorted by smiles with everybody's consent, a lesson on
# how computers see, an experiment whose subjects know of it and whose answers are checked by people.
#
# ## Before it is shipped
#
# 1. Is it allowed, and would you like to be looked at by it?
# 2. Is it judged on images like your users', whole chain, with missed faces counted as wrong? ([Judging a model
#    honestly](judging_honestly.py))
# 3. Does the screen show when it is unsure, and does nothing happen then?
# 4. What does it do with an empty file, a bomb, ten times the load, no camera?
# 5. Can anybody say, from the file alone, which data, which config and which version made this answer?
#
# To try: your own portrait in place of `HOPPER`; `NOISE = 30`; `TrackerConfig(smoothing_seconds=2)`, and look at what
# becomes of the delay; `mien serve` in a terminal and the page in a browser.
