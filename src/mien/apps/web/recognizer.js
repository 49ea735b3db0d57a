/** A picture in, the faces and the expression each shows out: mien/recognizer.py, in the browser. */

import { crop } from "./cropping.js";
import { Detector } from "./detector.js";
import { mirrored } from "./pictures.js";
import { answer } from "./probabilities.js";
import { flaws } from "./quality.js";

export class Recognizer {
  /**
   * @param finds the detector's network: pictures of one size to the cells of each.
   * @param names the classifier's: chips to the logits of each head, [head][chip].
   * @param cards {detector, classifier}.
   */
  constructor(finds, names, cards) {
    this.detector = new Detector(finds, cards.detector);
    this.names = names;
    this.card = cards.classifier;
  }

  /** The predictions of an RGB picture, largest face first. */
  async predict(picture) {
    const faces = await this.detector.detect(picture);
    if (!faces.length) return [];
    const { crop: rule, size, channels } = this.card;
    const chips = faces.map((face) => crop(picture, face, rule, size, channels));
    const logits = await this.#logits(chips);
    return faces.map((face, row) => ({
      face,
      labels: this.card.answer.labels,
      probabilities: answer(this.card, logits.map((head) => head[row])),
      unsureBelow: this.card.answer.unsure_below,
      track: null,
      flaws: flaws(face, chips[row]),
      held: null,
    }));
  }

  /** What the graph says of the chips; of both mirror images the mean, where the card says so. */
  async #logits(chips) {
    if (!this.card.mirrored) return this.names(chips);
    const heads = await this.names([...chips, ...chips.map(mirrored)]);
    return heads.map((rows) =>
      chips.map((_, row) => rows[row].map((value, label) => 0.5 * (value + rows[row + chips.length][label]))),
    );
  }
}
