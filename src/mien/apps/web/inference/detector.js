/**
 * mien's face detector: grid.py, grid_detector.py and mien_detector.py of mien/detection, step for step.
 *
 * The network is a function from images of one size, a multiple of 32, to the promise of their grid cells: 15 numbers
 * per cell, one Float32Array per image.
 */

import { areaOf, centreOf, largestFirst, overlap, sideOf, suppress } from "./boxes.js";
import constants from "./constants.js";
import { cropRegion, flipHorizontal, pasteOnBlack, resize, roundEven } from "./image.js";
import { sum } from "./probabilities.js";

const {
  CELL_VALUES, DWARF_MIN_SCORE, DWARF_RATIO, MAX_LOG_SIZE, MAX_NESTING, RESCORING_MIN_IOU, RESCORING_MIN_SCORE,
  RESCORING_SIZES, STRIDES, fallback_scale: FALLBACK_SCALE, min_face_px: MIN_FACE_PX, scales: SCALES,
  uncertain_scores: UNCERTAIN_SCORES,
} = constants.detection;

export class Detector {
  /**
   * @param network returns scores as logits.
   * @param card of the detector: score, overlap, framing.
   */
  constructor(network, card) {
    this.network = network;
    this.card = card;
    this.minScore = Math.min(card.score, UNCERTAIN_SCORES[0]);
  }

  /** The faces in an RGB image, largest first: {box, landmarks, confidence}. */
  async detect(image) {
    const candidates = [];
    for (const scale of SCALES) candidates.push(...(await this.#candidates(image, scale)));
    const faces = await this.#rescore(image, this.#suppress(candidates));
    if (faces.length) return faces;
    return this.#rescore(image, this.#suppress(await this.#candidates(image, FALLBACK_SCALE)));
  }

  /** Grid cells with scores from 0 to 1, and boxes framed as the card says. */
  async #cells(images) {
    const cellsOfImages = await this.network(images);
    const logFraming = Math.log(this.card.framing);
    for (const cells of cellsOfImages) {
      for (let at = 0; at < cells.length; at += CELL_VALUES) {
        cells[at] = 1 / (1 + Math.exp(-cells[at]));
        cells[at + 3] += logFraming;
        cells[at + 4] += logFraming;
      }
    }
    return cellsOfImages;
  }

  /** The candidates at one inference scale, several for each face. */
  async #candidates(image, scale) {
    const { longest_px: longestPx, max_enlargement: maxEnlargement, border_px: borderPx } = scale;
    const { min_face_share: minShare, max_face_share: maxShare } = scale;
    const imageSide = Math.max(image.width, image.height);
    const factor = Math.min(maxEnlargement, longestPx / imageSide);
    const width = Math.max(1, roundEven(image.width * factor));
    const height = Math.max(1, roundEven(image.height * factor));
    const inputWidth = roundUpTo32(width + 2 * borderPx);
    const inputHeight = roundUpTo32(height + 2 * borderPx);
    const input = pasteOnBlack(resize(image, width, height), inputWidth, inputHeight, borderPx, borderPx);
    const [cells] = await this.#cells([input]);
    const [scaleX, scaleY] = [image.width / width, image.height / height];
    return decode(cells, inputHeight, inputWidth, this.minScore)
      .map((face) => moveFace(face, -borderPx, -borderPx, scaleX, scaleY))
      .filter(({ box }) => {
        const share = (box.bottom - box.top) / imageSide;
        return sideOf(box) >= MIN_FACE_PX && minShare <= share && share < maxShare;
      });
  }

  /** One candidate for each face, largest first; none nested in a better one. */
  #suppress(candidates) {
    return largestFirst(suppress(suppress(candidates, this.card.overlap), MAX_NESTING, true));
  }

  /** The candidates whose score is high enough, uncertain ones after test-time augmentation. */
  async #rescore(image, candidates) {
    const [low, high] = UNCERTAIN_SCORES;
    const rescored = [];
    for (const face of candidates) {
      const isUncertain = low <= face.confidence && face.confidence < high;
      rescored.push(isUncertain ? await this.#augment(image, face) : face);
    }
    const confident = rescored.filter((face) => face.confidence >= high);
    const largestSide = Math.max(0, ...confident.map((face) => sideOf(face.box)));
    return rescored.filter((face) => {
      const isDwarfed = sideOf(face.box) * DWARF_RATIO < largestSide;
      return face.confidence >= (isDwarfed ? Math.max(this.card.score, DWARF_MIN_SCORE) : this.card.score);
    });
  }

  /** The face with the mean of its score and those at other scales, flipped and not. */
  async #augment(image, face) {
    const scores = [face.confidence];
    for (const [side, faceSide] of RESCORING_SIZES) {
      const [input, box] = cropAround(image, face.box, side, faceSide);
      const flippedBox = { ...box, left: side - box.right, right: side - box.left };
      const [cells, flippedCells] = await this.#cells([input, flipHorizontal(input)]);
      scores.push(scoreAt(box, cells, side), scoreAt(flippedBox, flippedCells, side));
    }
    return { ...face, confidence: sum(scores) / scores.length };
  }
}

/** The candidates in the cells of an image before suppression, in pixels of the network's input. */
export function decode(cells, height, width, minScore) {
  const faces = [];
  let at = 0;
  for (const stride of STRIDES) {
    const columns = Math.floor(width / stride);
    const rows = Math.floor(height / stride);
    for (let cell = 0; cell < rows * columns; cell += 1, at += CELL_VALUES) {
      if (cells[at] >= minScore) faces.push(decodeCell(cells, at, cell % columns, Math.floor(cell / columns), stride));
    }
  }
  return faces;
}

function decodeCell(cells, at, column, row, stride) {
  const x = (column + cells[at + 1]) * stride;
  const y = (row + cells[at + 2]) * stride;
  const halfWidth = Math.exp(Math.min(cells[at + 3], MAX_LOG_SIZE)) * (stride / 2);
  const halfHeight = Math.exp(Math.min(cells[at + 4], MAX_LOG_SIZE)) * (stride / 2);
  const landmarks = [0, 2, 4, 6, 8].map((offset) => [
    (column + cells[at + 5 + offset]) * stride,
    (row + cells[at + 6 + offset]) * stride,
  ]);
  const box = { left: x - halfWidth, top: y - halfHeight, right: x + halfWidth, bottom: y + halfHeight };
  return { box, landmarks, confidence: cells[at] };
}

/** A face in the pixels of another image: shifted, then scaled. */
export function moveFace({ box, landmarks, confidence }, shiftX, shiftY, scaleX, scaleY) {
  return {
    box: {
      left: (box.left + shiftX) * scaleX,
      top: (box.top + shiftY) * scaleY,
      right: (box.right + shiftX) * scaleX,
      bottom: (box.bottom + shiftY) * scaleY,
    },
    landmarks: landmarks.map(([x, y]) => [(x + shiftX) * scaleX, (y + shiftY) * scaleY]),
    confidence,
  };
}

function roundUpTo32(length) {
  return Math.ceil(length / 32) * 32;
}

/** The best score of the candidates at a box, 0 if there are none. */
function scoreAt(box, cells, side) {
  const candidates = decode(cells, side, side, RESCORING_MIN_SCORE).filter((face) => areaOf(face.box) > 0);
  const matching = candidates.filter((face) => overlap(box, face.box) > RESCORING_MIN_IOU);
  return Math.max(0, ...matching.map((face) => face.confidence));
}

/** A square crop around a face, scaled so that the face has a given side: the crop, and the face's box in it. */
function cropAround(image, box, side, faceSide) {
  const scale = faceSide / sideOf(box);
  const halfSide = side / scale / 2;
  const [x, y] = centreOf(box);
  const [left, top, right, bottom] = [x - halfSide, y - halfSide, x + halfSide, y + halfSide].map(roundEven);
  const [firstX, firstY] = [Math.max(left, 0), Math.max(top, 0)];
  const [lastX, lastY] = [Math.min(right, image.width), Math.min(bottom, image.height)];
  let crop = { width: side, height: side, channels: 3, data: new Uint8Array(side * side * 3) };
  if (lastX > firstX && lastY > firstY) {
    const region = cropRegion(image, firstX, firstY, lastX, lastY);
    const width = Math.max(1, roundEven(region.width * scale));
    const height = Math.max(1, roundEven(region.height * scale));
    const [offsetX, offsetY] = [roundEven((firstX - left) * scale), roundEven((firstY - top) * scale)];
    crop = pasteOnBlack(resize(region, width, height), side, side, offsetX, offsetY);
  }
  return [crop, moveFace({ box, landmarks: [] }, -left, -top, scale, scale).box];
}
