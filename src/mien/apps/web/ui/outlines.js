/**
 * A posed face as outlines to paint, in the unit square: mien/visualization/avatar/outlines.py, shape for shape.
 *
 * A shape is {points: [[x, y], ...], fill: [r, g, b] | null, stroke: [r, g, b] | null, width}. Where there is a fill
 * the outline is closed. A test holds both files to the same outlines.
 */

import constants from "../inference/constants.js";
import { clamp, roundEven } from "../inference/image.js";

const {
  INK, WHITE, MOUTH, TONGUE, BLUSH, CHILL, WATER, STEAM, HEAD, FACE, EYE_OFFSET_X, EYE_Y, EYE_WIDE, EYE_HIGH, MOUTH_Y,
  MOUTH_WIDE, STEAM_PUFFS, MIN_VISIBLE_SHARE,
} = constants.outlines;
const { PI } = Math;
const SIDES = [-1, 1];

/** The face as shapes to paint in this order, all inside the unit square. */
export function shapes(pose) {
  return [
    ...steam(pose),
    ...head(pose),
    ...SIDES.flatMap((side) => [...cheek(pose, side), ...eye(pose, side), brow(pose, side)]),
    ...nose(pose),
    ...mouth(pose),
    ...drops(pose),
  ];
}

/** A colour as SVG writes it. */
export function hexOf(colour) {
  return `#${colour.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
}

function filled(points, fill) {
  return { points, fill, stroke: null, width: 0 };
}

function stroked(points, stroke, width) {
  return { points, fill: null, stroke, width };
}

function* head(pose) {
  const [x, y, radius] = HEAD;
  const skin = rgb(pose.skin);
  yield filled(ellipse(x, y, radius, radius, 96), mix(skin, INK, 0.2));
  yield filled(ellipse(...FACE, 96), skin);
  const chill = visibleAmount(pose.chill);
  if (chill) yield* forehead(skin, chill);
  const turn = -0.7;
  const glint = ellipse(0, 0, 0.062, 0.036).map(([a, b]) => [
    x - 0.2 + a * Math.cos(turn) - b * Math.sin(turn),
    y - 0.26 + a * Math.sin(turn) + b * Math.cos(turn),
  ]);
  yield filled(glint, mix(skin, WHITE, 0.45));
}

function* forehead(skin, chill) {
  const [x, y, halfWidth, halfHeight] = FACE;
  for (const [deep, share] of [[0.86, 0.2], [0.68, 0.36], [0.5, 0.55]]) {
    const reach = Math.acos(1 - deep * chill);
    const level = y - halfHeight * Math.cos(reach);
    const edge = halfWidth * Math.sin(reach);
    const sagging = steps(12, -12, 12).map((t) => [x + edge * t, level + 0.03 * chill * (1 - t * t)]);
    yield filled([...arc(FACE, -PI / 2 - reach, -PI / 2 + reach), ...sagging], mix(skin, CHILL, share * chill));
  }
}

function* cheek(pose, side) {
  if (pose.blush > 0.02) {
    const colour = mix(rgb(pose.skin), BLUSH, 0.5 * Math.min(pose.blush, 1));
    yield filled(ellipse(0.5 + side * 0.255, 0.615, 0.062, 0.042), colour);
  }
}

function* eye(pose, side) {
  const x = 0.5 + side * EYE_OFFSET_X;
  const halfHeight = EYE_HIGH * pose.eye_open;
  const halfWidth = EYE_WIDE * (0.6 + 0.4 * pose.eye_open);

  // t runs from -1 at the nose to 1 at the temple
  const ball = (t) => halfHeight * Math.sqrt(Math.max(1 - t * t, 0));
  const top = (t) => {
    const lid = EYE_Y - halfHeight + 2 * halfHeight * pose.lid + pose.lid_tilt * 0.45 * halfHeight * t;
    return Math.min(Math.max(EYE_Y - ball(t), lid), EYE_Y + ball(t));
  };
  const bottom = (t) => top(t) + (EYE_Y + ball(t) - top(t)) * (1 - pose.squint);
  const along = (edge) => steps(-20, 20, 40).map((share) => {
    const t = Math.sin(PI * share);
    return [x + side * halfWidth * t, edge(t)];
  });

  const lid = along(top);
  if (pose.lid > 0.02) {
    const skin = rgb(pose.skin);
    yield filled(ellipse(x, EYE_Y, halfWidth, halfHeight, 40), mix(skin, INK, 0.12));
    yield filled([...lid, ...along((t) => EYE_Y + ball(t)).reverse()], skin);
  }
  yield filled([...lid, ...along(bottom).reverse()], WHITE);
  yield* pupil(pose, x, (px) => top(((px - x) * side) / halfWidth), (px) => bottom(((px - x) * side) / halfWidth));
  yield stroked(lid, INK, 0.02 + 0.008 * pose.squint);
}

function* pupil(pose, eyeX, top, bottom) {
  const x = eyeX + 0.028 * pose.gaze_x;
  const y = EYE_Y + 0.034 * pose.gaze_y + 0.004;
  const radius = 0.06 * pose.pupil;
  for (const [right, down, size, colour] of [[0, 0, 1, INK], [-0.3, -0.38, 0.34, WHITE], [0.38, 0.4, 0.16, WHITE]]) {
    const points = clipped(x + right * radius, y + down * radius, size * radius, top, bottom);
    if (points.length) yield filled(points, colour);
  }
}

function brow(pose, side) {
  const lift = 0.062 * pose.brow_raise + pose.asymmetry * (side > 0 ? 0.055 : -0.012);
  const middle = EYE_Y - 0.155 - lift;
  const points = steps(-8, 8, 8).map((t) => [
    0.5 + side * (0.152 + 0.082 * t),
    middle + 0.05 * pose.brow_tilt * t - 0.034 * pose.brow_arch * (1 - t * t),
  ]);
  return stroked(points, INK, 0.032);
}

function* nose(pose) {
  const wrinkle = visibleAmount(pose.nose_wrinkle);
  if (!wrinkle) return;
  const colour = mix(rgb(pose.skin), INK, 0.6);
  for (const [y, halfWidth] of [[0.5, 0.032], [0.535, 0.042]]) {
    yield stroked(steps(-2, 2, 2).map((t) => [0.5 + wrinkle * halfWidth * t, y + 0.014 * t * t]), colour, 0.013 * wrinkle);
  }
}

function* mouth(pose) {
  const halfWidth = MOUTH_WIDE * pose.mouth_width;
  const share = clamp(0.5 - 0.62 * pose.mouth_curve, 0, 1); // of the opening that lies above the line of the mouth

  // t runs from -1 at the left corner to 1 at the right one
  const line = (t) => {
    const wave = 0.016 * pose.mouth_wave * Math.sin(2.5 * PI * t);
    const smirk = pose.asymmetry * 0.06 * Math.max(t + 0.35, 0) ** 2;
    return MOUTH_Y + 0.085 * pose.mouth_curve * (0.55 - t * t) + wave - smirk;
  };
  const gape = (t) => 0.2 * pose.mouth_open * Math.sqrt(Math.max(1 - t * t, 0));

  const opening = new Opening(halfWidth, (t) => line(t) - share * gape(t), (t) => line(t) + (1 - share) * gape(t));
  const lips = opening.along(0);
  if (pose.mouth_open > 0.02) {
    const chin = opening.along(1).reverse();
    yield filled([...lips, ...chin], MOUTH);
    yield* inMouth(pose, opening);
    yield stroked([...lips, ...chin, lips[0]], INK, 0.022);
  } else {
    yield stroked(lips, INK, 0.026);
  }
  yield* tongue(pose, opening);
}

/** Half the width of a mouth, and the y of its upper and lower lip at t from -1 (left) to 1 (right). */
class Opening {
  constructor(halfWidth, upper, lower) {
    Object.assign(this, { halfWidth, upper, lower });
  }

  /** A point from the upper lip (depth 0) to the lower one (1). */
  at(t, depth) {
    return [0.5 + this.halfWidth * t, this.upper(t) + depth * (this.lower(t) - this.upper(t))];
  }

  along(depth) {
    return steps(-24, 24, 48).map((share) => this.at(Math.sin(PI * share), depth));
  }
}

function* inMouth(pose, opening) {
  if (pose.mouth_open > 0.5) {
    const across = (x) => (x - 0.5) / opening.halfWidth;
    const y = opening.lower(0) + 0.015;
    const upper = (x) => opening.upper(across(x));
    const lower = (x) => opening.lower(across(x));
    yield filled(clipped(0.5, y, 0.6 * opening.halfWidth, upper, lower), TONGUE);
  }
  if (pose.teeth > 0.02) {
    yield filled([...opening.along(0), ...opening.along(Math.min(pose.teeth, 1)).reverse()], WHITE);
  }
  if (pose.teeth > 0.6) {
    for (const t of [-0.6, -0.2, 0.2, 0.6]) {
      yield stroked([opening.at(t, 0), opening.at(t, 1)], mix(WHITE, INK, 0.35), 0.01);
    }
  }
}

function* tongue(pose, opening) {
  const out = visibleAmount(pose.tongue);
  if (!out) return;
  const half = 0.068;
  const root = 0.4 * opening.upper(0) + 0.6 * opening.lower(0);
  const tip = opening.lower(0) + 0.105 * out;
  const halfHeight = Math.min(0.07, tip - root);
  const sides = [[0.5 + half, root], ...arc([0.5, tip - halfHeight, half, halfHeight], 0, PI), [0.5 - half, root]];
  yield filled(sides, TONGUE);
  yield stroked(sides, INK, 0.018);
  yield stroked([[0.5, root + 0.012], [0.5, tip - 0.045 * out]], mix(TONGUE, MOUTH, 0.55), 0.012);
}

function* drops(pose) {
  for (const [amount, x, y, size] of [
    [pose.tear, 0.5 + EYE_OFFSET_X + 0.035, 0.655, 0.052],
    [pose.sweat, 0.165, 0.36, 0.056],
  ]) {
    const drop = visibleAmount(amount) * size;
    if (!drop) continue;
    const points = [...arc([x, y, drop, drop], -0.5, PI + 0.5), [x, y - 2.1 * drop]];
    yield { points, fill: WATER, stroke: mix(WATER, INK, 0.3), width: 0.012 };
    yield filled(ellipse(x - 0.35 * drop, y + 0.1 * drop, 0.2 * drop, 0.3 * drop, 16), WHITE);
  }
}

function* steam(pose) {
  const size = visibleAmount(pose.steam);
  if (!size) return;
  const puffs = SIDES.flatMap((side) => STEAM_PUFFS.map(([x, y, radius]) => [0.5 + side * x, y, radius * size]));
  for (const [x, y, radius] of puffs) yield filled(ellipse(x, y, radius, radius), mix(STEAM, INK, 0.3));
  for (const [x, y, radius] of puffs) yield filled(ellipse(x, y, 0.8 * radius, 0.8 * radius), STEAM);
}

/** first / divisor, ..., last / divisor, in steps of 1 / divisor. */
function steps(first, last, divisor) {
  const by = Math.sign(last - first);
  return Array.from({ length: Math.abs(last - first) + 1 }, (_, step) => (first + by * step) / divisor);
}

function ellipse(x, y, halfWidth, halfHeight, count = 32) {
  return arc([x, y, halfWidth, halfHeight], 0, 2 * PI, count);
}

/** Points on an ellipse [x, y, half width, half height] between two angles, clockwise from the right. */
function arc([x, y, halfWidth, halfHeight], start, end, count = 32) {
  return Array.from({ length: count + 1 }, (_, step) => {
    const angle = start + ((end - start) * step) / count;
    return [x + halfWidth * Math.cos(angle), y + halfHeight * Math.sin(angle)];
  });
}

/** The part of a disc between two curves. */
function clipped(x, y, radius, top, bottom) {
  const columns = [];
  for (const share of steps(-16, 16, 32)) {
    const reach = Math.sin(PI * share);
    const at = x + radius * reach;
    // at the rim 1 - reach² can fall slightly below 0
    const half = radius * Math.sqrt(Math.max(1 - reach * reach, 0));
    const upper = Math.max(y - half, top(at));
    const lower = Math.min(y + half, bottom(at));
    if (upper <= lower) columns.push([at, upper, lower]);
  }
  if (columns.length < 2) return [];
  return [...columns.map(([at, upper]) => [at, upper]), ...columns.reverse().map(([at, , lower]) => [at, lower])];
}

/** How large a tear or the like is drawn, 0 to 1, growing smoothly from nothing. */
function visibleAmount(amount) {
  const share = clamp((amount - MIN_VISIBLE_SHARE) / (1 - MIN_VISIBLE_SHARE), 0, 1);
  return share * (2 - share);
}

function rgb(colour) {
  return colour.map((channel) => roundEven(clamp(channel, 0, 255)));
}

function mix(first, second, ratio) {
  return first.map((channel, index) => roundEven(channel + (second[index] - channel) * ratio));
}
