/** Quality issues of a face, as mien/classification/quality.py measures them. */

import { sideOf } from "./boxes.js";
import description from "./description.js";
import { sum } from "./numbers.js";
import { sharesOf } from "./images.js";

const { BLUR_RADIUS_PX, MIN_BRIGHTNESS, MIN_FACE_PX, MIN_SHARPNESS, ROUNDING_VARIANCE, SIDE_PX } = description.quality;

const POWERS = Array.from({ length: 2 * BLUR_RADIUS_PX + 1 }, (_, at) => Math.exp(-((at - BLUR_RADIUS_PX) ** 2) / 2));
const KERNEL = POWERS.map((power) => power / sum(POWERS));

/** "small", "blurred", "dark": those that are so. */
export function qualityIssues(face, crop) {
  const grey = judged(crop);
  const found = [];
  if (sideOf(face.box) < MIN_FACE_PX) found.push("small");
  if (sharpness(grey) < MIN_SHARPNESS) found.push("blurred");
  if (meanOf(grey) < MIN_BRIGHTNESS) found.push("dark");
  return found;
}

/** How much of the edges one pixel more of blur takes away, whatever the contrast: 0 where there are none. */
function sharpness(grey) {
  return Math.max(edges(grey) - ROUNDING_VARIANCE, 0) / Math.max(edges(blurred(grey)), 1e-6);
}

/** The face crop as grey numbers at the side that all are judged at. */
function judged({ width, height, channels, data }) {
  const grey = new Float32Array(width * height);
  for (let at = 0; at < data.length; at += 1) grey[Math.floor(at / channels)] += data[at] / channels;
  if (width === SIDE_PX && height === SIDE_PX) return grey;
  const shares = sharesOf(SIDE_PX, width, (place) => {
    const [start, end] = [(place * width) / SIDE_PX, ((place + 1) * width) / SIDE_PX];
    return [start, end, (pixel) => Math.min(pixel + 1, end) - Math.max(pixel, start)];
  });
  const out = new Float32Array(SIDE_PX * SIDE_PX);
  for (let y = 0; y < SIDE_PX; y += 1) {
    for (let x = 0; x < SIDE_PX; x += 1) {
      shares.weights[y].forEach((down, row) =>
        shares.weights[x].forEach((across, column) => {
          out[y * SIDE_PX + x] += down * across * grey[(shares.first[y] + row) * width + shares.first[x] + column];
        }),
      );
    }
  }
  return out;
}

/** The variance of the Laplacian within the border. */
function edges(grey) {
  const found = [];
  for (let y = BLUR_RADIUS_PX; y < SIDE_PX - BLUR_RADIUS_PX; y += 1) {
    for (let x = BLUR_RADIUS_PX; x < SIDE_PX - BLUR_RADIUS_PX; x += 1) {
      const at = y * SIDE_PX + x;
      found.push(grey[at - 1] + grey[at + 1] + grey[at - SIDE_PX] + grey[at + SIDE_PX] - 4 * grey[at]);
    }
  }
  const mean = meanOf(found);
  return meanOf(found.map((value) => (value - mean) ** 2));
}

/** A Gaussian of one pixel, the border mirrored without its edge, as OpenCV's. */
function blurred(grey) {
  const across = smoothed(grey, 1, SIDE_PX);
  return smoothed(across, SIDE_PX, 1);
}

/** Along rows or columns: how far apart two pixels of one are, and how far two of them. */
function smoothed(values, step, next) {
  const within = (at) => (at < 0 ? -at : at >= SIDE_PX ? 2 * SIDE_PX - 2 - at : at);
  const out = new Float32Array(values.length);
  for (let line = 0; line < SIDE_PX; line += 1) {
    for (let at = 0; at < SIDE_PX; at += 1) {
      let total = 0;
      for (let away = -BLUR_RADIUS_PX; away <= BLUR_RADIUS_PX; away += 1) {
        total += KERNEL[away + BLUR_RADIUS_PX] * values[line * next + within(at + away) * step];
      }
      out[line * next + at * step] = total;
    }
  }
  return out;
}

function meanOf(values) {
  return sum(values) / values.length;
}
