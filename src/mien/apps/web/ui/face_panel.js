/** What the page shows of one face: its expression in words, a bar for each expression, and buttons to choose another face. */

import { parseEmotion } from "./avatar.js";
import { createElement, formatPercent, setPressed, setText } from "./dom.js";

/** The label, with a question mark where the prediction is unsure. */
export function expressionText(face) {
  return face.unsure ? `${face.emotion}?` : face.emotion;
}

/** Why a prediction is unsure; empty where it is sure. */
export function unsureReasons(face) {
  return face.unsure ? `unsure: ${face.reasons.join(", ")}` : "";
}

/** The label with its probability, as shown next to a bounding box. */
export function boxLabel(face) {
  return face.unsure ? `${face.emotion}?` : `${face.emotion} ${formatPercent(face.probability)}`;
}

/** The CSS colour of a label; a class that is no emotion has the neutral one. */
export function cssColor(label) {
  return `var(--${parseEmotion(label) ?? "neutral"})`;
}

/** Bar chart of the class probabilities. */
export class ProbabilityBars {
  #rows = new Map();

  /** @param list the ``ul`` to fill. */
  constructor(list) {
    this.list = list;
  }

  /**
   * @param probabilities {label: 0 to 1}.
   * @param predicted the predicted label, or null.
   */
  show(probabilities, predicted = null) {
    const labels = Object.keys(probabilities);
    if (labels.join() !== [...this.#rows.keys()].join()) this.#createRows(labels);
    for (const [label, probability] of Object.entries(probabilities)) {
      const { row, bar, percent } = this.#rows.get(label);
      bar.style.transform = `scaleX(${probability.toFixed(3)})`;
      setText(percent, formatPercent(probability));
      row.classList.toggle("predicted", label === predicted);
    }
  }

  #createRows(labels) {
    this.#rows = new Map(labels.map((label) => [label, createRow(label)]));
    this.list.replaceChildren(...[...this.#rows.values()].map(({ row }) => row));
  }
}

function createRow(label) {
  const row = createElement("li");
  const track = createElement("span", "track");
  track.setAttribute("aria-hidden", "true");
  const bar = createElement("i");
  row.style.setProperty("--color", cssColor(label));
  track.append(bar);
  const percent = createElement("span", "percent");
  row.append(createElement("span", "name", label), track, percent);
  return { row, bar, percent };
}

/** Coloured dots that explain the colours of the labels. */
export function createLegend(labels) {
  return labels.map((label) => {
    const entry = createElement("span", "", label);
    const dot = createElement("i");
    dot.style.setProperty("--color", cssColor(label));
    entry.prepend(dot);
    return entry;
  });
}

/**
 * Fills a group with one button for each face; hidden where there is one face or none.
 *
 * @param group the element to fill.
 * @param followed index of the face that is followed: its button is pressed.
 * @param onSelect receives the index of the chosen face.
 */
export function showFacePicker(group, faces, followed, onSelect) {
  group.hidden = faces.length < 2;
  const count = group.hidden ? 0 : faces.length;
  while (group.children.length > count) group.lastChild.remove();
  while (group.children.length < count) group.append(createButton());
  [...group.children].forEach((button, index) => {
    const face = faces[index];
    setText(button, `Face ${face.track ?? index + 1}: ${expressionText(face)}`);
    button.style.setProperty("--color", cssColor(face.emotion));
    setPressed(button, index === followed);
    button.onclick = () => onSelect(index);
  });
}

function createButton() {
  const button = createElement("button");
  button.type = "button";
  return button;
}
