/** What lies over the image: bounding boxes with labels, avatars that anonymize faces, and the snapshot of both. */

import constants from "../inference/constants.js";
import { rollOf } from "../inference/predictions.js";
import { Avatar, COVER_RATIO, VISIBLE_SHARE, paintAvatar, parseEmotion } from "./avatar.js";
import { createElement, setText } from "./dom.js";
import { boxLabel, cssColor } from "./face_panel.js";

const LABEL_HEIGHT = 30; // pixels that a label needs above its box
const HOLD_SECONDS = 1; // that a lost face stays anonymized, as long as its track lasts
const UNSURE_COLOR = "#b9bec6";

/** Bounding boxes as buttons: a click selects the face. */
export class BoxOverlay {
  #boxes = [];

  /**
   * @param parent an element that covers the whole image.
   * @param onSelect receives the index of the clicked face.
   */
  constructor(parent, onSelect) {
    this.parent = parent;
    this.onSelect = onSelect;
  }

  /**
   * @param faces of a result.
   * @param size {width, height} of the image in pixels.
   * @param options {followed: index of a face, mirrored, avatars: whether to draw them over the faces}.
   */
  show(faces, size, { followed = 0, mirrored = false, avatars = false } = {}) {
    while (this.#boxes.length < faces.length) this.#boxes.push(this.#createBox(this.#boxes.length));
    const view = { width: size.width, scale: this.parent.clientWidth / size.width, mirrored };
    this.#boxes.forEach((box, index) => {
      box.button.hidden = index >= faces.length;
      if (box.button.hidden) return;
      placeBox(box, faces[index], view);
      box.button.classList.toggle("followed", index === followed);
      if (avatars) placeAvatar(box, faces[index], view);
    });
  }

  #createBox(index) {
    const button = createElement("button", "box");
    const label = createElement("span", "label");
    // keyboards and screen readers use the face picker next to the image
    button.type = "button";
    button.tabIndex = -1;
    button.setAttribute("aria-hidden", "true");
    button.addEventListener("click", () => this.onSelect(index));
    button.append(label);
    this.parent.append(button);
    return { button, label, avatar: null };
  }
}

function placeBox({ button, label }, face, { width, scale, mirrored }) {
  const [left, top, right, bottom] = mirrored ? mirroredBox(face.box, width) : face.box;
  button.style.transform = `translate(${(left * scale).toFixed(1)}px, ${(top * scale).toFixed(1)}px)`;
  button.style.width = `${((right - left) * scale).toFixed(1)}px`;
  button.style.height = `${((bottom - top) * scale).toFixed(1)}px`;
  button.style.setProperty("--color", face.unsure ? UNSURE_COLOR : cssColor(face.emotion));
  button.classList.toggle("unsure", face.unsure);
  button.classList.toggle("label-below", top * scale < LABEL_HEIGHT);
  setText(label, boxLabel(face));
}

function placeAvatar(box, face, { scale, mirrored }) {
  box.avatar ??= new Avatar(box.button);
  box.avatar.show(face.probabilities);
  const side = `${(VISIBLE_SHARE * coverSide(face.box) * scale).toFixed(1)}px`;
  const roll = rollDegrees(face, mirrored).toFixed(1);
  Object.assign(box.avatar.svg.style, { width: side, height: side, transform: `translate(-50%, -50%) rotate(${roll}deg)` });
}

/**
 * The canvas that replaces the video while faces are anonymized.
 *
 * It shows only frames that were analyzed, so that no face is visible before its avatar is. A face that is lost stays
 * covered for a second.
 */
export class AnonymizedFrame {
  #recentFaces = new Map();

  constructor(canvas) {
    this.canvas = canvas;
  }

  /** Shows nothing until the next frame was analyzed. */
  clear() {
    this.#recentFaces.clear();
    this.canvas.width = this.canvas.height = 0;
  }

  /** Shows a frame and returns the faces to cover in it: those detected, then those just lost. */
  show(frame, { faces, seconds }) {
    Object.assign(this.canvas, { width: frame.width, height: frame.height });
    this.canvas.getContext("2d").drawImage(frame, 0, 0);
    const tracks = faces.map((face) => face.track);
    const lost = [...this.#recentFaces].filter(
      ([track, { lastSeen }]) => !tracks.includes(track) && Math.abs(seconds - lastSeen) <= HOLD_SECONDS,
    );
    this.#recentFaces = new Map([...lost, ...faces.map((face) => [face.track, { face, lastSeen: seconds }])]);
    return [...faces, ...lost.map(([, { face }]) => face)];
  }
}

/**
 * The image with its boxes and labels, or with its faces anonymized.
 *
 * @param image a video or canvas.
 * @param faces in pixels of ``width`` by ``height``.
 * @returns the promise of a PNG's Blob.
 */
export function takeSnapshot(image, faces, { mirrored, avatars, width, height }) {
  const canvas = createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  if (mirrored) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
  if (image.width || image.videoWidth) context.drawImage(image, 0, 0, width, height);
  context.resetTransform();
  for (const face of faces) {
    const box = mirrored ? mirroredBox(face.box, canvas.width) : face.box;
    if (avatars) drawAvatar(context, face, box, mirrored);
    else drawBox(context, face, box);
  }
  return new Promise((resolve) => {
    canvas.toBlob(resolve, "image/png");
  });
}

function drawAvatar(context, face, [left, top, right, bottom], mirrored) {
  const size = coverSide([left, top, right, bottom]);
  const degrees = rollDegrees(face, mirrored);
  paintAvatar(context, face.probabilities, (left + right) / 2, (top + bottom) / 2, size, degrees);
}

function drawBox(context, face, [left, top, right, bottom]) {
  const fontSize = Math.max(14, context.canvas.height / 32);
  const [red, green, blue] = constants.colours[parseEmotion(face.emotion) ?? "neutral"];
  const text = boxLabel(face);
  context.strokeStyle = context.fillStyle = face.unsure ? UNSURE_COLOR : `rgb(${red} ${green} ${blue})`;
  context.lineWidth = fontSize / 6;
  context.strokeRect(left, top, right - left, bottom - top);
  context.font = `600 ${fontSize}px system-ui, sans-serif`;
  const width = context.measureText(text).width + fontSize;
  const y = top > 1.6 * fontSize ? top - 1.6 * fontSize : bottom + 0.2 * fontSize;
  context.beginPath();
  context.roundRect(left, y, width, 1.4 * fontSize, 0.3 * fontSize);
  context.fill();
  context.fillStyle = "#241a17";
  context.fillText(text, left + fontSize / 2, y + 1.02 * fontSize);
}

function mirroredBox([left, top, right, bottom], width) {
  return [width - right, top, width - left, bottom];
}

/** Side of the avatar's unit square over a box, in the box's pixels. */
function coverSide([left, top, right, bottom]) {
  return COVER_RATIO * Math.max(right - left, bottom - top);
}

function rollDegrees({ landmarks }, mirrored) {
  const roll = landmarks ? rollOf(landmarks) : 0;
  return mirrored ? -roll : roll;
}
