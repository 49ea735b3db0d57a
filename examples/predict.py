"""Names the expression that each face in an image shows: python examples/predict.py IMAGE..."""

import sys

import mien

recognizer = mien.Recognizer.load()
for result in recognizer.predict_many(sys.argv[1:]):
    if result.error or not result.predictions:
        print(f"{result.source}: {result.error or 'no face found'}")
    for face in result.predictions:
        sure = "perhaps " if face.unsure else ""
        print(f"{result.source}: {sure}{face.emotion} ({face.probability:.0%})")
