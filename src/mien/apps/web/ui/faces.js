/** What is said of a face in words, and the buttons that choose one of several. */

import { element, hueOf } from "./bars.js";

export function wordOf(face) {
  return face.unsure ? `${face.emotion}?` : face.emotion;
}

export function reasonOf(face) {
  return face.unsure ? `unsure: ${face.reasons.join(", ")}` : "";
}

/** Fills a group with a button for each face, where there are several; the one that is followed is pressed. */
export function chooser(group, faces, followed, choose) {
  group.hidden = faces.length < 2;
  const wanted = group.hidden ? 0 : faces.length;
  while (group.children.length > wanted) group.lastChild.remove();
  while (group.children.length < wanted) group.append(button());
  [...group.children].forEach((one, place) => {
    const face = faces[place];
    const words = `Face ${face.track ?? place + 1}: ${wordOf(face)}`;
    if (one.textContent !== words) one.textContent = words;
    one.style.setProperty("--hue", hueOf(face.emotion));
    one.setAttribute("aria-pressed", String(place === followed));
    one.onclick = () => choose(place);
  });
}

function button() {
  const made = element("button");
  made.type = "button";
  return made;
}

/** Says to screen readers what a face shows: a word that lasted, never more often than every few seconds. */
export class Announcer {
  #word = "";
  #since = 0;
  #said = "";
  #at = -Infinity;

  constructor(region, { lasting = 1_000, every = 4_000 } = {}) {
    Object.assign(this, { region, lasting, every });
  }

  /** Takes the word of now. */
  hear(word, now = performance.now()) {
    if (word !== this.#word) {
      this.#word = word;
      this.#since = now;
    }
    const due = now - this.#since >= this.lasting && now - this.#at >= this.every;
    if (due && word !== this.#said) this.say(word, now);
  }

  /** Says something at once. */
  say(words, now = performance.now()) {
    this.#said = words;
    this.#at = now;
    this.region.textContent = words;
  }
}
