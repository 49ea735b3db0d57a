/** Multi-face tracking: track numbers, smoothed probabilities, label hysteresis, as in mien/tracking/tracker.py. */

import { areaOf, centreOf, overlap } from "./boxes.js";
import description from "./description.js";
import { emotionOf, isUnsure, probabilityOf } from "./predictions.js";
import { softmax } from "./probabilities.js";
import { sum } from "./numbers.js";

const { MAX_SCALE_RATIO, MAX_SHIFT_SIDES, MIN_PROBABILITY, MIN_SIMILARITY, config: CONFIG } = description.tracking;

export class Tracker {
  #tracks = [];
  #numbers = 0;
  #now = -Infinity;

  constructor(config = CONFIG) {
    this.config = config;
  }

  /** The predictions of the frame at a time in seconds, in the same order, smoothed, with their track numbers. */
  follow(predictions, seconds) {
    if (seconds < this.#now) this.forget();
    this.#now = seconds;
    this.#tracks = this.#tracks.filter((track) => seconds - track.lastSeen <= this.config.max_gap_seconds);
    const known = matched(this.#tracks.map((track) => track.box), predictions.map((one) => one.face.box));
    const pairs = predictions.map((one, row) => [one, this.#tracks[known.get(row)]]);
    return pairs.map(([one, track]) => this.#updated(one, track));
  }

  /** Ends all tracks; their numbers are not used again. */
  forget() {
    this.#tracks = [];
    this.#now = -Infinity;
  }

  #updated(prediction, known) {
    const logits = logitsOf(prediction);
    const { box, confidence } = { ...prediction.face };
    let track = known;
    if (!track || track.logits.length !== logits.length) {
      track = { box, firstSeen: this.#now, lastSeen: this.#now, logits, number: null, label: "", sure: false };
      this.#tracks.push(track);
    }
    const oldEnough = this.#now - track.firstSeen >= this.config.min_age_seconds;
    if (track.number === null && (confidence >= this.config.instant_confidence || oldEnough)) {
      this.#numbers += 1;
      track.number = this.#numbers;
    }
    const constant = this.config.smoothing_seconds;
    const decay = constant > 0 ? Math.exp(-(this.#now - track.lastSeen) / constant) : 0;
    track.logits = track.logits.map((logit, row) => decay * logit + (1 - decay) * logits[row]);
    Object.assign(track, { box, lastSeen: this.#now });
    return this.#withHysteresis(prediction, track);
  }

  /** The smoothed prediction, which keeps its label and its sureness within the margins. */
  #withHysteresis(prediction, track) {
    const threshold = Math.max(prediction.unsureBelow - (track.sure ? this.config.unsure_margin : 0), 0);
    let smoothed = { ...prediction, probabilities: softmax(track.logits), unsureBelow: threshold, track: track.number };
    if (track.label && probabilityOf(smoothed) - probabilityOf(smoothed, track.label) <= this.config.label_margin) {
      smoothed = { ...smoothed, stableLabel: track.label };
    }
    track.label = emotionOf(smoothed);
    track.sure = !isUnsure(smoothed);
    return smoothed;
  }
}

function logitsOf({ probabilities }) {
  const logits = probabilities.map((probability) => Math.log(Math.max(probability, MIN_PROBABILITY)));
  const mean = sum(logits) / logits.length;
  return logits.map((logit) => logit - mean);
}

/** The index of the track that each box continues: greedy matching, the most similar pairs first. */
function matched(tracks, boxes) {
  const pairs = boxes.flatMap((box, row) => tracks.map((track, place) => [similarity(track, box), row, place]));
  const found = new Map();
  for (const [value, row, place] of pairs.toSorted(([one], [other]) => other - one)) {
    if (value >= MIN_SIMILARITY && !found.has(row) && ![...found.values()].includes(place)) found.set(row, place);
  }
  return found;
}

/** How similar two boxes are, 0 to 2: IoU plus proximity of the centres. */
function similarity(before, now) {
  const areas = [areaOf(before), areaOf(now)];
  if (Math.max(...areas) > MAX_SCALE_RATIO ** 2 * Math.min(...areas)) return 0;
  const [[x, y], [nowX, nowY]] = [centreOf(before), centreOf(now)];
  const distance = Math.hypot(x - nowX, y - nowY) / Math.sqrt(Math.max(...areas));
  return overlap(before, now) + Math.max(0, 1 - distance / MAX_SHIFT_SIDES);
}
