/** Cuts a face crop out of an image: mien/classification/face_crop.py, step for step. */

import { centreOf, sideOf } from "./boxes.js";
import constants from "./constants.js";
import { clamp, cropRegion, resample, resamplingWeights, resize, roundEven, toGrey } from "./image.js";

const { ALIGN_BEYOND, MAX_OVERSAMPLING } = constants.cropping;

/**
 * The square around a face, resampled to the classifier's input.
 *
 * @param rule the crop rule of the model's card: {factor, align_beyond}.
 * @param size side of the face crop in pixels.
 * @param channels 1 or 3.
 */
export function crop(image, face, rule, size, channels) {
  const side = rule.factor * sideOf(face.box);
  const roll = rollToUndo(face, rule);
  let square = cutSquare(image, centreOf(face.box), side, roll === null ? 1 : 1 + side / 4);
  if (channels === 1) square = { ...square, image: toGrey(square.image) };
  if (roll !== null) square = rotate(shrink(square, MAX_OVERSAMPLING * size), roll, MAX_OVERSAMPLING * size);
  const columns = cropWeights(square.left, square.width / size, size, square.image.width);
  const rows = cropWeights(square.top, square.height / size, size, square.image.height);
  return resample(square.image, columns, rows);
}

/** The roll in radians that the crop rule corrects, or null. */
function rollToUndo(face, rule) {
  if (!face.landmarks) return null;
  const [[rightX, rightY], [leftX, leftY]] = face.landmarks;
  const roll = Math.atan2(leftY - rightY, leftX - rightX);
  return Math.abs((roll * 180) / Math.PI) <= (rule.align_beyond ?? ALIGN_BEYOND) ? null : roll;
}

/** The pixels that the square and a margin touch, and where the square lies in them: {image, left, top, width, height}. */
function cutSquare(image, [x, y], side, margin) {
  const [left, top] = [x - side / 2, y - side / 2];
  const [firstX, lastX] = pixelRange(left - margin, left + side + margin, image.width);
  const [firstY, lastY] = pixelRange(top - margin, top + side + margin, image.height);
  const region = cropRegion(image, firstX, firstY, lastX, lastY);
  return { image: region, left: left - firstX, top: top - firstY, width: side, height: side };
}

function pixelRange(start, end, length) {
  const first = Math.floor(clamp(start, 0, length - 1));
  return [first, Math.ceil(clamp(end, first + 1, length))];
}

/** Resizes the pixels so that their longer side is at most ``maxSide``. */
function shrink(square, maxSide) {
  const { width, height } = square.image;
  const scale = maxSide / Math.max(width, height);
  if (scale >= 1) return square;
  const newWidth = Math.max(1, roundEven(width * scale));
  const newHeight = Math.max(1, roundEven(height * scale));
  const [x, y] = [newWidth / width, newHeight / height];
  const image = resize(square.image, newWidth, newHeight);
  return { image, left: square.left * x, top: square.top * y, width: square.width * x, height: square.height * y };
}

/** The square itself, rotated about its centre to undo a roll in radians. */
function rotate({ image, left, top, width, height }, roll, maxSide) {
  const pixels = Math.min(Math.ceil(Math.max(width, height)), maxSide);
  const { channels } = image;
  const data = new Uint8Array(pixels * pixels * channels);
  const [cosine, sine] = [Math.cos(roll), Math.sin(roll)];
  for (let row = 0, to = 0; row < pixels; row += 1) {
    const down = ((row + 0.5) / pixels - 0.5) * height;
    for (let column = 0; column < pixels; column += 1) {
      const across = ((column + 0.5) / pixels - 0.5) * width;
      const x = clamp(left + width / 2 - 0.5 + cosine * across - sine * down, 0, image.width - 1);
      const y = clamp(top + height / 2 - 0.5 + sine * across + cosine * down, 0, image.height - 1);
      for (let channel = 0; channel < channels; channel += 1, to += 1) data[to] = bilinear(image, x, y, channel);
    }
  }
  return { image: { width: pixels, height: pixels, channels, data }, left: 0, top: 0, width: pixels, height: pixels };
}

function bilinear({ width, height, channels, data }, x, y, channel) {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  const [right, lower] = [Math.min(column + 1, width - 1), Math.min(row + 1, height - 1)];
  const at = (px, py) => data[(py * width + px) * channels + channel];
  const upper = at(column, row) + (x - column) * (at(right, row) - at(column, row));
  const under = at(column, lower) + (x - column) * (at(right, lower) - at(column, lower));
  return roundEven(upper + (y - row) * (under - upper));
}

/** Weights for crop pixels that span ``step`` pixels each, at least one; beyond its ends the line is replicated. */
function cropWeights(start, step, size, length) {
  const halfSpan = Math.max(step, 1) / 2;
  return resamplingWeights(size, length, (index) => {
    const centre = start + (index + 0.5) * step;
    const [first, last] = [centre - halfSpan, centre + halfSpan];
    const weight = (pixel) =>
      Math.min(pixel === length - 1 ? Infinity : pixel + 1, last) - Math.max(pixel === 0 ? -Infinity : pixel, first);
    return [first, last, weight];
  });
}
