/** Photos as cards: the image with its faces boxed, and what the face that is chosen shows. */

import { Avatar, CALM } from "./avatar.js";
import { Bars, element } from "./bars.js";
import { BoxesView } from "./boxes_view.js";
import { chooser, reasonOf, wordOf } from "./told.js";

const HIGH = 240; // pixels of a card's image

export class Photos {
  results = [];
  #addresses = [];

  /**
   * @param list the ul of the cards.
   * @param read a file to the promise of its result.
   * @param changed called when there are more or fewer.
   */
  constructor(list, read, changed) {
    this.list = list;
    this.read = read;
    this.changed = changed;
  }

  /** Reads photos one after another; the newest stand first, in their order. */
  async add(files) {
    const cards = files.map((file) => {
      const address = URL.createObjectURL(file);
      this.#addresses.push(address);
      return [new Card(file.name, address), file];
    });
    this.list.prepend(...cards.map(([card]) => card.item));
    for (const [card, file] of cards) {
      try {
        const result = await this.read(file);
        await card.show(result);
        this.#keep(card, result);
      } catch (error) {
        card.fail(error.message);
        this.#keep(card, { schema: 1, source: file.name, index: 0, seconds: null, error: error.message, faces: [] });
      }
    }
  }

  /** Forgets all of them. */
  clear() {
    this.list.replaceChildren();
    this.results = [];
    for (const address of this.#addresses.splice(0)) URL.revokeObjectURL(address);
    this.changed();
  }

  #keep(card, result) {
    if (!card.item.isConnected) return;
    this.results.push(result);
    this.changed();
  }
}

class Card {
  #place = 0;

  constructor(name, address) {
    this.item = element("li", "card");
    this.photo = element("div", "photo");
    this.frame = element("div", "frame waiting");
    this.image = new Image();
    this.image.alt = name;
    this.image.src = address;
    this.image.addEventListener("load", () => this.#fit());
    this.over = element("div", "boxes");
    this.boxes = new BoxesView(this.over, (place) => this.#follow(place));
    this.about = element("div", "about");
    this.message = element("p", "message", "Reading …");
    this.about.append(this.message);
    this.frame.append(this.image, this.over);
    this.photo.append(this.frame);
    this.item.append(this.photo, this.about);
    new ResizeObserver(() => this.#fit()).observe(this.photo);
  }

  async show(result) {
    await this.image.decode().catch(() => {});
    this.result = result;
    this.frame.classList.remove("waiting");
    if (!result.faces.length) {
      this.message.textContent = `No face was found in ${result.source}`;
      return;
    }
    const title = element("p", "title");
    this.word = element("span");
    title.append(this.word, element("span", "source", result.source));
    const portrait = element("div", "portrait");
    this.why = element("p", "source");
    const list = element("ul", "bars");
    this.choice = element("div", "faces");
    this.about.replaceChildren(portrait, title, this.why, list, this.choice);
    this.avatar = new Avatar(portrait);
    this.avatar.show(CALM, true);
    this.bars = new Bars(list);
    this.#follow(0);
  }

  fail(message) {
    this.frame.classList.remove("waiting");
    this.item.classList.add("failed");
    this.message.textContent = `${this.image.alt}: ${message}`;
    if (!this.image.naturalWidth) this.photo.hidden = true;
  }

  #follow(place) {
    this.#place = place;
    const face = this.result.faces[place];
    this.word.textContent = wordOf(face);
    this.why.textContent = reasonOf(face);
    this.bars.show(face.probabilities, face.emotion);
    this.avatar.show(face.probabilities);
    chooser(this.choice, this.result.faces, place, (chosen) => this.#follow(chosen));
    this.#fit();
  }

  /** The image as large as the card lets it be, the boxes over it. */
  #fit() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    if (!width || !this.photo.clientWidth) return;
    const scale = Math.min(this.photo.clientWidth / width, HIGH / height);
    this.frame.style.width = `${width * scale}px`;
    this.frame.style.height = `${height * scale}px`;
    if (this.result) this.boxes.show(this.result.faces, { width, height }, { followed: this.#place });
  }
}
