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
# # How computers see
#
# An image is a grid of numbers. This tutorial follows them through a network: a convolution that responds to an edge,
# an activation that drops negative values, pooling that discards the exact place, and a softmax that turns logits
# into probabilities. Then it opens a trained network that recognises expressions and shows which parts of a face
# support its prediction.
#
# It runs offline in about a minute and needs `pip install '.[plots]'`.

# %%
import numpy as np

from mien.apps.cli.first_steps import PORTRAIT
from mien.media.image import read
from mien.tutorial.activation import cross_entropy, one_hot, relu, softmax
from mien.tutorial.convolution import average_pooling, convolve, max_pooling, steps
from mien.tutorial.figures import convolution_step

try:
    from IPython.display import display
except ImportError:  # a plain script can't show images
    display = print

from PIL import Image

# %% [markdown]
# ## An image is numbers
#
# 0 is black, 255 is white. Here is a portrait, and eight by eight pixels of it.

# %%
portrait = read(PORTRAIT)
grey = portrait.mean(axis=2)
print(portrait.shape, portrait.dtype)
print(np.rint(grey[100:108, 200:208]).astype(int))
display(Image.fromarray(portrait))

# %% [markdown]
# ## A kernel responds to one pattern
#
# Sobel's kernel subtracts the left neighbours from the right ones. On an even area the sum is 0; at a vertical edge
# it is large. The kernel slides over the image. At each place the products are summed, and the sums form the *feature
# map*.

# %%
kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
image = np.zeros((6, 7))
image[:, 3:] = 1
for step in list(steps(image, kernel))[:5]:
    print(f"row {step.row}, column {step.column}: {step.total:+.0f}")
display(Image.fromarray(convolution_step(image, kernel, 2)))

# %% [markdown]
# Padding "same" adds zeros around the image, so the map keeps its size. A stride of 2 halves it.

# %%
for stride, padding in ((1, "valid"), (1, "same"), (2, "same")):
    print(f"stride {stride}, {padding:5}: {image.shape} -> {convolve(image, kernel, stride, padding).shape}")

# %% [markdown]
# On the portrait the same kernel finds the sides of the face. A network has hundreds of kernels; nobody designs them,
# training finds them.

# %%
small = np.asarray(Image.fromarray(portrait).convert("L").resize((96, 96)), float)
feature_map = convolve(small, kernel, padding="same")
display(Image.fromarray(np.clip(128 + feature_map / 4, 0, 255).astype(np.uint8)).resize((288, 288)))

# %% [markdown]
# ## Activation and pooling
#
# ReLU drops negative values: an edge from bright to dark is left to another kernel. Pooling keeps the maximum of each
# window (or the mean): that something is there matters more than exactly where.

# %%
activated = relu(feature_map)
pooled = max_pooling(activated, 4)
print(f"{feature_map.shape}: {np.mean(feature_map < 0):.0%} negative; after ReLU none; pooled: {pooled.shape}")
assert (pooled >= average_pooling(activated, 4)).all()

# %% [markdown]
# ## From logits to a prediction
#
# The last layer outputs one logit per expression. Softmax turns logits into probabilities. Cross-entropy measures how
# far these are from the true label: it is 0 for a confident correct prediction, and grows without bound for a
# confident wrong one.

# %%
labels = ("happy", "sad", "neutral")
logits = np.array([[2.0, -1.0, 0.5]])
probabilities = softmax(logits)
for class_id, label in enumerate(labels):
    loss = cross_entropy(one_hot(np.array([class_id]), 3), probabilities)[0]
    print(f"{label:8} {probabilities[0, class_id]:.2f}   loss if this is the true label: {loss:.2f}")

# %% [markdown]
# ## A whole network, and an explanation of its prediction
#
# mien's default model does all this with 1.2 million trained parameters. Occlusion hides one place after another and
# measures how the prediction changes: warm places support it.

# %%
from mien.explain import Occlusion, explain
from mien.explain.overlay import side_by_side
from mien.models.store import ModelStore
from mien.detection import find_detector
from mien.recognizer import Recognizer

store = ModelStore()
occlusion = Occlusion(store.load("compact"))
recognizer = Recognizer(find_detector("auto", store), occlusion.classifier)
for explanation in explain(recognizer, portrait, [occlusion]):
    print(f"{explanation.label} {explanation.prediction.probability:.0%}")
    for part in explanation.maps[0].parts:
        print(f"  {part.name:16} {part.share:.0%}")
    display(Image.fromarray(side_by_side(explanation)))

# %% [markdown]
# The prediction names the expression *shown*. What a person feels is not in the image.
#
# To try: another kernel (rotate Sobel's by 90 degrees), your own image in place of `PORTRAIT`, `explain(..., "sad")`.
