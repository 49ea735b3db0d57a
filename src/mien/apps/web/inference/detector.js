/**
 * mien's face detector: grid.py, windows.py, orientation.py and mien_detector.py of mien/detection, step for step.
 *
 * The network is a function from images of one size, a multiple of 32, to the promise of their grid cells: 15 numbers
 * per cell, one Float32Array per image.
 */

import { areaOf, largestFirst, overlap, sideOf, suppress } from "./boxes.js";
import { cropAround, decode, moveFace } from "./cells.js";
import constants from "./constants.js";
import { cropRegion, flipHorizontal, pasteOnBlack, resize, roundEven } from "./image.js";
import { turnUpright } from "./orientation.js";
import { sum } from "./probabilities.js";
import { windowsOf } from "./windows.js";

const {
  CELL_VALUES, DWARF_MIN_SCORE, DWARF_RATIO, MAX_NESTING, RESCORING_MIN_IOU, RESCORING_MIN_SCORE,
  RESCORING_SIZES, fallback_scale: FALLBACK_SCALE, min_face_px: MIN_FACE_PX, scales: SCALES,
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
    for (const scale of SCALES) candidates.push(...(await this.#search(image, scale)));
    const faces = await this.#rescore(image, this.#suppress(candidates));
    if (faces.length) return faces;
    return this.#rescore(image, this.#suppress(await this.#search(image, FALLBACK_SCALE)));
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

  /** The candidates at one inference scale in all windows of an image. */
  async #search(image, scale) {
    const faces = [];
    for (const { left, top, right, bottom, holds } of windowsOf(image)) {
      const isWhole = right - left === image.width && bottom - top === image.height;
      const found = await this.#candidates(isWhole ? image : cropRegion(image, left, top, right, bottom), scale);
      faces.push(...found.map((face) => moveFace(face, left, top, 1, 1)).filter(({ box }) => holds(box)));
    }
    return faces;
  }

  /** The candidates at one inference scale in one window, several for each face. */
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
    const accepted = rescored.filter((face) => {
      const isDwarfed = sideOf(face.box) * DWARF_RATIO < largestSide;
      return face.confidence >= (isDwarfed ? Math.max(this.card.score, DWARF_MIN_SCORE) : this.card.score);
    });
    const upright = [];
    for (const face of accepted) upright.push(await turnUpright((images) => this.#cells(images), image, face));
    return upright.every((face, index) => face === accepted[index]) ? accepted : this.#suppress(upright);
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

function roundUpTo32(length) {
  return Math.ceil(length / 32) * 32;
}

/** The best score of the candidates at a box, 0 if there are none. */
function scoreAt(box, cells, side) {
  const candidates = decode(cells, side, side, RESCORING_MIN_SCORE).filter((face) => areaOf(face.box) > 0);
  const matching = candidates.filter((face) => overlap(box, face.box) > RESCORING_MIN_IOU);
  return Math.max(0, ...matching.map((face) => face.confidence));
}
