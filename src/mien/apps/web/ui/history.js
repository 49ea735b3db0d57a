/** The probabilities of one face over the last half minute, stacked; empty where no face was. */

import description from "./description.js";
import { emotionNamed } from "./poses.js";

const SECONDS = 30;
const COLUMNS = 300; // one for each tenth of a second
const BRIDGED = 10; // columns between two readings that are filled: slow reading is no gap

export class Strip {
  #rows = Array(COLUMNS).fill(null);
  #last = null;

  constructor(canvas) {
    this.canvas = canvas;
    canvas.width = COLUMNS;
  }

  /** Takes what a face shows at a time in seconds, {label: 0 to 1}, or null where there is none. */
  add(probabilities, seconds) {
    const now = Math.floor((seconds * COLUMNS) / SECONDS);
    const passed = this.#last === null || now < this.#last ? COLUMNS : Math.min(now - this.#last, COLUMNS);
    const before = this.#last === null ? null : this.#rows.at(-1);
    this.#rows = [...this.#rows.slice(passed), ...Array(passed).fill(null)];
    this.#last = now;
    if (probabilities) this.#rows.fill(probabilities, -(before && passed <= BRIDGED ? Math.max(passed, 1) : 1));
    this.#paint();
  }

  clear() {
    this.#rows.fill(null);
    this.#last = null;
    this.#paint();
  }

  /** In words: how much of the time each expression was the likeliest. */
  get words() {
    const counts = new Map();
    const seen = this.#rows.filter(Boolean);
    for (const row of seen) {
      const [best] = Object.entries(row).reduce((one, other) => (other[1] > one[1] ? other : one));
      counts.set(best, (counts.get(best) ?? 0) + 1);
    }
    if (!seen.length) return "No expression was read in the last 30 seconds";
    const parts = [...counts].sort(([, one], [, other]) => other - one);
    const told = parts.map(([label, count]) => `${label} ${Math.round((100 * count) / seen.length)} %`);
    return `Expressions of the last 30 seconds, share of the time with a face: ${told.join(", ")}`;
  }

  #paint() {
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    this.#rows.forEach((row, column) => {
      let top = 0;
      for (const [label, share] of Object.entries(row ?? {})) {
        const [red, green, blue] = description.colours[emotionNamed(label) ?? "neutral"];
        context.fillStyle = `rgb(${red} ${green} ${blue})`;
        // a hair more below, so that no seam shows
        context.fillRect(column, top * height, 1, share * height + 0.5);
        top += share;
      }
    });
  }
}
