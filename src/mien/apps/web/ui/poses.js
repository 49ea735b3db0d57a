/** The numbers that pose a drawn face, one set for each expression, and their blend: mien/avatar/poses.py. */

import description from "./description.js";
import { sum } from "./numbers.js";

const { poses: POSES, synonyms: SYNONYMS } = description;
const NAMES = Object.keys(POSES.neutral).filter((name) => name !== "skin");

/** The poses of all expressions, blended by their probabilities; a class that is no emotion shows the neutral face. */
export function pose(labels, probabilities) {
  const total = sum(probabilities);
  const parts = labels.map((label, row) => [POSES[emotionNamed(label) ?? "neutral"], probabilities[row] / total]);
  const blended = { skin: blendedSkin(parts) };
  for (const name of NAMES) blended[name] = sum(parts.map(([part, share]) => part[name] * share));
  return blended;
}

/** The expression that a data set's word means, or undefined. */
export function emotionNamed(word) {
  return SYNONYMS[word.trim().toLowerCase()];
}

function blendedSkin(parts) {
  const skin = [0, 1, 2].map((channel) => sum(parts.map(([part, share]) => part.skin[channel] * share)));
  // yellow and blue would mix to mud: go half the way to the lightness that the parts have on average
  const wanted = sum(parts.map(([part, share]) => Math.max(...part.skin) * share));
  const lift = Math.sqrt(wanted / Math.max(...skin));
  return skin.map((channel) => channel * lift);
}
