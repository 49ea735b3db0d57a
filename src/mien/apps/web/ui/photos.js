/** The photo gallery: a card for each photo with its boxes, and the expression of the selected face. */

import constants from "../inference/constants.js";
import { Avatar, NEUTRAL } from "./avatar.js";
import { createElement } from "./dom.js";
import { ProbabilityBars, expressionText, showFacePicker, unsureReasons } from "./face_panel.js";
import { BoxOverlay } from "./overlay.js";

const MAX_PHOTO_HEIGHT = 240; // pixels

export class PhotoGallery {
  results = [];
  #urls = [];

  /**
   * @param list the ``ul`` of the cards.
   * @param predict a function from a file to the promise of its result.
   * @param onChange called when results are added or cleared.
   */
  constructor(list, predict, onChange) {
    this.list = list;
    this.predict = predict;
    this.onChange = onChange;
  }

  /** Analyzes photos one after another; the newest come first in the list, in their order. */
  async add(files) {
    const cards = files.map((file) => {
      const url = URL.createObjectURL(file);
      this.#urls.push(url);
      return [new PhotoCard(file.name, url), file];
    });
    this.list.prepend(...cards.map(([card]) => card.item));
    for (const [card, file] of cards) {
      try {
        const result = await this.predict(file);
        await card.showResult(result);
        this.#keep(card, result);
      } catch (error) {
        card.showError(error.message);
        const { schema } = constants;
        this.#keep(card, { schema, source: file.name, index: 0, seconds: null, error: error.message, faces: [] });
      }
    }
  }

  clear() {
    this.list.replaceChildren();
    this.results = [];
    for (const url of this.#urls.splice(0)) URL.revokeObjectURL(url);
    this.onChange();
  }

  #keep(card, result) {
    if (!card.item.isConnected) return;
    this.results.push(result);
    this.onChange();
  }
}

class PhotoCard {
  #selected = 0;

  constructor(name, url) {
    this.item = createElement("li", "card");
    this.photo = createElement("div", "photo");
    this.frame = createElement("div", "frame waiting");
    this.image = new Image();
    this.image.alt = name;
    this.image.src = url;
    this.image.addEventListener("load", () => this.#fit());
    const boxes = createElement("div", "boxes");
    this.overlay = new BoxOverlay(boxes, (index) => this.#select(index));
    this.details = createElement("div", "details");
    this.message = createElement("p", "message", "Analyzing …");
    this.details.append(this.message);
    this.frame.append(this.image, boxes);
    this.photo.append(this.frame);
    this.item.append(this.photo, this.details);
    new ResizeObserver(() => this.#fit()).observe(this.photo);
  }

  async showResult(result) {
    await this.image.decode().catch(() => {});
    this.result = result;
    this.frame.classList.remove("waiting");
    if (!result.faces.length) {
      this.message.textContent = `No face found in ${result.source}`;
      return;
    }
    const title = createElement("p", "title");
    this.expression = createElement("span");
    title.append(this.expression, createElement("span", "source", result.source));
    const portrait = createElement("div", "portrait");
    this.reasons = createElement("p", "source");
    const list = createElement("ul", "bars");
    this.picker = createElement("div", "faces");
    this.details.replaceChildren(portrait, title, this.reasons, list, this.picker);
    this.avatar = new Avatar(portrait);
    this.avatar.show(NEUTRAL, true);
    this.bars = new ProbabilityBars(list);
    this.#select(0);
  }

  showError(message) {
    this.frame.classList.remove("waiting");
    this.item.classList.add("failed");
    this.message.textContent = `${this.image.alt}: ${message}`;
    if (!this.image.naturalWidth) this.photo.hidden = true;
  }

  #select(index) {
    this.#selected = index;
    const face = this.result.faces[index];
    this.expression.textContent = expressionText(face);
    this.reasons.textContent = unsureReasons(face);
    this.bars.show(face.probabilities, face.emotion);
    this.avatar.show(face.probabilities);
    showFacePicker(this.picker, this.result.faces, index, (chosen) => this.#select(chosen));
    this.#fit();
  }

  /** Makes the image as large as the card allows, and places the boxes over it. */
  #fit() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    if (!width || !this.photo.clientWidth) return;
    const scale = Math.min(this.photo.clientWidth / width, MAX_PHOTO_HEIGHT / height);
    this.frame.style.width = `${width * scale}px`;
    this.frame.style.height = `${height * scale}px`;
    if (this.result) this.overlay.show(this.result.faces, { width, height }, { followed: this.#selected });
  }
}
