/** Logits to probabilities, several heads to one answer: mien/probabilities.py and mien/classification.py. */

import description from "./description.js";
import { sum } from "./numbers.js";

const { MIN_PROBABILITY } = description.probabilities;

export function softmax(logits, temperature = 1) {
  const most = Math.max(...logits);
  return normalised(logits.map((logit) => Math.exp((logit - most) / temperature)));
}

/** The weighted geometric mean of several heads' probabilities over the same labels, renormalised. */
export function geometricMean(parts, temperature = 1, offsets = []) {
  const weights = sum(parts.map(([, weight]) => weight));
  const mean = parts[0][0].map((_, label) =>
    sum(parts.map(([part, weight]) => (weight / weights) * Math.log(Math.max(part[label], MIN_PROBABILITY)))),
  );
  return softmax(mean.map((value, label) => value + (offsets[label] ?? 0)), temperature);
}

/** The columns of other labels, picked by name and renormalised. */
export function reorder(probabilities, fromLabels, toLabels) {
  const picked = toLabels.map((label) => probabilities[fromLabels.indexOf(label)]);
  return normalised(sum(picked) > 0 ? picked : picked.map(() => 1));
}

/**
 * What users are told of a face.
 *
 * @param card the model's.
 * @param logits of each head, in the card's order: arrays of numbers.
 */
export function fused(card, logits) {
  const { labels, weights, temperature, offsets } = card.fused;
  const parts = weights.map(([name, weight]) => {
    const place = card.heads.findIndex((head) => head.name === name);
    const head = card.heads[place];
    return [reorder(softmax(logits[place], head.temperature), head.labels, labels), weight];
  });
  return geometricMean(parts, temperature, offsets);
}

function normalised(values) {
  const total = sum(values);
  return values.map((value) => value / total);
}
