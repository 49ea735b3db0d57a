/** From an image and a face to a face crop: mien/classification/face_crop.py, step for step. */

import { centreOf, sideOf } from "./boxes.js";
import description from "./description.js";
import { clamp, roundEven } from "./numbers.js";
import { grey, part, resampled, resized, sharesOf } from "./images.js";

const { MAX_OVERSAMPLING } = description.cropping;

/**
 * The square around a face, resampled to a face crop.
 *
 * @param rule of the model's card: factor, align_beyond.
 * @param size side of the face crop.
 * @param channels 1 or 3.
 */
export function crop(image, face, rule, size, channels) {
  const side = rule.factor * sideOf(face.box);
  const roll = rollToUndo(face, rule);
  let cut = cutOut(image, centreOf(face.box), side, roll === null ? 1 : 1 + side / 4);
  if (channels === 1) cut = { ...cut, image: grey(cut.image) };
  cut = shrunk(cut, MAX_OVERSAMPLING * size);
  if (roll !== null) cut = turned(cut, roll, MAX_OVERSAMPLING * size);
  const across = cropShares(cut.left, cut.width / size, size, cut.image.width);
  const down = cropShares(cut.top, cut.height / size, size, cut.image.height);
  return resampled(cut.image, across, down);
}

function rollToUndo(face, rule) {
  if (rule.align_beyond === null || !face.landmarks) return null;
  const [[rightX, rightY], [leftX, leftY]] = face.landmarks;
  const roll = Math.atan2(leftY - rightY, leftX - rightX);
  return Math.abs((roll * 180) / Math.PI) <= rule.align_beyond ? null : roll;
}

/** The pixels that the square and a margin touch, and where the square starts in them. */
function cutOut(image, [x, y], side, margin) {
  const [left, top] = [x - side / 2, y - side / 2];
  const [firstX, lastX] = touched(left - margin, left + side + margin, image.width);
  const [firstY, lastY] = touched(top - margin, top + side + margin, image.height);
  const here = part(image, firstX, firstY, lastX, lastY);
  return { image: here, left: left - firstX, top: top - firstY, width: side, height: side };
}

function touched(start, end, length) {
  const first = Math.floor(clamp(start, 0, length - 1));
  return [first, Math.ceil(clamp(end, first + 1, length))];
}

/** The same with its longest side within a bound. */
function shrunk(cut, longest) {
  const { width, height } = cut.image;
  const scale = longest / Math.max(width, height);
  if (scale >= 1) return cut;
  const wide = Math.max(1, roundEven(width * scale));
  const high = Math.max(1, roundEven(height * scale));
  const [x, y] = [wide / width, high / height];
  const image = resized(cut.image, wide, high);
  return { image, left: cut.left * x, top: cut.top * y, width: cut.width * x, height: cut.height * y };
}

/** The square itself, its content turned back by a roll in radians about its centre. */
function turned({ image, left, top, width, height }, roll, longest) {
  const pixels = Math.min(Math.ceil(Math.max(width, height)), longest);
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

/** A face crop's pixel spans ``step`` pixels, never less than one; the first and last pixels of the line go on for ever. */
function cropShares(start, step, size, length) {
  const reach = Math.max(step, 1) / 2;
  return sharesOf(size, length, (place) => {
    const centre = start + (place + 0.5) * step;
    const [first, last] = [centre - reach, centre + reach];
    const share = (pixel) =>
      Math.min(pixel === length - 1 ? Infinity : pixel + 1, last) - Math.max(pixel === 0 ? -Infinity : pixel, first);
    return [first, last, share];
  });
}
