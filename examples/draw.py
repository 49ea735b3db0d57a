"""Annotates the faces of an image: python examples/draw.py IMAGE DRAWN.png"""

import sys
from pathlib import Path

import mien
from mien.media.image import read, write
from mien.visualization.annotate import draw

image, drawn = sys.argv[1:]
frame = read(image)
result = mien.Recognizer.load().predict(frame)
write(Path(drawn), draw(frame, result.predictions))
print(f"{len(result.predictions)} faces annotated: {drawn}")
