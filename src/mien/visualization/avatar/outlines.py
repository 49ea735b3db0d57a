"""A posed face as outlines in the unit square."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mien.visualization.avatar.poses import Pose

Colour: TypeAlias = tuple[int, int, int]
Points: TypeAlias = tuple[tuple[float, float], ...]

INK: Colour = (66, 40, 38)
WHITE: Colour = (255, 255, 255)
MOUTH: Colour = (122, 38, 46)
TONGUE: Colour = (240, 112, 122)
BLUSH: Colour = (250, 110, 98)
CHILL: Colour = (116, 146, 214)
WATER: Colour = (92, 178, 242)
STEAM: Colour = (226, 232, 240)

HEAD = (0.5, 0.53, 0.4)  # x, y, radius
FACE = (0.5, 0.519, 0.396, 0.386)  # x, y, half width, half height: leaves a rim of shade below
EYE_OFFSET_X, EYE_Y, EYE_WIDE, EYE_HIGH = 0.148, 0.475, 0.084, 0.1
MOUTH_Y, MOUTH_WIDE = 0.71, 0.19
STEAM_PUFFS = (
    (0.34, 0.2, 0.042),
    (0.375, 0.135, 0.06),
    (0.43, 0.105, 0.05),
    (0.428, 0.165, 0.045),
)  # x from the middle
MIN_VISIBLE_SHARE = 0.15
"""Tears, sweat and the like appear from this share on, so that traces of an expression leave the face clean."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One outline in the unit square; joins and caps of strokes are round.

    Attributes:
        points: x and y of each vertex; curves are sampled.
        fill: RGB of the interior, or None; a filled outline is closed.
        stroke: RGB of the line, or None.
        width: of the line.
    """

    points: Points
    fill: Colour | None = None
    stroke: Colour | None = None
    width: float = 0.0


def hex_of(colour: Colour) -> str:
    """A colour in the notation of HTML, SVG and Tk: #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def shapes(pose: Pose) -> tuple[Shape, ...]:
    """The outlines of a face in painting order, all inside the unit square."""
    return (
        *_steam(pose),
        *_head(pose),
        *(shape for side in (-1, 1) for shape in (*_cheek(pose, side), *_eye(pose, side), _brow(pose, side))),
        *_nose(pose),
        *_mouth(pose),
        *_drops(pose),
    )


def _head(pose: Pose) -> Iterator[Shape]:
    x, y, radius = HEAD
    skin = _rgb(pose.skin)
    yield Shape(_ellipse(x, y, radius, radius, 96), _mix(skin, INK, 0.2))
    yield Shape(_ellipse(*FACE, 96), skin)
    chill = _shown(pose.chill)
    if chill:
        yield from _forehead(skin, chill)
    turn = -0.7
    glint = _ellipse(0.0, 0.0, 0.062, 0.036)
    turned = ((a * math.cos(turn) - b * math.sin(turn), a * math.sin(turn) + b * math.cos(turn)) for a, b in glint)
    yield Shape(tuple((x - 0.2 + a, y - 0.26 + b) for a, b in turned), _mix(skin, WHITE, 0.45))


def _forehead(skin: Colour, chill: float) -> Iterator[Shape]:
    x, y, wide, high = FACE
    for deep, share in ((0.86, 0.2), (0.68, 0.36), (0.5, 0.55)):
        reach = math.acos(1 - deep * chill)
        arc = _arc(FACE, -math.pi / 2 - reach, -math.pi / 2 + reach)
        steps = [step / 12 for step in range(12, -13, -1)]
        level, edge, sag = y - high * math.cos(reach), wide * math.sin(reach), 0.03 * chill
        yield Shape(
            (*arc, *((x + edge * t, level + sag * (1 - t * t)) for t in steps)), _mix(skin, CHILL, share * chill)
        )


def _cheek(pose: Pose, side: int) -> Iterator[Shape]:
    if pose.blush > 0.02:
        colour = _mix(_rgb(pose.skin), BLUSH, 0.5 * min(pose.blush, 1.0))
        yield Shape(_ellipse(0.5 + side * 0.255, 0.615, 0.062, 0.042), colour)


def _eye(pose: Pose, side: int) -> Iterator[Shape]:
    x, high = 0.5 + side * EYE_OFFSET_X, EYE_HIGH * pose.eye_open
    wide = EYE_WIDE * (0.6 + 0.4 * pose.eye_open)

    # t runs from -1 at the nose to 1 at the temple
    def ball(t: float) -> float:
        return high * math.sqrt(max(1 - t * t, 0.0))

    def top(t: float) -> float:
        lid = EYE_Y - high + 2 * high * pose.lid + pose.lid_tilt * 0.45 * high * t
        return min(max(EYE_Y - ball(t), lid), EYE_Y + ball(t))

    def bottom(t: float) -> float:
        return top(t) + (EYE_Y + ball(t) - top(t)) * (1 - pose.squint)

    def along(edge: Callable[[float], float]) -> Points:
        return tuple((x + side * wide * t, edge(t)) for t in (math.sin(math.pi * step / 40) for step in range(-20, 21)))

    lid = along(top)
    if pose.lid > 0.02:
        skin = _rgb(pose.skin)
        yield Shape(_ellipse(x, EYE_Y, wide, high, 40), _mix(skin, INK, 0.12))
        yield Shape((*lid, *reversed(along(lambda t: EYE_Y + ball(t)))), skin)
    yield Shape((*lid, *reversed(along(bottom))), WHITE)
    yield from _pupil(pose, x, lambda px: top((px - x) * side / wide), lambda px: bottom((px - x) * side / wide))
    yield Shape(lid, stroke=INK, width=0.02 + 0.008 * pose.squint)


def _pupil(pose: Pose, eye: float, top: Callable[[float], float], bottom: Callable[[float], float]) -> Iterator[Shape]:
    x, y, radius = eye + 0.028 * pose.gaze_x, EYE_Y + 0.034 * pose.gaze_y + 0.004, 0.06 * pose.pupil
    for right, down, size, colour in ((0.0, 0.0, 1.0, INK), (-0.3, -0.38, 0.34, WHITE), (0.38, 0.4, 0.16, WHITE)):
        points = _clipped(x + right * radius, y + down * radius, size * radius, top, bottom)
        if points:
            yield Shape(points, colour)


def _brow(pose: Pose, side: int) -> Shape:
    lift = 0.062 * pose.brow_raise + pose.asymmetry * (0.055 if side > 0 else -0.012)
    middle = EYE_Y - 0.155 - lift
    steps = [step / 8 for step in range(-8, 9)]
    points = tuple(
        (
            0.5 + side * (0.152 + 0.082 * t),
            middle + 0.05 * pose.brow_tilt * t - (0.034 * pose.brow_arch) * (1 - t * t),
        )
        for t in steps
    )
    return Shape(points, stroke=INK, width=0.032)


def _nose(pose: Pose) -> Iterator[Shape]:
    wrinkle = _shown(pose.nose_wrinkle)
    if wrinkle:
        colour = _mix(_rgb(pose.skin), INK, 0.6)
        for y, wide in ((0.5, 0.032), (0.535, 0.042)):
            points = tuple((0.5 + wrinkle * wide * t, y + 0.014 * t * t) for t in (-1, -0.5, 0, 0.5, 1))
            yield Shape(points, stroke=colour, width=0.013 * wrinkle)


def _mouth(pose: Pose) -> Iterator[Shape]:
    wide = MOUTH_WIDE * pose.mouth_width
    share = min(max(0.5 - 0.62 * pose.mouth_curve, 0.0), 1.0)  # of the opening that lies above the line of the mouth

    # t runs from -1 at the left corner to 1 at the right one
    def line(t: float) -> float:
        wave = 0.016 * pose.mouth_wave * math.sin(2.5 * math.pi * t)
        smirk = pose.asymmetry * 0.06 * max(t + 0.35, 0.0) ** 2
        return MOUTH_Y + 0.085 * pose.mouth_curve * (0.55 - t * t) + wave - smirk

    def gape(t: float) -> float:
        return 0.2 * pose.mouth_open * math.sqrt(max(1 - t * t, 0.0))

    mouth = _Mouth(wide, lambda t: line(t) - share * gape(t), lambda t: line(t) + (1 - share) * gape(t))
    lips = mouth.along(0.0)
    if pose.mouth_open > 0.02:
        chin = mouth.along(1.0)[::-1]
        yield Shape((*lips, *chin), MOUTH)
        yield from _in_mouth(pose, mouth)
        yield Shape((*lips, *chin, lips[0]), stroke=INK, width=0.022)
    else:
        yield Shape(lips, stroke=INK, width=0.026)
    yield from _tongue(pose, mouth)


@dataclass(frozen=True, slots=True)
class _Mouth:
    """Half its width, and the y of its upper and lower lip at t from -1 (left) to 1 (right)."""

    wide: float
    upper: Callable[[float], float]
    lower: Callable[[float], float]

    def at(self, t: float, depth: float) -> tuple[float, float]:
        """A point from the upper lip (depth 0) to the lower one (1)."""
        return 0.5 + self.wide * t, self.upper(t) + depth * (self.lower(t) - self.upper(t))

    def along(self, depth: float) -> Points:
        return tuple(self.at(math.sin(math.pi * step / 48), depth) for step in range(-24, 25))


def _in_mouth(pose: Pose, mouth: _Mouth) -> Iterator[Shape]:
    if pose.mouth_open > 0.5:
        y, radius = mouth.lower(0) + 0.015, 0.6 * mouth.wide
        yield Shape(
            _clipped(
                0.5,
                y,
                radius,
                lambda x: mouth.upper((x - 0.5) / mouth.wide),
                lambda x: mouth.lower((x - 0.5) / mouth.wide),
            ),
            TONGUE,
        )
    if pose.teeth > 0.02:
        yield Shape((*mouth.along(0.0), *mouth.along(min(pose.teeth, 1.0))[::-1]), WHITE)
    if pose.teeth > 0.6:
        for t in (-0.6, -0.2, 0.2, 0.6):
            yield Shape((mouth.at(t, 0.0), mouth.at(t, 1.0)), stroke=_mix(WHITE, INK, 0.35), width=0.01)


def _tongue(pose: Pose, mouth: _Mouth) -> Iterator[Shape]:
    out = _shown(pose.tongue)
    if out:
        half, root = 0.068, 0.4 * mouth.upper(0) + 0.6 * mouth.lower(0)
        tip = mouth.lower(0) + 0.105 * out
        high = min(0.07, tip - root)
        sides = ((0.5 + half, root), *_arc((0.5, tip - high, half, high), 0.0, math.pi), (0.5 - half, root))
        yield Shape(sides, TONGUE)
        yield Shape(sides, stroke=INK, width=0.018)
        yield Shape(((0.5, root + 0.012), (0.5, tip - 0.045 * out)), stroke=_mix(TONGUE, MOUTH, 0.55), width=0.012)


def _drops(pose: Pose) -> Iterator[Shape]:
    for amount, x, y, size in ((pose.tear, 0.5 + EYE_OFFSET_X + 0.035, 0.655, 0.052), (pose.sweat, 0.165, 0.36, 0.056)):
        drop = _shown(amount) * size
        if drop:
            round_part = _arc((x, y, drop, drop), -0.5, math.pi + 0.5)
            yield Shape((*round_part, (x, y - 2.1 * drop)), WATER, _mix(WATER, INK, 0.3), 0.012)
            yield Shape(_ellipse(x - 0.35 * drop, y + 0.1 * drop, 0.2 * drop, 0.3 * drop, 16), WHITE)


def _steam(pose: Pose) -> Iterator[Shape]:
    size = _shown(pose.steam)
    if size:
        puffs = [(0.5 + side * x, y, r * size) for side in (-1, 1) for x, y, r in STEAM_PUFFS]
        yield from (Shape(_ellipse(x, y, radius, radius), _mix(STEAM, INK, 0.3)) for x, y, radius in puffs)
        yield from (Shape(_ellipse(x, y, 0.8 * radius, 0.8 * radius), STEAM) for x, y, radius in puffs)


def _ellipse(x: float, y: float, wide: float, high: float, count: int = 32) -> Points:
    return _arc((x, y, wide, high), 0.0, math.tau, count)


def _arc(ellipse: tuple[float, float, float, float], start: float, end: float, count: int = 32) -> Points:
    """Points on an ellipse (x, y, half width, half height) between two angles, clockwise from the right."""
    x, y, wide, high = ellipse
    angles = (start + (end - start) * step / count for step in range(count + 1))
    return tuple((x + wide * math.cos(angle), y + high * math.sin(angle)) for angle in angles)


def _clipped(
    x: float, y: float, radius: float, top: Callable[[float], float], bottom: Callable[[float], float]
) -> Points:
    """The part of a disc between two curves."""
    columns = []
    for step in range(-16, 17):
        reach = math.sin(math.pi * step / 32)
        at, half = x + radius * reach, radius * math.sqrt(1 - reach * reach)
        upper, lower = max(y - half, top(at)), min(y + half, bottom(at))
        if upper <= lower:
            columns.append((at, upper, lower))
    if len(columns) < 2:
        return ()
    return (*((at, upper) for at, upper, _ in columns), *((at, lower) for at, _, lower in reversed(columns)))


def _shown(amount: float) -> float:
    """How large a tear or the like is drawn, 0 to 1, growing smoothly from nothing."""
    share = min(max((amount - MIN_VISIBLE_SHARE) / (1 - MIN_VISIBLE_SHARE), 0.0), 1.0)
    return share * (2 - share)


def _rgb(colour: tuple[float, float, float]) -> Colour:
    red, green, blue = (round(min(max(channel, 0.0), 255.0)) for channel in colour)
    return red, green, blue


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
