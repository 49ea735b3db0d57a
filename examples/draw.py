"""Draws what a picture's faces show: python examples/draw.py PICTURE DRAWN.png"""

import sys
from pathlib import Path

import mien
from mien.media.image import read, write
from mien.visualization.annotate import draw

picture, drawn = sys.argv[1:]
frame = read(picture)
result = mien.Recognizer.load().predict(frame)
write(Path(drawn), draw(frame, result.predictions))
print(f"{len(result.predictions)} faces drawn: {drawn}")
