"""Reads a face whose place you know already: python examples/own_boxes.py PICTURE LEFT TOP RIGHT BOTTOM"""

import sys

import mien

picture, *edges = sys.argv[1:]
box = mien.Box(*map(float, edges))
result = mien.Recognizer.load().predict(picture, boxes=[box])
for label, probability in zip(result.predictions[0].labels, result.predictions[0].probabilities, strict=True):
    print(f"{label:10}{probability:.3f}")
