"""Draws what a picture's faces show: python examples/draw.py PICTURE DRAWN.png"""

import sys
from pathlib import Path

import mien
from mien.drawing import draw
from mien.images import read, write

picture, drawn = sys.argv[1:]
frame = read(picture)
result = mien.Recognizer.load().predict(frame)
write(Path(drawn), draw(frame, result.predictions))
print(f"{len(result.predictions)} faces drawn: {drawn}")
