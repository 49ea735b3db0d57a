/** A bar for each expression. */

import { emotionNamed } from "./poses.js";

/** The name of the colour of a label; a class that is no emotion has the neutral one. */
export function hueOf(label) {
  return `var(--${emotionNamed(label) ?? "neutral"})`;
}

export function percent(share) {
  return `${Math.round(100 * share)}\u00a0%`;
}

export class Bars {
  #rows = new Map();

  /** @param list the ul that the bars are put in. */
  constructor(list) {
    this.list = list;
  }

  /** @param probabilities {label: 0 to 1}; @param named the label that is told, or null. */
  show(probabilities, named = null) {
    const labels = Object.keys(probabilities);
    if (labels.join() !== [...this.#rows.keys()].join()) this.#begin(labels);
    for (const [label, share] of Object.entries(probabilities)) {
      const { row, bar, told } = this.#rows.get(label);
      bar.style.transform = `scaleX(${share.toFixed(3)})`;
      if (told.textContent !== percent(share)) told.textContent = percent(share);
      row.classList.toggle("best", label === named);
    }
  }

  #begin(labels) {
    this.#rows = new Map(labels.map((label) => [label, rowOf(label)]));
    this.list.replaceChildren(...[...this.#rows.values()].map(({ row }) => row));
  }
}

function rowOf(label) {
  const row = element("li");
  const track = element("span", "track");
  track.setAttribute("aria-hidden", "true");
  const bar = element("i");
  row.style.setProperty("--hue", hueOf(label));
  track.append(bar);
  const told = element("span", "share");
  row.append(element("span", "name", label), track, told);
  return { row, bar, told };
}

export function element(tag, kind = "", text = "") {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text) made.textContent = text;
  return made;
}
