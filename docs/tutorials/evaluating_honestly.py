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
# # Evaluating a model honestly
#
# "98 % accurate" can be true and worthless: the test images were in the training data, nine in ten had the same
# label, missed faces were not counted, or there were 50 images. This tutorial goes through the ways in which a figure
# misleads, one by one, and what to do about each.
#
# It evaluates mien's shipped model and trains nothing; it needs `pip install '.[plots,opencv]'`.
# `MIEN_TUTORIAL_DATA=FOLDER` names a folder with `fer2013/` (FER2013) and `photos/` (images with a `legend.csv`).
# Without it the faces are *synthetic*, and the model was never trained on those. It is bad at them and confident all
# the same, which is worth seeing once.

# %%
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageFilter

from mien.apps.cli.first_steps import PORTRAIT
from mien.classification.classifier import Classifier
from mien.classification.probabilities import softmax
from mien.data.audit import audit
from mien.data.dataset import PUBLIC_TEST, Dataset
from mien.data.duplicates import find_duplicates
from mien.data.folders import LabelledPhotos, read_photos
from mien.evaluation import plots
from mien.evaluation.bootstrap import bootstrap
from mien.evaluation.calibration import fit_vector_scaling, unsure_threshold
from mien.evaluation.evaluate import Evaluation, evaluate_crops, evaluate_photos
from mien.evaluation.html_report import report_page
from mien.evaluation.metrics import compute_metrics, reliability_bins, risk_coverage
from mien.evaluation.robustness import SUITE, corrupt
from mien.media.files import write_text
from mien.media.image import read, write
from mien.models.store import ModelStore
from mien.recognizer import Recognizer
from mien.tutorial import data as tutorial_data
from mien.visualization.report.charts import alone

try:
    from IPython.display import SVG, display
except ImportError:  # a plain script can't show images; the plots are saved as files as well
    SVG, display = str, print

REAL = tutorial_data.folder()
OUT = Path("evaluation")
print(tutorial_data.origin())


def show(name, plot):
    """Saves a plot as an .svg file and shows it in a notebook."""
    write_text(OUT / f"{name}.svg", alone(plot))
    display(SVG(str(OUT / f"{name}.svg")))


def print_metrics(name, metrics):
    low, high = metrics.accuracy_interval
    print(f"{name:27} {metrics.n:5} rows  accuracy {metrics.accuracy:.3f} ({low:.3f} to {high:.3f})", end="  ")
    print(f"macro-F1 {metrics.macro_f1:.3f}")


# %% [markdown]
# ## Leaks
#
# Data from the web contains duplicates: the same image twice, in another size, mirrored. If one copy is in Training
# and the other in the test split, the test measures memory. The synthetic data has none, so a few are planted: twenty
# images of Training and twenty mirrored ones are added to the test split, as the web would have done.


# %%
def concatenate(first, second):
    """Two data sets with the same labels as one."""
    truth, other = first.truths[0], second.truths[0]
    fields = ("targets", "weights", "evaluated")
    arrays = {name: np.concatenate([getattr(truth, name), getattr(other, name)]) for name in fields}
    splits = np.concatenate([first.splits, second.splits])
    crops = np.concatenate([first.crops, second.crops])
    rows = np.array([str(row) for row in range(len(splits))])
    return Dataset(first.name, crops, (replace(truth, **arrays),), splits, rows, first.digest)


training, test = tutorial_data.faces(100_000, 3_589) if REAL else tutorial_data.faces(700, 400)
if not REAL:
    planted = training.select(np.arange(40))
    planted.crops[20:] = planted.crops[20:, :, ::-1]
    test = concatenate(test, replace(planted, splits=np.full(40, PUBLIC_TEST)))
data = concatenate(training, test)
findings = audit(data, similarity=0.93 if REAL else 0.99)
print(f"{data.name}: {len(training):,} images in Training, {len(test):,} in the test split")
print("audit:", findings.counts())
print(f"{findings.leaked(PUBLIC_TEST)} images of the test have a copy in Training")
if not REAL:
    pairs = [group.rows for group in findings.leaks[:3] + findings.leaks[-3:]]
    stacked = [np.vstack([data.crops[row][..., 0] for row in pair[:2]]) for pair in pairs]
    display(Image.fromarray(np.hstack(stacked)).resize((576, 192)))
    assert 38 <= findings.leaked(PUBLIC_TEST) <= 42

# %% [markdown]
# What do duplicates do to a figure? Here is a "model" that only memorises: it predicts the label of the most similar
# training image. Compare its accuracy on the duplicates and without them. (`mien data audit DATA --out DIR` does this
# for your data, with a report to look at and a list of rows for `mien train --exclude`.)

# %%
truth = test.truths[0]
duplicates = find_duplicates(test.crops, training.crops, similarity=0.93 if REAL else 0.99)
memorised = np.eye(len(truth.labels))[training.truths[0].class_ids[duplicates.nearest]]
copied = duplicates.found
subsets = {"all": np.ones_like(copied), "without copies": ~copied, "copies only": copied}
for name, rows in subsets.items():
    print_metrics(f"memorised, {name}", compute_metrics(memorised[rows], truth.class_ids[rows], truth.labels))
classifier = Classifier(ModelStore().load("compact"))
evaluated = evaluate_crops(classifier, test)
for name, rows in subsets.items():
    print_metrics(f"compact, {name}", evaluated.report_on(rows).metrics)

# %% [markdown]
# On FER2013, 511 of the 3,589 images of PublicTest have a copy in Training. Memorising reaches 0.43 on all images,
# 0.92 on the copies and 0.35 on the others; mien's network reaches 0.72, 0.87 and 0.69. So even an honest network
# gains nearly three points. The fairer figure is the one without copies. Published accuracies on FER2013 include
# them, so mien reports both.
#
# ## Confidence intervals
#
# A test split is a sample: other images of the same kind would give another figure. For a proportion there is a
# formula (Wilson 1927). For macro-F1 there is none, so the rows are *resampled* with replacement many times, and the
# middle 95 % of the results is the interval (the bootstrap, Efron 1979). See how wide it is with 100 images.

# %%
rng = np.random.default_rng(0)
for count in (50, 100, 200, len(evaluated)):
    chosen = np.zeros(len(evaluated), np.bool_)
    chosen[rng.choice(len(evaluated), count, replace=False)] = True
    metrics = evaluated.report_on(chosen).metrics
    intervals = bootstrap(metrics)
    (low, high), (f1_low, f1_high) = intervals.accuracy, intervals.macro_f1
    print(f"{count:5} rows: accuracy {metrics.accuracy:.3f} ({low:.3f} to {high:.3f})", end="  ")
    print(f"macro-F1 {metrics.macro_f1:.3f} ({f1_low:.3f} to {f1_high:.3f})")

# %% [markdown]
# With few rows, macro-F1 does not lie in the middle of its interval: a rare label that is missing from a resample
# counts 0. That alone shows that the figure is not reliable yet.
#
# An interval covers *chance* only: not other cameras, other people or wrong labels, and not the many times that
# somebody looked at this very test split and changed something. Data used for choices gives optimistic figures; keep
# a part on which nothing was ever chosen. Two models on the same rows need one interval, of their difference: `mien
# evaluate --model A --model B`.
#
# ## Accuracy hides rare classes
#
# Users' images are mostly neutral or happy. Here is the test split with only a tenth of the rows of all labels but
# one, and a "model" that always predicts that one.

# %%
targets = truth.class_ids
majority = int(np.bincount(targets).argmax())
imbalanced = (targets == majority) | (np.arange(len(targets)) % 10 == 0)
always = np.tile(np.eye(len(truth.labels))[majority], (imbalanced.sum(), 1))
print_metrics(f"always {truth.labels[majority]}", compute_metrics(always, targets[imbalanced], truth.labels))
print_metrics("compact", evaluated.report_on(imbalanced).metrics)

# %% [markdown]
# Macro-F1 is the mean of the per-class F1 scores. A rare class counts as much as a common one, and a model that never
# predicts it gets 0 for it. Below are all rows again, class by class. Recall from few rows has a wide interval: read
# it before the figure.

# %% tags=["public"]
for score in evaluated.metrics.per_class:
    recall = f"{score.recall:.2f} ({plots.interval_of(score.recall, score.count):>15})"
    print(f"{score.label:9} {score.count:5} rows  recall {recall}  precision {score.precision:.2f}")
show("confusion", plots.confusion(evaluated.metrics))

# %% [markdown]
# ## Calibration
#
# A model that predicts 0.9 should be correct nine times in ten. The *reliability diagram* compares the two: bars that
# end on the dashed line are calibrated, red is the gap. ECE is the mean gap. Dividing the logits by a *temperature*
# changes no label, only the confidence. *Vector scaling*, a scale and an offset per label, corrects labels that are
# over- or underconfident by different amounts (both Guo et al. 2017). They are fitted on one half and evaluated on
# the other: on its own half every fit looks good.

# %% tags=["public"]
head = classifier.card.head(truth.head)
logits = classifier.logits(test.crops)[head.name]
fit_half = np.arange(len(test)) % 2 == 0
test_half = ~fit_half
fitted = fit_vector_scaling(logits[fit_half], targets[fit_half])
print(f"temperature in the card: {head.temperature:.2f}; fitted on half of these images: {fitted[0]:.2f}")
for name, calibration in (("as-shipped", (head.temperature, head.offsets, head.scales)), ("fitted", fitted)):
    probabilities = softmax(logits[test_half], *calibration)
    metrics = compute_metrics(probabilities, targets[test_half], truth.labels)
    print(f"{name:10} accuracy {metrics.accuracy:.3f}  ECE {metrics.ece:.3f}  NLL {metrics.nll:.3f}")
    show(f"reliability-{name}", plots.reliability(reliability_bins(probabilities, targets[test_half], bins=10)))

# %% [markdown]
# Calibration belongs to a *kind of images*, not to a model for ever. On FER2013's own PublicTest, where the card's
# temperature and scales were fitted, nothing is left to correct. On photos the same model is overconfident by 8
# points, and on drawings by far more.
#
# ## "Unsure" is a valid output
#
# Withhold predictions below a threshold, and the remaining ones are better: the *risk-coverage curve* (El-Yaniv and
# Wiener 2010; Geifman and El-Yaniv 2017). The threshold is the lowest that keeps a promise on one half; the other
# half tests it.

# %% tags=["public"]
MAX_RISK = 0.10 if REAL else 0.60
calibrated = softmax(logits, *fitted)
threshold = unsure_threshold(calibrated[fit_half], targets[fit_half], MAX_RISK)
curve = risk_coverage(calibrated[test_half], targets[test_half])
sure = calibrated[test_half].max(axis=1) >= threshold
wrong = calibrated[test_half].argmax(axis=1) != targets[test_half]
print(f"promise: at most {MAX_RISK:.0%} of the sure predictions wrong, with threshold {threshold:.2f}")
risk = f"{wrong[sure].mean():.1%} of them wrong" if sure.any() else "none left"
print(f"other half: {wrong.mean():.1%} of all predictions wrong; {sure.mean():.1%} are sure, {risk}")
show("risk-and-coverage", plots.risk_and_coverage(curve, threshold))

# %% [markdown]
# If the curve were flat, confidence would not separate errors from correct predictions, and no threshold would
# help.
#
# ## The whole pipeline
#
# Users have photos, not face crops. A face that is not detected gets no prediction, and evaluating only detected
# faces leaves out the hardest ones. `evaluate_photos` counts a missed face as *wrong*. Without photos of your own,
# two portraits are degraded here in a dozen ways.


# %%
def degraded_photos(folder):
    """Two portraits rotated, blurred, shrunk and darkened, with their labels."""
    hopper = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    folder.mkdir(parents=True, exist_ok=True)
    photos = []
    for source, label in ((PORTRAIT, "happy"), (hopper, "neutral")):
        image = Image.fromarray(read(source))
        versions = {f"rotated-{angle}": image.rotate(angle) for angle in (0, 20, 45, 90, 180)}
        versions |= {f"blurred-{radius}": image.filter(ImageFilter.GaussianBlur(radius)) for radius in (4, 10, 16)}
        versions |= {f"height-{px}": image.resize((px * image.width // image.height, px)) for px in (24, 40, 80)}
        versions |= {
            f"brightness-{factor}": image.point(lambda level, factor=factor: level * factor)
            for factor in (0.3, 0.1, 0.02)
        }
        for name, version in versions.items():
            write(folder / f"{label}-{name}.png", np.asarray(version))
            photos.append((folder / f"{label}-{name}.png", label))
    return LabelledPhotos(*zip(*photos, strict=True))


real_photos = REAL is not None and (REAL / "photos").is_dir()
photos = read_photos(REAL / "photos") if real_photos else degraded_photos(OUT / "photos")
recognizer = Recognizer.load()
pipeline = evaluate_photos(recognizer, photos, exclude_labels=["disgust"] if real_photos else [])
detected_only = pipeline.report_on(pipeline.found).metrics
print(f"{len(pipeline)} photos, {pipeline.report.missed} without a face found")
print_metrics("missed faces count as wrong", pipeline.metrics)
print_metrics("detected faces only", detected_only)
assert pipeline.metrics.accuracy <= detected_only.accuracy

# %% [markdown]
# ## Slices
#
# An average hides its parts. Accuracy by group of *people* can't be computed from data that states no ages, origins
# or skin tones, and these must not be guessed. Slices of *images* can be computed: by the size of the face, by how
# far it is turned away, by corruption of the face crop.

# %%
face_px = np.array([face.box.side if face else np.nan for face in pipeline.faces])
turned_away = np.array([face is not None and face.turned_away for face in pipeline.faces])
small, large = np.nanquantile(face_px, (1 / 3, 2 / 3))
slices = {
    f"faces under {small:.0f} px": face_px < small,
    f"{small:.0f} to {large:.0f} px": (face_px >= small) & (face_px < large),
    f"from {large:.0f} px": face_px >= large,
    "facing the camera": pipeline.found & ~turned_away,
    "turned away": turned_away,
}
for name, rows in slices.items():
    if rows.any():
        print_metrics(name, pipeline.report_on(rows).metrics)

# %%
subset = test.select(np.arange(min(len(test), 1000 if REAL else 200)))
print_metrics("no corruption", evaluate_crops(classifier, subset).metrics)
for corruption in SUITE:
    if corruption.kind in {"blur", "noise", "resolution", "occlusion"}:
        corrupted = replace(subset, crops=corrupt(corruption, subset.crops))
        print_metrics(f"{corruption.kind}: {corruption.step}", evaluate_crops(classifier, corrupted).metrics)

# %% [markdown]
# ## The report
#
# `mien evaluate` writes these figures and plots, the most confident errors as images, and what the figures can't
# show:
#
# ```
# mien evaluate --data fer2013.csv --split PublicTest --out report   # face crops; --model RUN for your own
# mien evaluate --data PHOTOS --photos --out report                  # the whole pipeline
# mien bench robustness fer2013.csv                                  # all 27 corruptions
# ```

# %%
evaluation = Evaluation((evaluated,), lambda row: test.crops[evaluated.rows[row]])
write_text(OUT / "report.html", report_page(evaluation, copied[evaluated.rows]))
print(f"{OUT / 'report.html'}: open it in a browser")

# %% [markdown]
# ## Questions for any figure
#
# 1. On which images, how many, and from where? Were any of them, or copies, in the training data?
# 2. Was anything chosen on them: an epoch, a threshold, a crop, the figure itself out of many?
# 3. What does "always the most common class" reach there? What does one person reach? (On FER2013 about 65 %.)
# 4. What is the interval, and the figure for the rarest class?
# 5. Were missed faces counted?
# 6. Are the probabilities calibrated on *these* images?
# 7. For whom and for what was it never measured?
#
# To try: plant 200 copies; `MAX_RISK = 0.05`; your own photos in folders by expression
# (`mien.data.folders.read_photos`).
