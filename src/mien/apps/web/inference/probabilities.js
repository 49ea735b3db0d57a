/** From logits to probabilities, and the fused head: mien/classification/probabilities.py and classifier.py. */

import constants from "./constants.js";

const { MIN_PROBABILITY } = constants.probabilities;

export function sum(values) {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

export function softmax(logits, temperature = 1) {
  const max = Math.max(...logits);
  return normalise(logits.map((logit) => Math.exp((logit - max) / temperature)));
}

/**
 * The weighted geometric mean of several heads' probabilities over the same labels, renormalised.
 *
 * @param parts [probabilities, weight] of each head.
 */
export function geometricMean(parts, temperature = 1, offsets = []) {
  const totalWeight = sum(parts.map(([, weight]) => weight));
  const mean = parts[0][0].map((_, label) =>
    sum(parts.map(([part, weight]) => (weight / totalWeight) * Math.log(Math.max(part[label], MIN_PROBABILITY)))),
  );
  return softmax(mean.map((value, label) => value + (offsets[label] ?? 0)), temperature);
}

/** The probabilities of other labels, selected by name and renormalised. */
export function reorder(probabilities, fromLabels, toLabels) {
  const selected = toLabels.map((label) => probabilities[fromLabels.indexOf(label)]);
  return normalise(sum(selected) > 0 ? selected : selected.map(() => 1));
}

/**
 * The fused prediction of one face.
 *
 * @param card of the model.
 * @param logits one array for each head, in the card's order.
 */
export function fuse(card, logits) {
  const { labels, weights, temperature, offsets } = card.fused;
  const parts = weights.map(([name, weight]) => {
    const row = card.heads.findIndex((head) => head.name === name);
    const head = card.heads[row];
    return [reorder(softmax(logits[row], head.temperature), head.labels, labels), weight];
  });
  return geometricMean(parts, temperature, offsets);
}

function normalise(values) {
  const total = sum(values);
  return values.map((value) => value / total);
}
