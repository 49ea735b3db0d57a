"""The drawn face as an SVG document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.visualization.avatar.outlines import hex_of, shapes

if TYPE_CHECKING:
    from mien.visualization.avatar.poses import Pose


def to_svg(pose: Pose, size: int = 256) -> str:
    """The face as an SVG document with a transparent ground, ``size`` pixels wide and high."""
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" viewBox="0 0 1000 1000">']
    for shape in shapes(pose):
        points = " ".join(f"{1000 * x:.4g},{1000 * y:.4g}" for x, y in shape.points)
        kind = "polyline" if shape.fill is None else "polygon"
        fill = hex_of(shape.fill) if shape.fill else "none"
        line = f'<{kind} points="{points}" fill="{fill}"'
        if shape.stroke is not None:
            line += f' stroke="{hex_of(shape.stroke)}" stroke-width="{1000 * shape.width:.4g}"'
            line += ' stroke-linecap="round" stroke-linejoin="round"'
        lines.append(line + "/>")
    return "\n".join([*lines, "</svg>"])
