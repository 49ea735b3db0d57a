/** Image quality of a face crop: mien/classification/quality.py. */

import { sideOf } from "./boxes.js";
import constants from "./constants.js";
import { areaWeights } from "./image.js";
import { isRolled } from "./predictions.js";
import { sum } from "./probabilities.js";

const { BLUR_RADIUS_PX, MIN_BRIGHTNESS, MIN_FACE_PX, MIN_SHARPNESS, ROUNDING_VARIANCE, SIDE_PX } = constants.quality;
const { ROLLED } = constants.faces;

const GAUSSIAN = Array.from({ length: 2 * BLUR_RADIUS_PX + 1 }, (_, index) => Math.exp(-((index - BLUR_RADIUS_PX) ** 2) / 2));
const KERNEL = GAUSSIAN.map((weight) => weight / sum(GAUSSIAN));

/** The quality issues of a face: any of "small", "blurred", "dark", "rolled". */
export function qualityIssues(face, crop) {
  const grey = resizedGrey(crop);
  const issues = [];
  if (sideOf(face.box) < MIN_FACE_PX) issues.push("small");
  if (sharpness(grey) < MIN_SHARPNESS) issues.push("blurred");
  if (mean(grey) < MIN_BRIGHTNESS) issues.push("dark");
  if (isRolled(face)) issues.push(ROLLED);
  return issues;
}

/** How much weaker edges become by one more pixel of blur, whatever the contrast: 0 where there are none. */
function sharpness(grey) {
  return Math.max(laplacianVariance(grey) - ROUNDING_VARIANCE, 0) / Math.max(laplacianVariance(gaussianBlur(grey)), 1e-6);
}

/** The face crop as grey values, resized so that all are compared at the same scale. */
function resizedGrey({ width, height, channels, data }) {
  const grey = new Float32Array(width * height);
  for (let index = 0; index < data.length; index += 1) grey[Math.floor(index / channels)] += data[index] / channels;
  if (width === SIDE_PX && height === SIDE_PX) return grey;
  const { first, weights } = areaWeights(width, SIDE_PX);
  const out = new Float32Array(SIDE_PX * SIDE_PX);
  for (let y = 0; y < SIDE_PX; y += 1) {
    for (let x = 0; x < SIDE_PX; x += 1) {
      weights[y].forEach((down, row) =>
        weights[x].forEach((across, column) => {
          out[y * SIDE_PX + x] += down * across * grey[(first[y] + row) * width + first[x] + column];
        }),
      );
    }
  }
  return out;
}

/** Variance of the Laplacian within the border. */
function laplacianVariance(grey) {
  const laplacian = [];
  for (let y = BLUR_RADIUS_PX; y < SIDE_PX - BLUR_RADIUS_PX; y += 1) {
    for (let x = BLUR_RADIUS_PX; x < SIDE_PX - BLUR_RADIUS_PX; x += 1) {
      const at = y * SIDE_PX + x;
      laplacian.push(grey[at - 1] + grey[at + 1] + grey[at - SIDE_PX] + grey[at + SIDE_PX] - 4 * grey[at]);
    }
  }
  const average = mean(laplacian);
  return mean(laplacian.map((value) => (value - average) ** 2));
}

/** A Gaussian blur with a sigma of one pixel; the border is reflected as by OpenCV's BORDER_REFLECT_101. */
function gaussianBlur(grey) {
  return blurLines(blurLines(grey, 1, SIDE_PX), SIDE_PX, 1);
}

/**
 * Blurs along rows or columns.
 *
 * @param step distance of two neighbours in a line.
 * @param stride distance of two neighbouring lines.
 */
function blurLines(values, step, stride) {
  const reflect = (at) => (at < 0 ? -at : at >= SIDE_PX ? 2 * SIDE_PX - 2 - at : at);
  const out = new Float32Array(values.length);
  for (let line = 0; line < SIDE_PX; line += 1) {
    for (let at = 0; at < SIDE_PX; at += 1) {
      let total = 0;
      for (let offset = -BLUR_RADIUS_PX; offset <= BLUR_RADIUS_PX; offset += 1) {
        total += KERNEL[offset + BLUR_RADIUS_PX] * values[line * stride + reflect(at + offset) * step];
      }
      out[line * stride + at * step] = total;
    }
  }
  return out;
}

function mean(values) {
  return sum(values) / values.length;
}
