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
# A network with a good score is one part, as an engine is one part of a car. This tutorial is about the rest: a model
# file that describes its own use, the pipeline around the network, invalid input, latency, a label that does not
# flicker, a server, and the duty to inform people.
#
# It runs offline in half a minute, needs no data, and needs `pip install '.[serve,plots]'`. All images are two
# portraits that ship with mien and with matplotlib.

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

from mien.apps.cli.first_steps import PORTRAIT
from mien.classification.classifier import Classifier
from mien.classification.face_crop import crop, crop_faces
from mien.errors import MienError
from mien.media.image import encode, read
from mien.models.card import CropRule
from mien.models.store import ModelStore
from mien.recognizer import Recognizer
from mien.structures import FrameResult
from mien.tracking import timeline, to_srt
from mien.tracking.tracker import Tracker, TrackerConfig
from mien.tutorial.figures import figure, frame_of
from mien.visualization.annotate import draw

try:
    from IPython.display import display
except ImportError:  # a plain script can't show images
    display = print

HOPPER = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"  # US Navy, 1986, public domain
happy, neutral = read(PORTRAIT), read(HOPPER)

# %% [markdown]
# ## The file describes its own use
#
# Many projects keep labels in one file, the input size in another and pixel scaling in a third; a year later nobody
# knows which belong together. mien's model file is an `.onnx` whose metadata holds a *card*: labels and their order,
# the crop rule, the calibration, the threshold below which a prediction is "unsure", and the origin of all of it.

# %%
store = ModelStore()
file = store.load("compact")
card = Classifier(file).card
print(f"{card.name}: {card.size}x{card.size} pixels, {card.channels} channel, {len(file) / 1e6:.1f} MB")
print("labels:     ", ", ".join(card.fused.labels))
print("crop rule:  ", f"{card.crop.factor} times the longer side of the face's box")
print("unsure:     ", f"below a probability of {card.fused.unsure_below:.2f}")
print("temperature:", f"{card.fused.temperature:.2f}")
print("trained on: ", card.origin.data[:60] + "...")
print("made with:  ", card.origin.made_with)
for score in card.scores:
    if (score.head, score.metric) == ("fer2013", "accuracy"):
        print("accuracy:   ", f"{score.value:.3f} on {score.count} images of {score.split}, labels of {score.head}")

# %% [markdown]
# A *seal* (a SHA-256 of the file, stored inside it) shows whether a byte was changed since the file was written. Face
# crops that don't match the card are refused. Pixels stay integers up to the graph, where scaling is a layer, so
# nobody can scale them twice or forget to.

# %%
classifier = Classifier(file)
corrupted = bytearray(file)
corrupted[len(file) // 2] ^= 1
attempts = {
    "one bit of the file changed": lambda: Classifier(bytes(corrupted)),
    "pixels scaled to floats": lambda: classifier.predict(np.zeros((1, 48, 48, 1), np.float32)),
    "a face crop of another size": lambda: classifier.predict(np.zeros((1, 64, 64, 1), np.uint8)),
    "an output head that it lacks": lambda: classifier.predict(np.zeros((1, 48, 48, 1), np.uint8), "affectnet"),
}
for name, attempt in attempts.items():
    try:
        attempt()
        print(f"{name}: accepted")
    except MienError as error:
        print(f"{name}: refused. {error}")

# %% [markdown]
# Why the crop rule belongs in the file: here is one face, cropped tighter and wider than in training. Nothing
# crashes. The probability simply drops, and with a less clear expression the label changes too.

# %%
recognizer = Recognizer.load()
face = recognizer.predict(neutral).predictions[0].face
factors = (0.6, 0.8, card.crop.factor, 1.5, 2.0, 3.0)
crops = np.stack([crop(neutral, face, CropRule(factor), card.size, card.channels) for factor in factors])
predicted = {}
for factor, probabilities in zip(factors, classifier.predict(crops), strict=True):
    predicted[factor] = card.fused.labels[int(probabilities.argmax())]
    note = "the card's" if factor == card.crop.factor else ""
    print(f"{factor:5} times the box: {predicted[factor]:8} {probabilities.max():.2f} {note}")
display(Image.fromarray(np.hstack(list(crops[..., 0]))).resize((6 * 144, 144)))
assert predicted[card.crop.factor] == "neutral"

# %% [markdown]
# ## The pipeline
#
# An image becomes a prediction in four steps. Each is a function with its own types: frame, faces, face crops,
# probabilities. `Recognizer.predict` runs all four. It is the *only* code path for the command line, the window, the
# web page and the server, so they can't disagree.

# %%
frame = read(PORTRAIT)  # uint8 (height, width, 3), RGB: 1. decode
faces = recognizer.detector.detect(frame)  # 2. detect
crops = crop_faces(frame, faces, card.crop, card.size, card.channels)  # 3. crop
probabilities = classifier.predict(crops)[0]  # 4. classify
prediction = recognizer.predict(PORTRAIT).predictions[0]
print(f"step by step: {card.fused.labels[int(probabilities.argmax())]} {probabilities.max():.4f}")
print(f"in one call:  {prediction.emotion} {prediction.probability:.4f}")
assert np.allclose(probabilities, prediction.probabilities, atol=1e-6)
display(Image.fromarray(draw(frame, [prediction])))

# %% [markdown]
# The fifth step is to *present* it. An honest prediction states its uncertainty and what may have caused it. A
# network can be confident about a face that is hardly visible, so a blurred face is `unsure` whatever the
# probability. Note the last column as well: a tiny face still gets a prediction, sometimes confident and wrong. So a
# product shows `unsure`, `reasons` and `quality_issues`, not just the label.


# %%
def blurred(radius):
    return np.asarray(Image.fromarray(neutral).filter(ImageFilter.GaussianBlur(radius)))


def resized(height):
    return np.asarray(Image.fromarray(neutral).resize((height * neutral.shape[1] // neutral.shape[0], height)))


images = {
    "original": neutral,
    "blurred, 6 pixels": blurred(6),
    "blurred, 10 pixels": blurred(10),
    "40 pixels high": resized(40),
    "a tenth as bright": (neutral * 0.1).astype(np.uint8),
    "no face": neutral[:80, -120:],
}
for name, image in images.items():
    predictions = recognizer.predict(image).predictions
    for found in predictions:
        unsure = "unsure: " + ", ".join(found.reasons) if found.unsure else "sure"
        print(f"{name:18} {found.emotion:8} {found.probability:.2f}  {unsure:18} {', '.join(found.quality_issues)}")
    if not predictions:
        print(f"{name:18} no face found, a valid result")

# %% [markdown]
# ## Invalid input
#
# Users send empty files, truncated downloads, holiday videos, and now and then a file made to break you: the PNG
# below has a few kilobytes and claims 36 million pixels. `predict` raises one kind of error (`mien.ImageError`) that
# states what was expected, what was received and what to do. `predict_many` attaches the error to that image and
# continues with the next.

# %%
bomb = Path("bomb.png")
Image.new("1", (6000, 6000)).save(bomb)
jpeg = encode(frame, "jpg")
inputs = {
    "empty": b"",
    "text": b"Dear Sir or Madam",
    "half a JPEG": jpeg[: len(jpeg) // 2],
    "a bomb": bomb.read_bytes(),
    "no such file": "holiday/IMG_0001.jpg",
    "a valid JPEG": jpeg,
}
for name, result in zip(inputs, recognizer.predict_many(inputs.values()), strict=True):
    print(f"{name:12} {result.error or result.predictions[0].emotion}")
bomb.unlink()

# %% [markdown]
# On the command line the exit code shows the same: 0 all images read, 1 some failed, 2 wrong usage, 130 interrupted.
#
# ## Latency
#
# Measure before you optimise, stage by stage, as the *median* of many rounds. The mean would include moments when the
# machine did something else, and the first call always pays for initialisation. Your figures depend on your machine;
# which stage dominates does not.


# %%
def median_ms(function, rounds=30):
    """The median time of a call in milliseconds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


stages = {
    "decode": lambda: read(PORTRAIT),
    "detect": lambda: recognizer.detector.detect(frame),
    "crop": lambda: crop_faces(frame, faces, card.crop, card.size, card.channels),
    "classify": lambda: recognizer.classifier.predict(crops),
}
stage_ms = {name: median_ms(stage) for name, stage in stages.items()}
total_ms = sum(stage_ms.values())
for name, ms in stage_ms.items():
    print(f"{name:9} {ms:6.2f} ms  {'#' * round(40 * ms / total_ms)}")
print(f"{'total':9} {total_ms:6.2f} ms; in one call {median_ms(lambda: recognizer.predict(PORTRAIT)):.2f} ms")

# %% [markdown]
# Three habits follow. Look at the largest stage first: a classifier twice as fast would hardly be noticed. Load once,
# not per image. And measure what everybody knows: batching many faces in one call is half of the art on a GPU, but
# gains little on a CPU.

# %%
many = np.repeat(crops, 64, axis=0)
single_ms = median_ms(lambda: [recognizer.classifier.predict(many[row : row + 1]) for row in range(64)], rounds=5)
batch_ms = median_ms(lambda: recognizer.classifier.predict(many), rounds=5)
load_ms = median_ms(Recognizer.load, rounds=3)
print(f"load the models:        {load_ms:7.1f} ms, once")
print(f"64 faces, one per call: {single_ms:7.1f} ms")
print(f"64 faces, one batch:    {batch_ms:7.1f} ms")

# %% [markdown]
# ## A label that does not flicker
#
# In a video each frame is classified on its own, and at the border between two expressions noise decides. Here is a
# synthetic clip of five seconds: one portrait fades into the other, with the noise of a camera in the dark. A
# `Tracker` keeps the number of each face, smooths the logits with an exponential mean over half a second, and changes
# the label only when another expression is more probable by a margin (hysteresis).

# %%
FPS, NOISE = 15, 70.0
rng = np.random.default_rng(0)
first, last = (
    crop(image, recognizer.predict(image).predictions[0].face, CropRule(2.2), 240, 3).astype(float)
    for image in (neutral, happy)
)


def frame_at(seconds):
    weight = np.clip((seconds - 1.5) / 2.0, 0, 1)
    noise = rng.normal(0, NOISE, first.shape)
    return np.clip((1 - weight) * first + weight * last + noise, 0, 255).astype(np.uint8)


timestamps = [number / FPS for number in range(5 * FPS)]
frames = [frame_at(seconds) for seconds in timestamps]
per_frame = [recognizer.predict(image).predictions for image in frames]


def tracked(config):
    tracker = Tracker(config)
    return [tracker.follow(predictions, seconds) for predictions, seconds in zip(per_frame, timestamps, strict=True)]


raw = tracked(TrackerConfig(smoothing_seconds=0, label_margin=0, unsure_margin=0))
smoothed = tracked(TrackerConfig())
display(Image.fromarray(np.hstack([frames[number] for number in (5, 37, 70)])))


# %%
def label_changes(results):
    labels = [predictions[0].emotion for predictions in results if predictions]
    return sum(before != after for before, after in pairwise(labels))


chart = figure(8, 3)
axes = chart.subplots()
for name, results, colour in (("each frame alone", raw, "#c9a27a"), ("smoothed", smoothed, "#2c63c9")):
    tracks = [(seconds, found[0]) for seconds, found in zip(timestamps, results, strict=True) if found]
    curve = [found.probability_of("happy") for _, found in tracks]
    axes.plot([seconds for seconds, _ in tracks], curve, color=colour, label=name, linewidth=1.8)
    first_happy = next(seconds for seconds, found in tracks if found.emotion == "happy")
    print(f"{name}: {label_changes(results)} label changes, first 'happy' at {first_happy:.2f} s")
axes.set(xlabel="seconds", ylabel="probability of happy", ylim=(0, 1.02))
axes.legend(loc="lower right", frameon=False)
display(Image.fromarray(frame_of(chart)))
assert label_changes(smoothed) < label_changes(raw)

# %% [markdown]
# Smoothing costs delay. Half a second feels calm; with two seconds people think that it hangs. The results over time
# form a *timeline*, here as subtitles.

# %%
results = [
    FrameResult("clip", number, seconds, predictions)
    for number, (seconds, predictions) in enumerate(zip(timestamps, smoothed, strict=True))
]
print(to_srt(timeline(results)))

# %% [markdown]
# ## Served over HTTP
#
# `mien serve` is a web page for people and an API for programs, on 127.0.0.1 by default. No image is stored or
# forwarded. Here it runs as a process of its own, as it would from a terminal.

# %%
command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--workers", "1"]
server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
line = server.stderr.readline().strip()
if not line.startswith("mien serves at "):
    raise SystemExit(f"{line}\n{server.stderr.read()}")  # such as: pip install '.[serve]'
print(line)
address = next(part for part in line.split() if part.startswith("http"))

# %% [markdown]
# The client needs no package of mien: the request body is the image, the response is JSON.


# %%
def post(image):
    with urllib.request.urlopen(urllib.request.Request(f"{address}v1/predict", image)) as response:
        return json.load(response)["faces"]


for found in post(PORTRAIT.read_bytes()):
    box = [round(value) for value in found["box"]]
    print(f"{found['emotion']} {found['probability']:.3f}, unsure: {found['unsure']}, box {box}")
    assert found["emotion"] == prediction.emotion

# %% [markdown]
# The same image gets the same prediction as above, since the server uses the same `Recognizer`. Invalid input is
# refused with a status and a code that programs can rely on, and the server continues.

# %%
for name in ("text", "half a JPEG"):
    try:
        post(inputs[name])
    except urllib.error.HTTPError as error:
        print(error.code, json.load(error)["error"])
http_ms = median_ms(lambda: post(jpeg), rounds=15)
local_ms = median_ms(lambda: recognizer.predict(jpeg), rounds=15)
print(f"one image over HTTP {http_ms:.1f} ms, in this process {local_ms:.1f} ms")

# %%
server.send_signal(signal.SIGTERM)  # like Ctrl-C: accepted requests are finished first
print("exit code", server.wait(timeout=20))
server.stderr.close()

# %% [markdown]
# A production server needs more, and mien's has it: request bodies are counted while they arrive and cut off when too
# large, images are decoded in worker processes that may crash without affecting others, and admission happens before
# a byte is read, with an immediate 503 when the queue is full. All of it, with figures: [the server](../server.md).
#
# ## The duty to inform
#
# This is no legal advice, only a starting point. The EU's AI Act (Regulation 2024/1689) states:
#
# - **Forbidden**: inferring emotions of people *at work and in education* (article 5(1)(f)), except for medical or
#   safety reasons. No notice and no consent makes it legal. In force since February 2025.
# - **Transparency**: whoever uses an emotion recognition system informs the people exposed to it, clearly and at the
#   latest at the first exposure (article 50(3) and (5)), and complies with data protection law. In force since August
#   2026.
# - **High risk**: emotion recognition that is not forbidden is listed in Annex III, 1(c), with duties for providers
#   and deployers.
# - **Scope**: a system *for identifying or inferring emotions or intentions* from biometric data (article 3(39)).
#   Merely detecting a readily apparent expression, such as a smile, is not in scope *unless it is used to infer
#   emotions* (recital 18). So your use of the prediction decides, not the network. Printing "sad" next to a face
#   invites exactly that use.
#
# That is also why every sentence of mien's output says "shows". Faces don't measure feelings: people scowl when they
# concentrate and smile when they are not glad, and what an expression means differs by person, moment and culture
# (Barrett et al. 2019, *Emotional Expressions Reconsidered*). A notice that people can understand:

# %%
NOTICE = f"""A camera here recognises the expression that your face shows, to steer the drawn face on the screen.
It knows {", ".join(card.fused.labels)}.
It does not know who you are, how old you are or what you feel. Images are processed on this machine and not kept.
It is often wrong: more than one time in four on labelled photos. If you do not want this, stay behind the line.
Contact: NAME, ADDRESS."""
print(NOTICE)
print()
print("From the model card:", card.origin.notes.partition(" Began with")[0])

# %% [markdown]
# ## What the model is not for
#
# - Decisions about people: in hiring, education, sales, policing, insurance, dating, at a border.
# - Claims about what somebody feels, means or is about to do; detecting lies, pain, illness or tiredness.
# - Groups of people for whom nobody measured it: the training data states no ages, origins or skin tones, so accuracy
#   by group is unknown, and an average hides it.
# - Faces unlike its training data: profiles, masks, drawings, babies, animals.
# - Anything where more than one wrong prediction in four does harm.
#
# What it is for: an avatar that smiles with you, a photo wall sorted by smiles with everybody's consent, a course on
# how computers see, an experiment whose subjects know of it and whose results people check.
#
# ## Before you ship it
#
# 1. Is it legal, and would you want to be its subject?
# 2. Was it evaluated on images like your users', through the whole pipeline, with missed faces counted as wrong?
#    ([Evaluating a model honestly](evaluating_honestly.py))
# 3. Does the UI show when a prediction is unsure, and does nothing happen then?
# 4. What does it do with an empty file, a decompression bomb, ten times the load, no camera?
# 5. Can anybody determine, from the file alone, which data, config and version produced this prediction?
#
# To try: your own portrait in place of `HOPPER`; `NOISE = 30`; `TrackerConfig(smoothing_seconds=2)`, and see how the
# delay changes; `mien serve` in a terminal and the page in a browser.
