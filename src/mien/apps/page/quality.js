/** What may spoil the reading of a face: mien/quality.py. */

import { sideOf } from "./boxes.js";
import description from "./description.js";
import { sharesOf } from "./pictures.js";

const { BLURRED, DARK, SIDE, SMALL } = description.quality;

/** "small", "blurred", "dark": those that are so. */
export function flaws(face, chip) {
  const grey = judged(chip);
  const mean = meanOf(grey);
  const variance = Math.max(varianceOf(grey, mean), 1);
  const edges = laplacian(grey, SIDE);
  const found = [];
  if (sideOf(face.box) < SMALL) found.push("small");
  if (varianceOf(edges, meanOf(edges)) / variance < BLURRED) found.push("blurred");
  if (mean < DARK) found.push("dark");
  return found;
}

/** The chip as grey numbers at the side that all are judged at. */
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

/** Four neighbours less four times itself, the border mirrored without its edge, as OpenCV's. */
function laplacian(grey, side) {
  const within = (at) => (at < 0 ? -at : at >= side ? 2 * side - 2 - at : at);
  const at = (x, y) => grey[within(y) * side + within(x)];
  return grey.map((value, place) => {
    const [x, y] = [place % side, Math.floor(place / side)];
    return at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4 * value;
  });
}

function meanOf(values) {
  return values.reduce((so, far) => so + far, 0) / values.length;
}

function varianceOf(values, mean) {
  return values.reduce((so, value) => so + (value - mean) ** 2, 0) / values.length;
}
