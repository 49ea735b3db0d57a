/** Follows faces over frames: stable track numbers, smoothed probabilities, label hysteresis: mien/tracking/tracker.py. */

import { areaOf, centreOf, overlap } from "./boxes.js";
import constants from "./constants.js";
import { emotionOf, isUnsure, probabilityOf } from "./predictions.js";
import { softmax, sum } from "./probabilities.js";

const { MAX_SCALE_RATIO, MAX_SHIFT_SIDES, MIN_PROBABILITY, MIN_SIMILARITY, config: DEFAULT_CONFIG } = constants.tracking;

export class Tracker {
  #tracks = [];
  #trackCount = 0;
  #now = -Infinity;

  constructor(config = DEFAULT_CONFIG) {
    this.config = config;
  }

  /** The predictions of the next frame, in their order, smoothed and with track numbers. Times are in seconds. */
  follow(predictions, seconds) {
    if (seconds < this.#now) this.reset();
    this.#now = seconds;
    this.#tracks = this.#tracks.filter((track) => seconds - track.lastSeen <= this.config.max_gap_seconds);
    const matches = matchTracks(this.#tracks.map((track) => track.box), predictions.map(({ face }) => face.box));
    const pairs = predictions.map((prediction, row) => [prediction, this.#tracks[matches.get(row)]]);
    return pairs.map(([prediction, track]) => this.#smooth(prediction, track));
  }

  /** Starts new tracks for all faces of later frames; track numbers are not used again. */
  reset() {
    this.#tracks = [];
    this.#now = -Infinity;
  }

  #smooth(prediction, matched) {
    const logits = logitsOf(prediction);
    const { box, confidence } = prediction.face;
    let track = matched;
    if (!track || track.logits.length !== logits.length) {
      track = { box, firstSeen: this.#now, lastSeen: this.#now, logits, number: null, label: "", isSure: false };
      this.#tracks.push(track);
    }
    const isSettled = this.#now - track.firstSeen >= this.config.min_age_seconds;
    if (track.number === null && (confidence >= this.config.instant_confidence || isSettled)) {
      this.#trackCount += 1;
      track.number = this.#trackCount;
    }
    const decay = this.config.smoothing_seconds > 0 ? Math.exp(-(this.#now - track.lastSeen) / this.config.smoothing_seconds) : 0;
    track.logits = track.logits.map((logit, row) => decay * logit + (1 - decay) * logits[row]);
    Object.assign(track, { box, lastSeen: this.#now });
    return this.#applyHysteresis(prediction, track);
  }

  /** The smoothed prediction; its label and its certainty change only by a margin. */
  #applyHysteresis(prediction, track) {
    const unsureBelow = Math.max(prediction.unsureBelow - (track.isSure ? this.config.unsure_margin : 0), 0);
    let smoothed = { ...prediction, probabilities: softmax(track.logits), unsureBelow, track: track.number };
    if (track.label && probabilityOf(smoothed) - probabilityOf(smoothed, track.label) <= this.config.label_margin) {
      smoothed = { ...smoothed, stableLabel: track.label };
    }
    track.label = emotionOf(smoothed);
    track.isSure = !isUnsure(smoothed);
    return smoothed;
  }
}

/** Log probabilities, centred at 0. */
function logitsOf({ probabilities }) {
  const logits = probabilities.map((probability) => Math.log(Math.max(probability, MIN_PROBABILITY)));
  const mean = sum(logits) / logits.length;
  return logits.map((logit) => logit - mean);
}

/** Greedy matching, the most similar pairs first: a Map from the row of a box to the row of its track. */
function matchTracks(tracks, boxes) {
  const pairs = boxes.flatMap((box, row) => tracks.map((track, trackRow) => [similarity(track, box), row, trackRow]));
  const matches = new Map();
  for (const [value, row, trackRow] of pairs.toSorted(([first], [second]) => second - first)) {
    if (value < MIN_SIMILARITY || matches.has(row) || [...matches.values()].includes(trackRow)) continue;
    matches.set(row, trackRow);
  }
  return matches;
}

/** Similarity of two boxes, 0 to 2: their intersection over union, and how close their centres are for their size. */
function similarity(before, after) {
  const areas = [areaOf(before), areaOf(after)];
  if (Math.max(...areas) > MAX_SCALE_RATIO ** 2 * Math.min(...areas)) return 0;
  const [[x, y], [afterX, afterY]] = [centreOf(before), centreOf(after)];
  const distance = Math.hypot(x - afterX, y - afterY) / Math.sqrt(Math.max(...areas));
  return overlap(before, after) + Math.max(0, 1 - distance / MAX_SHIFT_SIDES);
}
