/** An image in, the faces and the expression each shows out: mien/recognizer.py, in the browser. */

import { crop } from "./cropping.js";
import { Detector } from "./detector.js";
import { mirrored } from "./images.js";
import { fused } from "./probabilities.js";
import { qualityIssues } from "./quality.js";

export class Recognizer {
  /**
   * @param finds the detector's network: images of one size to the cells of each.
   * @param names the classifier's: face crops to the logits of each head, [head][face crop].
   * @param cards {detector, classifier}.
   */
  constructor(finds, names, cards) {
    this.detector = new Detector(finds, cards.detector);
    this.names = names;
    this.card = cards.classifier;
  }

  /** The predictions of an RGB image, largest face first. */
  async predict(image) {
    const faces = await this.detector.detect(image);
    if (!faces.length) return [];
    const { crop: rule, size, channels } = this.card;
    const crops = faces.map((face) => crop(image, face, rule, size, channels));
    const logits = await this.#logits(crops);
    return faces.map((face, row) => ({
      face,
      labels: this.card.fused.labels,
      probabilities: fused(this.card, logits.map((head) => head[row])),
      unsureBelow: this.card.fused.unsure_below,
      track: null,
      qualityIssues: qualityIssues(face, crops[row]),
      stableLabel: null,
    }));
  }

  /** What the graph says of the face crops; of both mirror images the mean, where the card says so. */
  async #logits(crops) {
    if (!this.card.mirrored) return this.names(crops);
    const heads = await this.names([...crops, ...crops.map(mirrored)]);
    return heads.map((rows) =>
      crops.map((_, row) => rows[row].map((value, label) => 0.5 * (value + rows[row + crops.length][label]))),
    );
  }
}
