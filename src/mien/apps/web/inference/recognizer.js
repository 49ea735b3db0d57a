/** Detects the faces in an image and classifies the expression of each: mien/recognizer.py, in the browser. */

import { crop } from "./face_crop.js";
import { Detector } from "./detector.js";
import { flipHorizontal } from "./image.js";
import { fuse } from "./probabilities.js";
import { qualityIssues } from "./quality.js";

export class Recognizer {
  /**
   * @param detectorNetwork runs the detector: images of one size to the grid cells of each.
   * @param classifierNetwork runs the classifier: face crops to the logits of each head, [head][crop].
   * @param cards of the models: {detector, classifier}.
   */
  constructor(detectorNetwork, classifierNetwork, cards) {
    this.detector = new Detector(detectorNetwork, cards.detector);
    this.classifierNetwork = classifierNetwork;
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
      probabilities: fuse(this.card, logits.map((head) => head[row])),
      unsureBelow: this.card.fused.unsure_below,
      track: null,
      qualityIssues: qualityIssues(face, crops[row]),
      stableLabel: null,
    }));
  }

  /** The logits of the face crops, averaged with those of the flipped crops if the card says so. */
  async #logits(crops) {
    if (!this.card.mirrored) return this.classifierNetwork(crops);
    const heads = await this.classifierNetwork([...crops, ...crops.map(flipHorizontal)]);
    return heads.map((rows) =>
      crops.map((_, row) => rows[row].map((value, label) => 0.5 * (value + rows[row + crops.length][label]))),
    );
  }
}
