/**
 * Images as the reading rooms take them, and their size changed as OpenCV does it.
 *
 * An image is {width, height, channels, data: Uint8Array}, row by row, RGB or grey.
 */

import { clamp, roundEven } from "./numbers.js";

/** An ImageData as RGB; what is transparent lies on white. */
export function rgbOf({ width, height, data }) {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    const alpha = data[from + 3];
    for (let channel = 0; channel < 3; channel += 1) {
      const value = data[from + channel];
      rgb[to + channel] = alpha === 255 ? value : Math.round((value * alpha + 255 * (255 - alpha)) / 255);
    }
  }
  return { width, height, channels: 3, data: rgb };
}

/** The image at another size: the mean over each new pixel's area, or bilinear where it grows. */
export function resized(image, width, height) {
  if (width === image.width && height === image.height) return image;
  const shrinks = width <= image.width && height <= image.height;
  const shares = shrinks ? areaShares : linearShares;
  return resampled(image, shares(image.width, width), shares(image.height, height));
}

/**
 * An image whose pixels are weighted sums of another's.
 *
 * @param across for each new column the first old one and its weights: {first: Int32Array, weights: Float32Array[]}.
 * @param down the same for rows.
 */
export function resampled(image, across, down) {
  const { channels, data, width: wide } = image;
  const width = across.first.length;
  const height = down.first.length;
  const row = new Float32Array(wide * channels);
  const out = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y += 1) {
    addRows(row, data, down.first[y], down.weights[y]);
    let to = y * width * channels;
    for (let x = 0; x < width; x += 1) {
      const weights = across.weights[x];
      const start = across.first[x] * channels;
      for (let channel = 0; channel < channels; channel += 1) {
        let total = 0;
        for (let at = 0, from = start + channel; at < weights.length; at += 1, from += channels) {
          total += weights[at] * row[from];
        }
        out[to] = clamp(roundEven(total), 0, 255);
        to += 1;
      }
    }
  }
  return { width, height, channels, data: out };
}

/** The weighted sum of some rows, into ``row``. */
function addRows(row, data, first, weights) {
  row.fill(0);
  for (let at = 0; at < weights.length; at += 1) {
    const weight = weights[at];
    const start = (first + at) * row.length;
    for (let place = 0; place < row.length; place += 1) row[place] += weight * data[start + place];
  }
}

function areaShares(from, to) {
  const step = from / to;
  return sharesOf(to, from, (place) => {
    const [start, end] = [place * step, (place + 1) * step];
    return [start, end, (pixel) => Math.min(pixel + 1, end) - Math.max(pixel, start)];
  });
}

function linearShares(from, to) {
  const step = from / to;
  return sharesOf(to, from, (place) => {
    const at = clamp((place + 0.5) * step - 0.5, 0, from - 1);
    return [at, at + 1, (pixel) => 1 - Math.abs(pixel - at)];
  });
}

/**
 * Weights that sum to 1.
 *
 * @param reach for a new pixel where in the line it starts and ends, and how much an old one counts.
 */
export function sharesOf(count, length, reach) {
  const first = new Int32Array(count);
  const weights = [];
  for (let place = 0; place < count; place += 1) {
    const [start, end, share] = reach(place);
    first[place] = clamp(Math.floor(start), 0, length - 1);
    const last = clamp(Math.ceil(end), first[place] + 1, length);
    const row = Float32Array.from({ length: last - first[place] }, (_, at) => Math.max(share(first[place] + at), 0));
    const total = row.reduce((so, far) => so + far, 0);
    weights.push(row.map((weight) => weight / total));
  }
  return { first, weights };
}

/** The part of an image from left, top up to right, bottom, all within it. */
export function part(image, left, top, right, bottom) {
  const { channels, data } = image;
  const width = right - left;
  const height = bottom - top;
  const out = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y += 1) {
    const from = ((top + y) * image.width + left) * channels;
    out.set(data.subarray(from, from + width * channels), y * width * channels);
  }
  return { width, height, channels, data: out };
}

/** A black image with another laid on it at left, top; what reaches over the edge is cut. */
export function laid(image, width, height, left, top) {
  const { channels } = image;
  const out = new Uint8Array(width * height * channels);
  const wide = Math.min(image.width, width - left) * channels;
  for (let y = 0; y < Math.min(image.height, height - top); y += 1) {
    const from = y * image.width * channels;
    out.set(image.data.subarray(from, from + wide), ((top + y) * width + left) * channels);
  }
  return { width, height, channels, data: out };
}

/** The mirror image. */
export function mirrored(image) {
  const { width, height, channels, data } = image;
  const out = new Uint8Array(data.length);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const from = (y * width + x) * channels;
      const to = (y * width + width - 1 - x) * channels;
      for (let channel = 0; channel < channels; channel += 1) out[to + channel] = data[from + channel];
    }
  }
  return { width, height, channels, data: out };
}

/** Luma of ITU-R BT.601 in OpenCV's fixed point. */
export function grey({ width, height, channels, data }) {
  if (channels === 1) return { width, height, channels, data };
  const out = new Uint8Array(width * height);
  for (let to = 0, from = 0; to < out.length; to += 1, from += 3) {
    out[to] = (data[from] * 9798 + data[from + 1] * 19235 + data[from + 2] * 3735 + 16384) >> 15;
  }
  return { width, height, channels: 1, data: out };
}
