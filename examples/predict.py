"""Prints the expression of each face in images: python examples/predict.py IMAGE..."""

import sys

import mien

recognizer = mien.Recognizer.load()
for result in recognizer.predict_many(sys.argv[1:]):
    if result.error or not result.predictions:
        print(f"{result.source}: {result.error or 'no face found'}")
    for prediction in result.predictions:
        unsure = "unsure: " if prediction.unsure else ""
        print(f"{result.source}: {unsure}{prediction.emotion} ({prediction.probability:.0%})")
