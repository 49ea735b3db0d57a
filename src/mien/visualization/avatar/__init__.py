"""Probabilities become a drawn face: numbers that pose it, and shapes that any painter can paint.

Each expression has a ``Pose``; probabilities blend the poses, so that the face moves smoothly and shows how strong
an expression is. ``shapes`` turns a pose into filled and stroked outlines in the unit square (x to the right,
y down), without a toolkit: a window, an SVG and a video frame all paint the same list.
"""

from mien.visualization.avatar.outlines import INK, WHITE, Colour, Points, Shape, shapes
from mien.visualization.avatar.poses import POSES, Pose, pose
from mien.visualization.avatar.svg import to_svg

__all__ = ["INK", "POSES", "WHITE", "Colour", "Points", "Pose", "Shape", "pose", "shapes", "to_svg"]
