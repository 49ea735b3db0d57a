/**
 * The prediction of a face, and its form in the result schema: mien/structures.py and mien/outputs/schema.py.
 *
 * A prediction is {face, labels, probabilities, unsureBelow, track, qualityIssues, stableLabel}.
 */

import constants from "./constants.js";
import { roundEven } from "./image.js";

const { AMBIGUOUS, BLURRED, NOSE_DEPTH_RATIO, ROLLED, ROLLED_DEGREES, TURNED, TURNED_AWAY_DEGREES } = constants.faces;

export function emotionOf(prediction) {
  const { stableLabel, labels, probabilities } = prediction;
  return stableLabel ?? labels[probabilities.indexOf(Math.max(...probabilities))];
}

export function probabilityOf(prediction, label = emotionOf(prediction)) {
  return prediction.probabilities[prediction.labels.indexOf(label)] ?? 0;
}

export function isUnsure(prediction) {
  const { face, qualityIssues, unsureBelow } = prediction;
  const isUnreliable = isTurnedAway(face) || qualityIssues.includes(BLURRED) || qualityIssues.includes(ROLLED);
  return isUnreliable || probabilityOf(prediction) < unsureBelow;
}

export function isRolled({ landmarks }) {
  return Boolean(landmarks) && Math.abs(rollOf(landmarks)) >= ROLLED_DEGREES;
}

export function isTurnedAway({ landmarks }) {
  return Boolean(landmarks) && Math.abs(yawOf(landmarks)) >= TURNED_AWAY_DEGREES;
}

/** Approximate yaw of the head in degrees: positive towards the right of the image. */
export function yawOf([rightEye, leftEye, nose]) {
  const [across, down] = [leftEye[0] - rightEye[0], leftEye[1] - rightEye[1]];
  const eyeDistance = Math.hypot(across, down);
  const [x, y] = [nose[0] - (leftEye[0] + rightEye[0]) / 2, nose[1] - (leftEye[1] + rightEye[1]) / 2];
  const noseOffset = eyeDistance ? (x * across + y * down) / eyeDistance : x;
  return (Math.atan2(noseOffset, NOSE_DEPTH_RATIO * eyeDistance) * 180) / Math.PI;
}

/** Roll of the head in degrees: positive clockwise. */
export function rollOf([rightEye, leftEye]) {
  return (Math.atan2(leftEye[1] - rightEye[1], leftEye[0] - rightEye[0]) * 180) / Math.PI;
}

function reasonsOf(prediction) {
  if (!isUnsure(prediction)) return [];
  const reasons = [...(isTurnedAway(prediction.face) ? [TURNED] : []), ...prediction.qualityIssues];
  return reasons.length ? reasons : [AMBIGUOUS];
}

/** A result as ``mien predict --json`` writes it. */
export function toResult(source, index, seconds, predictions) {
  return { schema: constants.schema, source, index, seconds, error: null, faces: predictions.map(faceToDict) };
}

function faceToDict(prediction) {
  const landmarks = prediction.face.landmarks?.map((point) => point.map(roundToHundredths)) ?? null;
  const rounded = { ...prediction, face: { ...prediction.face, landmarks } };
  const { face, labels, probabilities, track = null } = rounded;
  return {
    box: edges(face.box),
    landmarks,
    confidence: face.confidence,
    emotion: emotionOf(rounded),
    probability: probabilityOf(rounded),
    unsure: isUnsure(rounded),
    unsure_below: rounded.unsureBelow,
    turned_away: isTurnedAway(face),
    reasons: reasonsOf(rounded),
    quality_issues: rounded.qualityIssues,
    track,
    probabilities: Object.fromEntries(labels.map((label, row) => [label, probabilities[row]])),
  };
}

function edges({ left, top, right, bottom }) {
  const [x, y] = [roundEven(left), roundEven(top)];
  return [x, y, Math.max(roundEven(right), x + 1), Math.max(roundEven(bottom), y + 1)];
}

function roundToHundredths(value) {
  return roundEven(value * 100) / 100;
}

/** A result in the pixels of an image that is larger by a factor. */
export function scaleResult(result, factor) {
  if (factor === 1) return result;
  const faces = result.faces.map((face) => ({
    ...face,
    box: face.box.map((edge) => Math.round(edge * factor)),
    landmarks: face.landmarks?.map((point) => point.map((value) => roundToHundredths(value * factor))) ?? null,
  }));
  return { ...result, faces };
}
