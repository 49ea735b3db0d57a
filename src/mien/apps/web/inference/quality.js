/** What may spoil the reading of a face: mien/quality.py. */

import { sideOf } from "./boxes.js";
import description from "./description.js";
import { sum } from "./numbers.js";
import { sharesOf } from "./images.js";

const { BLURRED, DARK, RADIUS, ROUNDING, SIDE, SMALL } = description.quality;

const POWERS = Array.from({ length: 2 * RADIUS + 1 }, (_, at) => Math.exp(-((at - RADIUS) ** 2) / 2));
const KERNEL = POWERS.map((power) => power / sum(POWERS));

/** "small", "blurred", "dark": those that are so. */
export function qualityIssues(face, crop) {
  const grey = judged(crop);
  const found = [];
  if (sideOf(face.box) < SMALL) found.push("small");
  if (sharpness(grey) < BLURRED) found.push("blurred");
  if (meanOf(grey) < DARK) found.push("dark");
  return found;
}

/** How much of the edges one pixel more of blur takes away, whatever the contrast: 0 where there are none. */
function sharpness(grey) {
  return Math.max(edges(grey) - ROUNDING, 0) / Math.max(edges(blurred(grey)), 1e-6);
}

/** The face crop as grey numbers at the side that all are judged at. */
function judged({ width, height, channels, data }) {
  const grey = new Float32Array(width * height);
  for (let at = 0; at < data.length; at += 1) grey[Math.floor(at / channels)] += data[at] / channels;
  if (width === SIDE && height === SIDE) return grey;
  const shares = sharesOf(SIDE, width, (place) => {
    const [start, end] = [(place * width) / SIDE, ((place + 1) * width) / SIDE];
    return [start, end, (pixel) => Math.min(pixel + 1, end) - Math.max(pixel, start)];
  });
  const out = new Float32Array(SIDE * SIDE);
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      shares.weights[y].forEach((down, row) =>
        shares.weights[x].forEach((across, column) => {
          out[y * SIDE + x] += down * across * grey[(shares.first[y] + row) * width + shares.first[x] + column];
        }),
      );
    }
  }
  return out;
}

/** The variance of the Laplacian within the border. */
function edges(grey) {
  const found = [];
  for (let y = RADIUS; y < SIDE - RADIUS; y += 1) {
    for (let x = RADIUS; x < SIDE - RADIUS; x += 1) {
      const at = y * SIDE + x;
      found.push(grey[at - 1] + grey[at + 1] + grey[at - SIDE] + grey[at + SIDE] - 4 * grey[at]);
    }
  }
  const mean = meanOf(found);
  return meanOf(found.map((value) => (value - mean) ** 2));
}

/** A Gaussian of one pixel, the border mirrored without its edge, as OpenCV's. */
function blurred(grey) {
  const across = smoothed(grey, 1, SIDE);
  return smoothed(across, SIDE, 1);
}

/** Along rows or columns: how far apart two pixels of one are, and how far two of them. */
function smoothed(values, step, next) {
  const within = (at) => (at < 0 ? -at : at >= SIDE ? 2 * SIDE - 2 - at : at);
  const out = new Float32Array(values.length);
  for (let line = 0; line < SIDE; line += 1) {
    for (let at = 0; at < SIDE; at += 1) {
      let total = 0;
      for (let away = -RADIUS; away <= RADIUS; away += 1) {
        total += KERNEL[away + RADIUS] * values[line * next + within(at + away) * step];
      }
      out[line * next + at * step] = total;
    }
  }
  return out;
}

function meanOf(values) {
  return sum(values) / values.length;
}
