"""Reads a face whose place you know already: python examples/own_boxes.py IMAGE LEFT TOP RIGHT BOTTOM"""

import sys

import mien

image, *edges = sys.argv[1:]
box = mien.Box(*map(float, edges))
result = mien.Recognizer.load().predict(image, boxes=[box])
for label, probability in zip(result.predictions[0].labels, result.predictions[0].probabilities, strict=True):
    print(f"{label:10}{probability:.3f}")
