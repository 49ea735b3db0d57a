/** The same face over frames: a number that stays, probabilities without flicker, a word that holds: mien/tracking.py. */

import { areaOf, centreOf, overlap } from "./boxes.js";
import description from "./description.js";
import { emotionOf, isUnsure, probabilityOf } from "./predictions.js";
import { softmax } from "./probabilities.js";
import { sum } from "./numbers.js";

const { LEAST, LEAST_ALIKE, MOST_GROWN, REACH, steadiness: STEADINESS } = description.tracking;

export class Tracker {
  #tracks = [];
  #numbers = 0;
  #now = -Infinity;

  constructor(steadiness = STEADINESS) {
    this.steadiness = steadiness;
  }

  /** The predictions of the frame at a time in seconds, in their order, steadied and numbered. */
  follow(predictions, seconds) {
    if (seconds < this.#now) this.forget();
    this.#now = seconds;
    this.#tracks = this.#tracks.filter((track) => seconds - track.seen <= this.steadiness.gap);
    const known = matched(this.#tracks.map((track) => track.box), predictions.map((one) => one.face.box));
    const pairs = predictions.map((one, row) => [one, this.#tracks[known.get(row)]]);
    return pairs.map(([one, track]) => this.#steadied(one, track));
  }

  /** Every face that comes from now on is a new one; numbers are not used again. */
  forget() {
    this.#tracks = [];
    this.#now = -Infinity;
  }

  #steadied(prediction, known) {
    const logits = logitsOf(prediction);
    const { box, confidence } = { ...prediction.face };
    let track = known;
    if (!track || track.logits.length !== logits.length) {
      track = { box, began: this.#now, seen: this.#now, logits, number: null, word: "", sure: false };
      this.#tracks.push(track);
    }
    const settled = this.#now - track.began >= this.steadiness.settled;
    if (track.number === null && (confidence >= this.steadiness.certain || settled)) {
      this.#numbers += 1;
      track.number = this.#numbers;
    }
    const kept = this.steadiness.seconds > 0 ? Math.exp(-(this.#now - track.seen) / this.steadiness.seconds) : 0;
    track.logits = track.logits.map((logit, row) => kept * logit + (1 - kept) * logits[row]);
    Object.assign(track, { box, seen: this.#now });
    return this.#held(prediction, track);
  }

  /** The steadied prediction, and what it is held by the next time. */
  #held(prediction, track) {
    const below = Math.max(prediction.unsureBelow - (track.sure ? this.steadiness.sureness : 0), 0);
    let told = { ...prediction, probabilities: softmax(track.logits), unsureBelow: below, track: track.number };
    if (track.word && probabilityOf(told) - probabilityOf(told, track.word) <= this.steadiness.margin) {
      told = { ...told, held: track.word };
    }
    track.word = emotionOf(told);
    track.sure = !isUnsure(told);
    return told;
  }
}

function logitsOf({ probabilities }) {
  const logits = probabilities.map((probability) => Math.log(Math.max(probability, LEAST)));
  const mean = sum(logits) / logits.length;
  return logits.map((logit) => logit - mean);
}

/** The row of the track that each box continues, the likest pairs first. */
function matched(tracks, boxes) {
  const alike = boxes.flatMap((box, row) => tracks.map((track, place) => [likeness(track, box), row, place]));
  const found = new Map();
  for (const [value, row, place] of alike.toSorted(([one], [other]) => other - one)) {
    if (value >= LEAST_ALIKE && !found.has(row) && ![...found.values()].includes(place)) found.set(row, place);
  }
  return found;
}

/** How likely two boxes are one face, 0 to 2: their overlap, and how near their middles are for their size. */
function likeness(before, now) {
  const areas = [areaOf(before), areaOf(now)];
  if (Math.max(...areas) > MOST_GROWN ** 2 * Math.min(...areas)) return 0;
  const [[x, y], [nowX, nowY]] = [centreOf(before), centreOf(now)];
  const distance = Math.hypot(x - nowX, y - nowY) / Math.sqrt(Math.max(...areas));
  return overlap(before, now) + Math.max(0, 1 - distance / REACH);
}
