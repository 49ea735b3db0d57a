/** Faces boxed over an image, each with its word; pressing one follows it. */

import { Avatar, COVER, SEEN } from "./avatar.js";
import { element, hueOf, percent } from "./bars.js";
import { rollOf } from "./predictions.js";

const LABEL = 30; // pixels that a label needs above its box

export class BoxesView {
  #boxes = [];

  /**
   * @param parent lies over the whole image.
   * @param pressed told the place of the face that was pressed.
   */
  constructor(parent, pressed) {
    this.parent = parent;
    this.pressed = pressed;
  }

  /**
   * @param faces of a result.
   * @param size {width, height} of the image that they are in.
   * @param how {followed: place of one, mirrored, avatars: whether they are drawn too}.
   */
  show(faces, size, { followed = 0, mirrored = false, avatars = false } = {}) {
    while (this.#boxes.length < faces.length) this.#boxes.push(this.#made(this.#boxes.length));
    this.#boxes.forEach((box, place) => {
      box.button.hidden = place >= faces.length;
      if (place < faces.length) this.#dress(box, faces[place], size, { followed: place === followed, mirrored, avatars });
    });
  }

  #made(place) {
    const button = element("button", "box");
    const label = element("span", "label");
    // the same choice is offered as words beside the image
    button.type = "button";
    button.tabIndex = -1;
    button.setAttribute("aria-hidden", "true");
    button.addEventListener("click", () => this.pressed(place));
    button.append(label);
    this.parent.append(button);
    return { button, label, avatar: null };
  }

  #dress(box, face, size, { followed, mirrored, avatars }) {
    const { button, label } = box;
    const [left, top, right, bottom] = face.box;
    const scale = this.parent.clientWidth / size.width;
    const x = (mirrored ? size.width - right : left) * scale;
    button.style.transform = `translate(${x.toFixed(1)}px, ${(top * scale).toFixed(1)}px)`;
    button.style.width = `${((right - left) * scale).toFixed(1)}px`;
    button.style.height = `${((bottom - top) * scale).toFixed(1)}px`;
    button.style.setProperty("--hue", face.unsure ? "#b9bec6" : hueOf(face.emotion));
    button.classList.toggle("followed", followed);
    button.classList.toggle("unsure", face.unsure);
    button.classList.toggle("low", top * scale < LABEL);
    const words = face.unsure ? `${face.emotion}?` : `${face.emotion} ${percent(face.probability)}`;
    if (label.textContent !== words) label.textContent = words;
    if (avatars) {
      box.avatar ??= new Avatar(button);
      box.avatar.show(face.probabilities);
      const roll = face.landmarks ? rollOf(face.landmarks) : 0;
      const side = COVER * SEEN * Math.max(right - left, bottom - top) * scale;
      Object.assign(box.avatar.svg.style, { width: `${side.toFixed(1)}px`, height: `${side.toFixed(1)}px` });
      box.avatar.svg.style.transform = `translate(-50%, -50%) rotate(${(mirrored ? -roll : roll).toFixed(1)}deg)`;
    }
  }
}
