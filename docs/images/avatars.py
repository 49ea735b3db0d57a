"""Draws docs/images/avatars.png: the avatar of each expression in three strengths, and blends of two.

Run from the root: ``python docs/images/avatars.py``.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.emotions import Emotion
from mien.visualization.avatar import pose
from mien.visualization.avatar.styles import avatar_image

EXPRESSIONS = (
    Emotion.HAPPY,
    Emotion.SURPRISE,
    Emotion.FEAR,
    Emotion.SAD,
    Emotion.DISGUST,
    Emotion.ANGRY,
    Emotion.NEUTRAL,
)
STRENGTHS = (0.35, 0.65, 1.0)
CELL_PX, TITLE_PX = 132, 30
GROUND = (250, 250, 252)


def rows() -> list[tuple[str, list[dict[str, float]]]]:
    """The title and the probabilities of each row of the sheet."""
    strong = [
        (
            f"{share:.0%}",
            [{one: share, Emotion.NEUTRAL: 1 - share} for one in EXPRESSIONS[:-1]] + [{Emotion.NEUTRAL: 1.0}],
        )
        for share in STRENGTHS
    ]
    blends = [{one: 0.5, other: 0.5} for one, other in pairwise(EXPRESSIONS)]
    return [*strong, ("blends", [*blends, {EXPRESSIONS[-2]: 0.5, EXPRESSIONS[0]: 0.5}])]


def main() -> None:
    """Draws the sheet."""
    table = rows()
    sheet = Image.new("RGB", (CELL_PX * len(EXPRESSIONS), (CELL_PX + TITLE_PX) * len(table)), GROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for row, (title, blends) in enumerate(table):
        top = row * (CELL_PX + TITLE_PX)
        for column, blend in enumerate(blends):
            shares = {label: share for label, share in blend.items() if share > 0}
            face = Image.fromarray(avatar_image(pose(list(shares), list(shares.values())), CELL_PX - 8))
            sheet.paste(face, (column * CELL_PX + 4, top + TITLE_PX), face)
            caption = f"{EXPRESSIONS[column]} {title}" if row < len(STRENGTHS) else " + ".join(shares)
            pen.text(
                (column * CELL_PX + CELL_PX / 2, top + TITLE_PX / 2), caption, fill=(60, 64, 72), font=font, anchor="mm"
            )
    sheet.quantize(255).save(Path(__file__).with_name("avatars.png"), optimize=True)
    print(f"{np.array(sheet).shape[1]} pixels wide")  # noqa: T201 - a script for people


if __name__ == "__main__":
    main()
