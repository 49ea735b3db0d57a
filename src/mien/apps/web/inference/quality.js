/** Image quality of a face crop: mien/classification/quality.py. */

import { sideOf } from "./boxes.js";
import constants from "./constants.js";
import { areaWeights } from "./image.js";
import { sum } from "./probabilities.js";

const { BLURRED, DARK, RADIUS, ROUNDING, SIDE, SMALL } = constants.quality;

const GAUSSIAN = Array.from({ length: 2 * RADIUS + 1 }, (_, index) => Math.exp(-((index - RADIUS) ** 2) / 2));
const KERNEL = GAUSSIAN.map((weight) => weight / sum(GAUSSIAN));

/** The quality issues of a face: any of "small", "blurred", "dark". */
export function qualityIssues(face, crop) {
  const grey = resizedGrey(crop);
  const issues = [];
  if (sideOf(face.box) < SMALL) issues.push("small");
  if (sharpness(grey) < BLURRED) issues.push("blurred");
  if (mean(grey) < DARK) issues.push("dark");
  return issues;
}

/** How much weaker edges become by one more pixel of blur, whatever the contrast: 0 where there are none. */
function sharpness(grey) {
  return Math.max(laplacianVariance(grey) - ROUNDING, 0) / Math.max(laplacianVariance(gaussianBlur(grey)), 1e-6);
}

/** The face crop as grey values, resized so that all are compared at the same scale. */
function resizedGrey({ width, height, channels, data }) {
  const grey = new Float32Array(width * height);
  for (let index = 0; index < data.length; index += 1) grey[Math.floor(index / channels)] += data[index] / channels;
  if (width === SIDE && height === SIDE) return grey;
  const { first, weights } = areaWeights(width, SIDE);
  const out = new Float32Array(SIDE * SIDE);
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      weights[y].forEach((down, row) =>
        weights[x].forEach((across, column) => {
          out[y * SIDE + x] += down * across * grey[(first[y] + row) * width + first[x] + column];
        }),
      );
    }
  }
  return out;
}

/** Variance of the Laplacian within the border. */
function laplacianVariance(grey) {
  const laplacian = [];
  for (let y = RADIUS; y < SIDE - RADIUS; y += 1) {
    for (let x = RADIUS; x < SIDE - RADIUS; x += 1) {
      const at = y * SIDE + x;
      laplacian.push(grey[at - 1] + grey[at + 1] + grey[at - SIDE] + grey[at + SIDE] - 4 * grey[at]);
    }
  }
  const average = mean(laplacian);
  return mean(laplacian.map((value) => (value - average) ** 2));
}

/** A Gaussian blur with a sigma of one pixel; the border is reflected as by OpenCV's BORDER_REFLECT_101. */
function gaussianBlur(grey) {
  return blurLines(blurLines(grey, 1, SIDE), SIDE, 1);
}

/**
 * Blurs along rows or columns.
 *
 * @param step distance of two neighbours in a line.
 * @param stride distance of two neighbouring lines.
 */
function blurLines(values, step, stride) {
  const reflect = (at) => (at < 0 ? -at : at >= SIDE ? 2 * SIDE - 2 - at : at);
  const out = new Float32Array(values.length);
  for (let line = 0; line < SIDE; line += 1) {
    for (let at = 0; at < SIDE; at += 1) {
      let total = 0;
      for (let offset = -RADIUS; offset <= RADIUS; offset += 1) {
        total += KERNEL[offset + RADIUS] * values[line * stride + reflect(at + offset) * step];
      }
      out[line * stride + at * step] = total;
    }
  }
  return out;
}

function mean(values) {
  return sum(values) / values.length;
}
