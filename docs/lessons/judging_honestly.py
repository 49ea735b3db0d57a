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
# # Judging a model honestly
#
# "98 % accurate" can be true and worthless: the test images were in the training data, nine in ten had the same
# label, the faces that were not found were not counted, or it was 50 images. This lesson goes through the ways in
# which a figure misleads, one by one, and what to do about each.
#
# It judges mien's shipped model and teaches nothing; it needs `pip install 'mien[plots]'`. `MIEN_TUTORIAL_DATA=FOLDER`
# names a folder with `fer2013/` (FER2013) and `photos/` (images with a `legend.csv`). Without it the faces are
# *drawn*, which the model was never taught. It is bad at them and does not know it, and that is a good thing to learn
# to see.

# %%
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageFilter

from mien.apps.cli.demo import PORTRAIT
from mien.classification.classifier import Classifier
from mien.data import photos
from mien.data.audit import audit, copies
from mien.data.dataset import PUBLIC_TEST, Dataset
from mien.data.photos import LabelledPhotos
from mien.evaluation import plots
from mien.evaluation.bootstrap import bootstrap
from mien.evaluation.calibration import fit_vector_scaling, unsure_threshold
from mien.evaluation.evaluation import Evaluation
from mien.evaluation.inference import judge_crops, judge_photos
from mien.evaluation.metrics import judge, reliability_bins, risk_coverage
from mien.evaluation.page import report_page
from mien.evaluation.robustness import SUITE, changed_by
from mien.media.files import write_text
from mien.media.image import read, write
from mien.tutorial import data as tutorial_data
from mien.models.store import ModelStore
from mien.visualization.report.charts import alone
from mien.classification.probabilities import softmax
from mien.recognizer import Recognizer

try:
    from IPython.display import SVG, display
except ImportError:  # run as a plain script there is nothing to show on; the drawings are files besides
    SVG, display = str, print

REAL = tutorial_data.folder()
OUT = Path("judged")
print(tutorial_data.origin())


def show(name, drawing):
    """A plot as an .svg file, and on the page of a notebook."""
    write_text(OUT / f"{name}.svg", alone(drawing))
    display(SVG(str(OUT / f"{name}.svg")))


def told(name, metrics):
    low, high = metrics.accuracy_interval
    print(f"{name:27} {metrics.n:5} rows  accuracy {metrics.accuracy:.3f} ({low:.3f} to {high:.3f})", end="  ")
    print(f"macro-F1 {metrics.macro_f1:.3f}")


# %% [markdown]
# ## Leaks
#
# Data from the web holds copies: the same image twice, at another size, mirrored. When one lies in Training and the
# other in the test, the test asks what the network has seen. The drawn data has none, so a few are planted: twenty
# images of Training and twenty mirrored ones are put into the test, as the web would have done.


# %%
def joined(one, other):
    """Two parts of one data set as one."""
    truth, more = one.truths[0], other.truths[0]
    together = {
        name: np.concatenate([getattr(truth, name), getattr(more, name)]) for name in ("targets", "weights", "judged")
    }
    splits = np.concatenate([one.splits, other.splits])
    rows = np.array([str(row) for row in range(len(splits))])
    return Dataset(
        one.name, np.concatenate([one.crops, other.crops]), (replace(truth, **together),), splits, rows, one.digest
    )


training, test = tutorial_data.faces(100_000, 3_589) if REAL else tutorial_data.faces(700, 400)
if not REAL:
    planted = training.select(np.arange(40))
    planted.crops[20:] = planted.crops[20:, :, ::-1]
    test = joined(test, replace(planted, splits=np.full(40, PUBLIC_TEST)))
data = joined(training, test)
findings = audit(data, alike=0.93 if REAL else 0.99)
print(f"{data.name}: {len(training):,} to learn from, {len(test):,} to judge by")
print("found:", findings.counts())
print(f"{findings.leaked(PUBLIC_TEST)} images of the test have a copy in Training")
if not REAL:
    pairs = [group.rows for group in findings.leaks[:3] + findings.leaks[-3:]]
    stacked = [np.vstack([data.crops[row][..., 0] for row in pair[:2]]) for pair in pairs]
    display(Image.fromarray(np.hstack(stacked)).resize((576, 192)))
    assert 38 <= findings.leaked(PUBLIC_TEST) <= 42

# %% [markdown]
# What do copies do to a figure? Here is a "model" that has learnt nothing but its images by heart: it answers with
# the label of the most similar image of Training. Look at what it gets on the copies, and what is left without
# them. (`mien data audit DATA --out DIR` does this for your data, with a page to look at and a list of rows to leave
# out: `mien train --without`.)

# %%
truth = test.truths[0]
nearest = copies(test.crops, training.crops, alike=0.93 if REAL else 0.99)
by_heart = np.eye(len(truth.labels))[training.truths[0].answers[nearest.nearest]]
copied = nearest.found
for name, rows in (("all", copied | True), ("without the copies", ~copied), ("the copies alone", copied)):
    told(f"by heart, {name}", judge(by_heart[rows], truth.answers[rows], truth.labels))
classifier = Classifier(ModelStore().load("compact"))
judged = judge_crops(classifier, test)
for name, rows in (("all", copied | True), ("without the copies", ~copied), ("the copies alone", copied)):
    told(f"compact, {name}", judged.report_on(rows).metrics)

# %% [markdown]
# On FER2013, 511 of the 3,589 images of PublicTest have a copy in Training. Learnt by heart "reads" 0.43 of all,
# 0.92 of the copies and 0.35 of the others; mien's network 0.72, 0.87 and 0.69. So even an honest network gains
# nearly three points. The fairer figure is the one without the copies; published accuracies of FER2013 are with
# them, so mien gives both.
#
# ## How sure is the figure itself?
#
# A test is a sample: other images of the same kind would have given another figure. For a share there is a formula
# (Wilson 1927); for the mean of F1s there is none, so the rows are *drawn again and again* with repetition, and the
# middle 95 % of what comes out is the interval (the bootstrap, Efron 1979). Watch how wide it is with 100 images.

# %%
dice = np.random.default_rng(0)
for count in (50, 100, 200, len(judged)):
    chosen = np.zeros(len(judged), np.bool_)
    chosen[dice.choice(len(judged), count, replace=False)] = True
    metrics = judged.report_on(chosen).metrics
    drawn = bootstrap(metrics)
    print(
        f"{count:5} rows: accuracy {metrics.accuracy:.3f} ({drawn.accuracy[0]:.3f} to {drawn.accuracy[1]:.3f})",
        end="  ",
    )
    print(f"macro-F1 {metrics.macro_f1:.3f} ({drawn.macro_f1[0]:.3f} to {drawn.macro_f1[1]:.3f})")

# %% [markdown]
# The macro-F1 of few rows does not lie in the middle of its interval: a rare label that a draw leaves out counts 0.
# That alone says that it can't be trusted yet.
#
# An interval speaks of *chance alone*: not of other cameras, other people, wrong labels, nor of the many times that
# one has looked at this very test and changed something. What choices were made on judges too kindly; keep a part
# that nothing was ever chosen on. Two models on the same rows need no two intervals but one, of their difference:
# `mien evaluate --model A --model B`.
#
# ## Accuracy hides the rare
#
# Users' images are mostly neutral or happy. Here is the test with a tenth of all labels but one, and a "model" that
# always says that one.

# %%
answers, common = truth.answers, int(np.bincount(truth.answers).argmax())
kept = (answers == common) | (np.arange(len(answers)) % 10 == 0)
always = np.tile(np.eye(len(truth.labels))[common], (kept.sum(), 1))
told(f"always {truth.labels[common]}", judge(always, answers[kept], truth.labels))
told("compact", judged.report_on(kept).metrics)

# %% [markdown]
# Macro-F1 is the mean of each label's own F1, so a rare label counts as much as a common one and who never says it
# gets 0 for it. Below, all rows again, label by label. A recall of few rows has a wide interval: read it before the
# figure.

# %% tags=["public"]
for score in judged.metrics.per_class:
    share = f"{score.recall:.2f} ({plots.interval_of(score.recall, score.count):>15})"
    print(f"{score.label:9} {score.count:5} rows  recall {share}  precision {score.precision:.2f}")
show("confusion", plots.confusion(judged.metrics))

# %% [markdown]
# ## Does it know how sure to be?
#
# A model that says 0.9 should be right nine times in ten. The *reliability diagram* holds the one against the other:
# bars that end on the dashed line keep their promise, red is missing. ECE is the mean gap. Dividing the logits by a
# *temperature* changes no answer, only how sure they are; *vector scaling*, a scale and an offset for each label's
# logits, mends labels that are not all as much to be believed (both Guo et al. 2017). They are fitted on one half and
# judged on the other: on its own half every fit looks good.

# %% tags=["public"]
head = classifier.card.head(truth.head)
logits = classifier.logits(test.crops)[head.name]
first = np.arange(len(test)) % 2 == 0
fitted = fit_vector_scaling(logits[first], answers[first])
print(f"temperature in the card: {head.temperature:.2f}; fitted on half of these images: {fitted[0]:.2f}")
for name, calibration in (("as-shipped", (head.temperature, head.offsets, head.scales)), ("fitted", fitted)):
    rows = softmax(logits[~first], *calibration)
    metrics = judge(rows, answers[~first], truth.labels)
    print(f"{name:10} accuracy {metrics.accuracy:.3f}  ECE {metrics.ece:.3f}  NLL {metrics.nll:.3f}")
    show(f"reliability-{name}", plots.reliability(reliability_bins(rows, answers[~first], bins=10)))

# %% [markdown]
# Calibration belongs to a *kind of images*, not to a model for ever. On FER2013's own PublicTest, where the card's
# temperature and scales were fitted, there is nothing to mend; on photos the same model is too sure by 8 points, and
# on drawings far more.
#
# ## "Unsure" is an answer
#
# Withhold the answers under a threshold, and those that stay are better: the *risk-coverage curve* (El-Yaniv and
# Wiener 2010; Geifman and El-Yaniv 2017). The threshold is the lowest that keeps a promise on one half; whether it
# keeps it on the other is the test.

# %% tags=["public"]
PROMISE = 0.10 if REAL else 0.60
calibrated = softmax(logits, *fitted)
threshold = unsure_threshold(calibrated[first], answers[first], PROMISE)
curve = risk_coverage(calibrated[~first], answers[~first])
sure = calibrated[~first].max(axis=1) >= threshold
wrong = calibrated[~first].argmax(axis=1) != answers[~first]
print(f"promise: at most {PROMISE:.0%} of the sure answers wrong; so sure begins at {threshold:.2f}")
kept_promise = f"{wrong[sure].mean():.1%} of them wrong" if sure.any() else "none left"
print(f"other half: all answers {wrong.mean():.1%} wrong; {sure.mean():.1%} are sure, {kept_promise}")
show("risk-and-coverage", plots.risk_and_coverage(curve, threshold))

# %% [markdown]
# If the curve were flat, the model would not know what it does not know, and no threshold would help.
#
# ## The whole chain
#
# Users have photos, not faces cut out. A face that is not found gets no answer, and who only judges the faces found
# has left out the hardest. `judge_photos` counts a missed face as *wrong*. Without photos of your own, two portraits
# are spoilt here in a dozen ways.


# %%
def spoilt(folder):
    """Two portraits turned, darkened, blurred and shrunk, with what each shows."""
    hopper = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    named = []
    for source, expression in ((PORTRAIT, "happy"), (hopper, "neutral")):
        image = Image.fromarray(read(source))
        ways = {f"turned-{angle}": image.rotate(angle) for angle in (0, 20, 45, 90, 180)}
        ways |= {f"blurred-{radius}": image.filter(ImageFilter.GaussianBlur(radius)) for radius in (4, 10, 16)}
        ways |= {f"height-{side}": image.resize((side * image.width // image.height, side)) for side in (24, 40, 80)}
        ways |= {
            f"brightness-{brightness}": image.point(lambda level, brightness=brightness: level * brightness)
            for brightness in (0.3, 0.1, 0.02)
        }
        for way, changed in ways.items():
            path = folder / f"{expression}-{way}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, np.asarray(changed))
            named.append((path, expression))
    return LabelledPhotos(*zip(*named, strict=True))


real_photos = REAL is not None and (REAL / "photos").is_dir()
labelled = photos.read(REAL / "photos") if real_photos else spoilt(OUT / "photos")
recognizer = Recognizer.load()
whole = judge_photos(recognizer, labelled, leave_out=["disgust"] if real_photos else [])
print(f"{len(whole)} photos, {whole.report.missed} without a face found")
told("missed faces are wrong", whole.metrics)
told("missed faces left out", whole.report_on(whole.found).metrics)
assert whole.metrics.accuracy <= whole.report_on(whole.found).metrics.accuracy

# %% [markdown]
# ## Who pays for the average?
#
# An average hides its parts. Which groups of *people* a model reads how well can't be told from data that names no
# ages, origins or skin tones, and it must not be guessed. Groups of *images* can be told: by the size of the face,
# by how far it is turned away, by what happened to the face crop.

# %%
sides = np.array([face.box.side if face else np.nan for face in whole.faces])
away = np.array([face is not None and face.turned_away for face in whole.faces])
cuts = np.nanquantile(sides, (1 / 3, 2 / 3))
groups = {
    f"faces under {cuts[0]:.0f} px": sides < cuts[0],
    "between": (sides >= cuts[0]) & (sides < cuts[1]),
    f"from {cuts[1]:.0f} px": sides >= cuts[1],
    "facing the camera": whole.found & ~away,
    "turned away": away,
}
for name, rows in groups.items():
    if rows.any():
        told(name, whole.report_on(rows).metrics)

# %%
some = test.select(np.arange(min(len(test), 1000 if REAL else 200)))
told("face crops as they are", judge_crops(classifier, some).metrics)
for corruption in (one for one in SUITE if one.kind in {"blur", "noise", "small", "covered"}):
    told(
        f"{corruption.kind}: {corruption.step}",
        judge_crops(classifier, replace(some, crops=changed_by(corruption, some.crops))).metrics,
    )

# %% [markdown]
# ## All of it on one page
#
# `mien evaluate` writes these figures and plots, the surest mistakes as images, and what can't be told from them:
#
# ```
# mien evaluate --data fer2013.csv --split PublicTest --out report   # face crops; --model RUN for your own
# mien evaluate --data PHOTOS --photos --out report                  # the whole chain
# mien bench robustness fer2013.csv                                  # all 27 ways to spoil a face crop
# ```

# %%
evaluation = Evaluation((judged,), lambda row: test.crops[judged.rows[row]])
write_text(OUT / "report.html", report_page(evaluation, copied[judged.rows]))
print(f"{OUT / 'report.html'}: open it in a browser")

# %% [markdown]
# ## What to ask of any figure
#
# 1. On which images, how many, and from where? Were any of them, or copies, learnt from?
# 2. Was anything chosen on them: an epoch, a threshold, a crop, the figure itself out of many?
# 3. What does "always the commonest" reach there? What does one person reach? (On FER2013 about 65 %.)
# 4. What is the interval, and the figure for the rarest label?
# 5. Were faces that were not found counted?
# 6. Does the probability mean what it says, on *these* images?
# 7. For whom and for what was it never measured?
#
# To try: plant 200 copies; `PROMISE = 0.05`; photos of your own in folders by expression
# (`mien.data.photos.read`).
