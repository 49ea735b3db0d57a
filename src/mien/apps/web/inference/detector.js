/**
 * Finds faces with mien's own detector: mien/detection's cells.py, cell_detector.py and own.py, step for step.
 *
 * The network is a function ``cells(images) -> Promise<Float32Array[]>``: images of one size, multiples of 32, to
 * 15 numbers a cell of each.
 */

import { areaOf, centreOf, largestFirst, overlap, sideOf, suppress } from "./boxes.js";
import description from "./description.js";
import { roundEven, sum } from "./numbers.js";
import { laid, mirrored, part, resized } from "./images.js";

const {
  AGAIN, CELL, DWARFED, LARGEST, LEAST, NESTED, SAME, STRIDES, SURE, doubtful, last_look: LAST_LOOK, looks: LOOKS,
  smallest: SMALLEST,
} = description.detection;

export class Detector {
  /**
   * @param network what the model says of images: scores as logits.
   * @param card the detector's own: score, overlap, framing.
   */
  constructor(network, card) {
    this.network = network;
    this.card = card;
    this.score = Math.min(card.score, doubtful[0]);
  }

  /** The faces of an RGB image, largest first: {box, landmarks, confidence}. */
  async detect(image) {
    const seen = [];
    for (const look of LOOKS) seen.push(...(await this.#seen(image, look)));
    const settled = await this.#settled(image, this.#best(seen));
    if (settled.length) return settled;
    return this.#settled(image, this.#best(await this.#seen(image, LAST_LOOK)));
  }

  async #cells(images) {
    const all = await this.network(images);
    const framing = Math.log(this.card.framing);
    for (const cells of all) {
      for (let at = 0; at < cells.length; at += CELL) {
        cells[at] = 1 / (1 + Math.exp(-cells[at]));
        cells[at + 3] += framing;
        cells[at + 4] += framing;
      }
    }
    return all;
  }

  /** The candidates of one look, several a face. */
  async #seen(image, look) {
    const longest = Math.max(image.width, image.height);
    const scale = Math.min(look.enlarge, look.longest / longest);
    const width = Math.max(1, roundEven(image.width * scale));
    const height = Math.max(1, roundEven(image.height * scale));
    const small = resized(image, width, height);
    const { border } = look;
    const wide = upTo32(width + 2 * border);
    const high = upTo32(height + 2 * border);
    const [cells] = await this.#cells([laid(small, wide, high, border, border)]);
    const across = image.width / width;
    const down = image.height / height;
    return decode(cells, high, wide, this.score)
      .map((face) => moved(face, -border, -border, across, down))
      .filter(({ box }) => {
        const share = (box.bottom - box.top) / longest;
        return sideOf(box) >= SMALLEST && look.least <= share && share < look.most;
      });
  }

  /** One candidate a face, largest first; none within a better one. */
  #best(faces) {
    return largestFirst(suppress(suppress(faces, this.card.overlap), NESTED, true));
  }

  /** The candidates with a score that is enough, doubtful ones after another look. */
  async #settled(image, faces) {
    const [low, high] = doubtful;
    const looked = [];
    for (const face of faces) {
      const unclear = low <= face.confidence && face.confidence < high;
      looked.push(unclear ? await this.#seenAgain(image, face) : face);
    }
    const largest = Math.max(0, ...looked.filter((face) => face.confidence >= high).map((face) => sideOf(face.box)));
    return looked.filter((face) => {
      const dwarfed = sideOf(face.box) * DWARFED < largest;
      return face.confidence >= (dwarfed ? Math.max(this.card.score, SURE) : this.card.score);
    });
  }

  /** The face with the mean of its score and those at other scales, mirrored too. */
  async #seenAgain(image, face) {
    const scores = [face.confidence];
    for (const [side, large] of AGAIN) {
      const [seen, box] = surroundings(image, face.box, side, large);
      const turned = { left: side - box.right, top: box.top, right: side - box.left, bottom: box.bottom };
      const [plain, mirror] = await this.#cells([seen, mirrored(seen)]);
      scores.push(scoreAt(box, plain, side), scoreAt(turned, mirror, side));
    }
    return { ...face, confidence: sum(scores) / scores.length };
  }
}

/** The candidates in an image's cells, before suppression, in pixels of the network's input. */
export function decode(cells, height, width, least) {
  const found = [];
  let at = 0;
  for (const stride of STRIDES) {
    const columns = Math.floor(width / stride);
    const rows = Math.floor(height / stride);
    for (let cell = 0; cell < rows * columns; cell += 1, at += CELL) {
      if (cells[at] >= least) found.push(told(cells, at, cell % columns, Math.floor(cell / columns), stride));
    }
  }
  return found;
}

function told(cells, at, column, row, stride) {
  const x = (column + cells[at + 1]) * stride;
  const y = (row + cells[at + 2]) * stride;
  const wide = Math.exp(Math.min(cells[at + 3], LARGEST)) * (stride / 2);
  const high = Math.exp(Math.min(cells[at + 4], LARGEST)) * (stride / 2);
  const landmarks = [0, 2, 4, 6, 8].map((by) => [
    (column + cells[at + 5 + by]) * stride,
    (row + cells[at + 6 + by]) * stride,
  ]);
  return { box: { left: x - wide, top: y - high, right: x + wide, bottom: y + high }, landmarks, confidence: cells[at] };
}

/** A face in another image's pixels: shifted, then stretched. */
export function moved({ box, landmarks, confidence }, right, lower, across, down) {
  return {
    box: {
      left: (box.left + right) * across,
      top: (box.top + lower) * down,
      right: (box.right + right) * across,
      bottom: (box.bottom + lower) * down,
    },
    landmarks: landmarks.map(([x, y]) => [(x + right) * across, (y + lower) * down]),
    confidence,
  };
}

function upTo32(length) {
  return Math.ceil(length / 32) * 32;
}

/** The best score of what lies where the box does, 0 if there is nothing. */
function scoreAt(box, cells, side) {
  const there = decode(cells, side, side, LEAST).filter((face) => areaOf(face.box) > 0 && overlap(box, face.box) > SAME);
  return Math.max(0, ...there.map((face) => face.confidence));
}

/** A face made large and what is around it: the image, and the box in it. */
function surroundings(image, box, side, large) {
  const scale = large / sideOf(box);
  const reach = side / scale / 2;
  const [x, y] = centreOf(box);
  const [left, top, right, bottom] = [x - reach, y - reach, x + reach, y + reach].map(roundEven);
  const [firstX, firstY] = [Math.max(left, 0), Math.max(top, 0)];
  const [lastX, lastY] = [Math.min(right, image.width), Math.min(bottom, image.height)];
  let seen = { width: side, height: side, channels: 3, data: new Uint8Array(side * side * 3) };
  if (lastX > firstX && lastY > firstY) {
    const cut = part(image, firstX, firstY, lastX, lastY);
    const wide = Math.max(1, roundEven(cut.width * scale));
    const high = Math.max(1, roundEven(cut.height * scale));
    const small = resized(cut, wide, high);
    seen = laid(small, side, side, roundEven((firstX - left) * scale), roundEven((firstY - top) * scale));
  }
  const within = {
    left: (box.left - left) * scale,
    top: (box.top - top) * scale,
    right: (box.right - left) * scale,
    bottom: (box.bottom - top) * scale,
  };
  return [seen, within];
}
