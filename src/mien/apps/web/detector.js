/**
 * Finds faces with mien's own detector, step for step as mien/detection's grid.py and mien_detector.py do.
 *
 * The network is a function ``cells(images) -> Promise<Float32Array[]>``: images of one size, multiples of 32, to
 * 15 numbers per grid cell.
 */

import { areaOf, centreOf, largestFirst, overlap, sideOf, suppress } from "./boxes.js";
import description from "./description.js";
import { roundEven, sum } from "./numbers.js";
import { laid, mirrored, part, resized } from "./images.js";

const {
  CELL_VALUES, DWARF_MIN_SCORE, DWARF_RATIO, MAX_LOG_SIZE, MAX_NESTING, RESCORING_MIN_IOU, RESCORING_MIN_SCORE,
  RESCORING_SIZES, STRIDES, fallback_scale: FALLBACK_SCALE, min_face_px: MIN_FACE_PX, scales: SCALES,
  uncertain_scores: UNCERTAIN_SCORES,
} = description.detection;

export class Detector {
  /**
   * @param network what the model says of images: scores as logits.
   * @param card the detector's own: score, overlap, framing.
   */
  constructor(network, card) {
    this.network = network;
    this.card = card;
    this.score = Math.min(card.score, UNCERTAIN_SCORES[0]);
  }

  /** The faces of an RGB image, largest first: {box, landmarks, confidence}. */
  async detect(image) {
    const candidates = [];
    for (const scale of SCALES) candidates.push(...(await this.#candidates(image, scale)));
    const faces = await this.#rescore(image, this.#suppress(candidates));
    if (faces.length) return faces;
    return this.#rescore(image, this.#suppress(await this.#candidates(image, FALLBACK_SCALE)));
  }

  async #cells(images) {
    const all = await this.network(images);
    const framing = Math.log(this.card.framing);
    for (const cells of all) {
      for (let at = 0; at < cells.length; at += CELL_VALUES) {
        cells[at] = 1 / (1 + Math.exp(-cells[at]));
        cells[at + 3] += framing;
        cells[at + 4] += framing;
      }
    }
    return all;
  }

  /** The candidates at one inference scale, several for each face. */
  async #candidates(image, scale) {
    const longest = Math.max(image.width, image.height);
    const factor = Math.min(scale.max_enlargement, scale.longest_px / longest);
    const width = Math.max(1, roundEven(image.width * factor));
    const height = Math.max(1, roundEven(image.height * factor));
    const small = resized(image, width, height);
    const border = scale.border_px;
    const wide = upTo32(width + 2 * border);
    const high = upTo32(height + 2 * border);
    const [cells] = await this.#cells([laid(small, wide, high, border, border)]);
    const across = image.width / width;
    const down = image.height / height;
    return decode(cells, high, wide, this.score)
      .map((face) => moved(face, -border, -border, across, down))
      .filter(({ box }) => {
        const share = (box.bottom - box.top) / longest;
        return sideOf(box) >= MIN_FACE_PX && scale.min_face_share <= share && share < scale.max_face_share;
      });
  }

  /** One candidate for each face, largest first; none inside a better one. */
  #suppress(faces) {
    return largestFirst(suppress(suppress(faces, this.card.overlap), MAX_NESTING, true));
  }

  /** The candidates that reach the threshold, uncertain ones by their score after test-time augmentation. */
  async #rescore(image, candidates) {
    const [low, high] = UNCERTAIN_SCORES;
    const faces = [];
    for (const face of candidates) {
      const uncertain = low <= face.confidence && face.confidence < high;
      faces.push(uncertain ? await this.#rescored(image, face) : face);
    }
    const largest = Math.max(0, ...faces.filter((face) => face.confidence >= high).map((face) => sideOf(face.box)));
    return faces.filter((face) => {
      const dwarfed = sideOf(face.box) * DWARF_RATIO < largest;
      return face.confidence >= (dwarfed ? Math.max(this.card.score, DWARF_MIN_SCORE) : this.card.score);
    });
  }

  /** The face with the mean of its score and those at the rescoring sizes, mirrored too. */
  async #rescored(image, face) {
    const scores = [face.confidence];
    for (const [side, large] of RESCORING_SIZES) {
      const [seen, box] = surroundings(image, face.box, side, large);
      const turned = { left: side - box.right, top: box.top, right: side - box.left, bottom: box.bottom };
      const [plain, mirror] = await this.#cells([seen, mirrored(seen)]);
      scores.push(scoreAt(box, plain, side), scoreAt(turned, mirror, side));
    }
    return { ...face, confidence: sum(scores) / scores.length };
  }
}

/** Decodes grid cells to candidates in pixels of the network's input, before non-maximum suppression. */
export function decode(cells, height, width, minScore) {
  const found = [];
  let at = 0;
  for (const stride of STRIDES) {
    const columns = Math.floor(width / stride);
    const rows = Math.floor(height / stride);
    for (let cell = 0; cell < rows * columns; cell += 1, at += CELL_VALUES) {
      if (cells[at] >= minScore) found.push(candidate(cells, at, cell % columns, Math.floor(cell / columns), stride));
    }
  }
  return found;
}

function candidate(cells, at, column, row, stride) {
  const x = (column + cells[at + 1]) * stride;
  const y = (row + cells[at + 2]) * stride;
  const wide = Math.exp(Math.min(cells[at + 3], MAX_LOG_SIZE)) * (stride / 2);
  const high = Math.exp(Math.min(cells[at + 4], MAX_LOG_SIZE)) * (stride / 2);
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

/** The best score of a candidate that overlaps the box, 0 if there is none. */
function scoreAt(box, cells, side) {
  const same = decode(cells, side, side, RESCORING_MIN_SCORE).filter(
    (face) => areaOf(face.box) > 0 && overlap(box, face.box) > RESCORING_MIN_IOU,
  );
  return Math.max(0, ...same.map((face) => face.confidence));
}

/** A square image about a face, and the box in it. */
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
