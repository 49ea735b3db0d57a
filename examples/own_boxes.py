"""Classifies a face whose box is known: python examples/own_boxes.py IMAGE LEFT TOP RIGHT BOTTOM"""

import sys

import mien

image, *edges = sys.argv[1:]
box = mien.Box(*map(float, edges))
result = mien.Recognizer.load().predict(image, boxes=[box])
(prediction,) = result.predictions
for label, probability in zip(prediction.labels, prediction.probabilities, strict=True):
    print(f"{label:10}{probability:.3f}")
