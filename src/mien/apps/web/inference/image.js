/**
 * Images as arrays of pixels, and the operations on them: resizing as OpenCV does it, cropping, padding, flipping.
 *
 * An image is {width, height, channels, data: Uint8Array}, row by row, RGB or grey.
 */

/** The nearest whole number, of two equally near the even one, as Python's round and NumPy's rint. */
export function roundEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

export function clamp(value, min, max) {
  return Math.min(Math.max(value, min), max);
}

/** An ImageData as RGB, transparent pixels over white. */
export function toRgb({ width, height, data }) {
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

/** Resizes by area averaging, as INTER_AREA, or bilinearly where the image grows, as INTER_LINEAR. */
export function resize(image, width, height) {
  if (width === image.width && height === image.height) return image;
  const shrinks = width <= image.width && height <= image.height;
  const weightsFor = shrinks ? areaWeights : linearWeights;
  return resample(image, weightsFor(image.width, width), weightsFor(image.height, height));
}

/**
 * An image whose pixels are weighted sums of another's.
 *
 * @param columns for each new column the first old one and its weights: {first: Int32Array, weights: Float32Array[]}.
 * @param rows the same for rows.
 */
export function resample(image, columns, rows) {
  const { channels, data } = image;
  const width = columns.first.length;
  const height = rows.first.length;
  const row = new Float32Array(image.width * channels);
  const out = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y += 1) {
    sumRows(row, data, rows.first[y], rows.weights[y]);
    let to = y * width * channels;
    for (let x = 0; x < width; x += 1) {
      const weights = columns.weights[x];
      const start = columns.first[x] * channels;
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

/** Writes the weighted sum of some rows into ``row``. */
function sumRows(row, data, first, weights) {
  row.fill(0);
  for (let offset = 0; offset < weights.length; offset += 1) {
    const weight = weights[offset];
    const start = (first + offset) * row.length;
    for (let index = 0; index < row.length; index += 1) row[index] += weight * data[start + index];
  }
}

/** The weights of area averaging from one length to a shorter one. */
export function areaWeights(from, to) {
  const step = from / to;
  return resamplingWeights(to, from, (index) => {
    const [start, end] = [index * step, (index + 1) * step];
    return [start, end, (pixel) => Math.min(pixel + 1, end) - Math.max(pixel, start)];
  });
}

function linearWeights(from, to) {
  const step = from / to;
  return resamplingWeights(to, from, (index) => {
    const centre = clamp((index + 0.5) * step - 0.5, 0, from - 1);
    return [centre, centre + 1, (pixel) => 1 - Math.abs(pixel - centre)];
  });
}

/**
 * The weights of old pixels in new ones, normalised to a sum of 1: {first: Int32Array, weights: Float32Array[]}.
 *
 * @param count of new pixels.
 * @param length count of old pixels.
 * @param support for the index of a new pixel [start, end, weight]: where it lies among the old ones, and a function
 *   from an old pixel to its weight.
 */
export function resamplingWeights(count, length, support) {
  const first = new Int32Array(count);
  const weights = [];
  for (let index = 0; index < count; index += 1) {
    const [start, end, weight] = support(index);
    first[index] = clamp(Math.floor(start), 0, length - 1);
    const last = clamp(Math.ceil(end), first[index] + 1, length);
    const row = Float32Array.from({ length: last - first[index] }, (_, at) => Math.max(weight(first[index] + at), 0));
    const total = row.reduce((sum, value) => sum + value, 0);
    weights.push(row.map((value) => value / total));
  }
  return { first, weights };
}

/** The region from left, top up to right, bottom, all within the image. */
export function cropRegion(image, left, top, right, bottom) {
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

/** Pastes an image at left, top of a black one; what reaches over the edge is cut off. */
export function pasteOnBlack(image, width, height, left, top) {
  const { channels } = image;
  const out = new Uint8Array(width * height * channels);
  const rowLength = Math.min(image.width, width - left) * channels;
  for (let y = 0; y < Math.min(image.height, height - top); y += 1) {
    const from = y * image.width * channels;
    out.set(image.data.subarray(from, from + rowLength), ((top + y) * width + left) * channels);
  }
  return { width, height, channels, data: out };
}

/** Rotates counter-clockwise about the centre, as Pillow does bilinearly; what comes from outside is black. */
export function rotateOnBlack(image, degrees) {
  const { width, height, channels, data } = image;
  const out = new Uint8Array(data.length);
  const [cosine, sine] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  for (let row = 0, to = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1, to += channels) {
      const [across, down] = [column + 0.5 - width / 2, row + 0.5 - height / 2];
      const x = cosine * across - sine * down + width / 2;
      const y = sine * across + cosine * down + height / 2;
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const [left, top] = [Math.floor(x - 0.5), Math.floor(y - 0.5)];
      const [shareX, shareY] = [x - 0.5 - left, y - 0.5 - top];
      const [first, last] = [clamp(left, 0, width - 1), clamp(left + 1, 0, width - 1)];
      const [upper, lower] = [clamp(top, 0, height - 1), clamp(top + 1, 0, height - 1)];
      for (let channel = 0; channel < channels; channel += 1) {
        const at = (px, py) => data[(py * width + px) * channels + channel];
        const above = at(first, upper) + shareX * (at(last, upper) - at(first, upper));
        const below = at(first, lower) + shareX * (at(last, lower) - at(first, lower));
        out[to + channel] = above + shareY * (below - above);
      }
    }
  }
  return { width, height, channels, data: out };
}

export function flipHorizontal(image) {
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

/** RGB to grey: luma of ITU-R BT.601 in OpenCV's fixed point. */
export function toGrey({ width, height, channels, data }) {
  if (channels === 1) return { width, height, channels, data };
  const out = new Uint8Array(width * height);
  for (let to = 0, from = 0; to < out.length; to += 1, from += 3) {
    out[to] = (data[from] * 9798 + data[from + 1] * 19235 + data[from + 2] * 3735 + 16384) >> 15;
  }
  return { width, height, channels: 1, data: out };
}
