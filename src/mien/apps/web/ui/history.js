/** The class probabilities of one face over the last 30 seconds, as a stacked chart; empty where there was no face. */

import constants from "../inference/constants.js";
import { parseEmotion } from "./avatar.js";

const WINDOW_SECONDS = 30;
const COLUMN_COUNT = 300; // one for each tenth of a second
const MAX_FILLED_COLUMNS = 10; // between two results: a low frame rate is no gap

export class ProbabilityHistory {
  #columns = Array(COLUMN_COUNT).fill(null);
  #lastColumn = null;

  constructor(canvas) {
    this.canvas = canvas;
    canvas.width = COLUMN_COUNT;
  }

  /**
   * @param probabilities {label: 0 to 1}, or null where there was no face.
   * @param seconds time of the frame.
   */
  add(probabilities, seconds) {
    const column = Math.floor((seconds * COLUMN_COUNT) / WINDOW_SECONDS);
    const restarts = this.#lastColumn === null || column < this.#lastColumn;
    const shift = restarts ? COLUMN_COUNT : Math.min(column - this.#lastColumn, COLUMN_COUNT);
    const previous = this.#lastColumn === null ? null : this.#columns.at(-1);
    this.#columns = [...this.#columns.slice(shift), ...Array(shift).fill(null)];
    this.#lastColumn = column;
    const filled = previous && shift <= MAX_FILLED_COLUMNS ? Math.max(shift, 1) : 1;
    if (probabilities) this.#columns.fill(probabilities, -filled);
    this.#paint();
  }

  clear() {
    this.#columns.fill(null);
    this.#lastColumn = null;
    this.#paint();
  }

  /** A description for screen readers: the share of time in which each expression was the most probable. */
  get description() {
    const withFace = this.#columns.filter(Boolean);
    if (!withFace.length) return "No face in the last 30 seconds";
    const counts = new Map();
    for (const probabilities of withFace) {
      const [label] = Object.entries(probabilities).reduce((best, entry) => (entry[1] > best[1] ? entry : best));
      counts.set(label, (counts.get(label) ?? 0) + 1);
    }
    const sorted = [...counts].sort(([, first], [, second]) => second - first);
    const shares = sorted.map(([label, count]) => `${label} ${Math.round((100 * count) / withFace.length)} %`);
    return `Expressions in the last 30 seconds, as a share of the time with a face: ${shares.join(", ")}`;
  }

  #paint() {
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    this.#columns.forEach((probabilities, column) => {
      let top = 0;
      for (const [label, probability] of Object.entries(probabilities ?? {})) {
        const [red, green, blue] = constants.colours[parseEmotion(label) ?? "neutral"];
        context.fillStyle = `rgb(${red} ${green} ${blue})`;
        // half a pixel more at the bottom, so that no seam shows
        context.fillRect(column, top * height, 1, probability * height + 0.5);
        top += probability;
      }
    });
  }
}
