/**
 * What was read of a face, and its form in the one schema: mien/faces.py and mien/results/schema.py.
 *
 * A prediction is {face, labels, probabilities, unsureBelow, track, flaws, stableLabel}.
 */

import description from "./description.js";
import { roundEven } from "./numbers.js";

const { AMBIGUOUS, BLURRED, NOSE, TURNED, TURNED_AWAY } = description.faces;

export function emotionOf(prediction) {
  const { stableLabel, labels, probabilities } = prediction;
  return stableLabel ?? labels[probabilities.indexOf(Math.max(...probabilities))];
}

export function probabilityOf(prediction, label = emotionOf(prediction)) {
  return prediction.probabilities[prediction.labels.indexOf(label)] ?? 0;
}

export function isUnsure(prediction) {
  const { face, qualityIssues, unsureBelow } = prediction;
  return probabilityOf(prediction) < unsureBelow || isTurnedAway(face) || qualityIssues.includes(BLURRED);
}

export function isTurnedAway({ landmarks }) {
  return Boolean(landmarks) && Math.abs(yawOf(landmarks)) >= TURNED_AWAY;
}

/** Degrees that the head is turned aside, roughly: positive towards the image's right. */
export function yawOf([rightEye, leftEye, nose]) {
  const [across, down] = [leftEye[0] - rightEye[0], leftEye[1] - rightEye[1]];
  const apart = Math.hypot(across, down);
  const [x, y] = [nose[0] - (leftEye[0] + rightEye[0]) / 2, nose[1] - (leftEye[1] + rightEye[1]) / 2];
  const aside = apart ? (x * across + y * down) / apart : x;
  return (Math.atan2(aside, NOSE * apart) * 180) / Math.PI;
}

/** Degrees that the head leans in the image: positive when turned clockwise. */
export function rollOf([rightEye, leftEye]) {
  return (Math.atan2(leftEye[1] - rightEye[1], leftEye[0] - rightEye[0]) * 180) / Math.PI;
}

function reasonsOf(prediction) {
  if (!isUnsure(prediction)) return [];
  const reasons = [...(isTurnedAway(prediction.face) ? [TURNED] : []), ...prediction.qualityIssues];
  return reasons.length ? reasons : [AMBIGUOUS];
}

/** A result as ``mien predict --json`` writes it. */
export function resultOf(source, index, seconds, predictions) {
  return { schema: description.schema, source, index, seconds, error: null, faces: predictions.map(told) };
}

function told(prediction) {
  const landmarks = prediction.face.landmarks?.map((point) => point.map(hundredths)) ?? null;
  const rounded = { ...prediction, face: { ...prediction.face, landmarks } };
  const { face, labels, probabilities, track = null } = rounded;
  return {
    box: edges(face.box),
    landmarks,
    confidence: face.confidence,
    emotion: emotionOf(rounded),
    probability: probabilityOf(rounded),
    unsure: isUnsure(rounded),
    turned_away: isTurnedAway(face),
    reasons: reasonsOf(rounded),
    track,
    probabilities: Object.fromEntries(labels.map((label, row) => [label, probabilities[row]])),
  };
}

function edges({ left, top, right, bottom }) {
  const [first, upper] = [roundEven(left), roundEven(top)];
  return [first, upper, Math.max(roundEven(right), first + 1), Math.max(roundEven(bottom), upper + 1)];
}

function hundredths(value) {
  return roundEven(value * 100) / 100;
}

/** A result in the pixels of an image so many times larger. */
export function enlarged(result, times) {
  if (times === 1) return result;
  const faces = result.faces.map((face) => ({
    ...face,
    box: face.box.map((edge) => Math.round(edge * times)),
    landmarks: face.landmarks?.map((point) => point.map((value) => hundredths(value * times))) ?? null,
  }));
  return { ...result, faces };
}
