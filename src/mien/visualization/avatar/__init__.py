"""The avatar: a drawn face posed by the probabilities of expressions.

Each expression has a ``Pose``. Probabilities blend the poses, so the face moves smoothly and shows the strength of an
expression. ``shapes`` turns a pose into filled and stroked outlines in the unit square (x to the right, y down),
independent of any toolkit: a window, the web page and a video frame paint the same list.
"""

from mien.visualization.avatar.outlines import INK, WHITE, Colour, Points, Shape, shapes
from mien.visualization.avatar.poses import POSES, Pose, pose

__all__ = ["INK", "POSES", "WHITE", "Colour", "Points", "Pose", "Shape", "pose", "shapes"]
