/** The drawn face as SVG, which moves smoothly from one expression to the next; and on a canvas. */

import description from "./description.js";
import { hexOf, shapes } from "./outlines.js";
import { pose } from "./poses.js";

const SVG = "http://www.w3.org/2000/svg";
const EASE = 0.13; // seconds in which a face comes 63 % of the way nearer to what is shown
const NEAR = 0.002;

/** The share of the unit square that the SVG shows: the face has a rim of nothing around it. */
export const SEEN = 0.92;

/** Side of the unit square over the longer side of a face's box, where the avatar covers that face. */
export const COVER = 1.6;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

export const CALM = Object.fromEntries(description.labels.map((label) => [label, label === "neutral" ? 1 : 0]));

export class Avatar {
  #parts = [];
  #now = CALM;
  #wanted = CALM;
  #last = 0;
  #moving = false;

  /** @param parent the element that the face is put in. */
  constructor(parent) {
    this.svg = document.createElementNS(SVG, "svg");
    const rim = 500 * (1 - SEEN);
    this.svg.setAttribute("viewBox", `${rim} ${rim} ${1000 * SEEN} ${1000 * SEEN}`);
    this.svg.setAttribute("class", "face");
    this.svg.setAttribute("aria-hidden", "true");
    parent.append(this.svg);
    this.#paint();
  }

  /** Moves to what these probabilities, {label: 0 to 1}, look like; at once where motion is not wanted. */
  show(probabilities, atOnce = STILL.matches) {
    this.#wanted = probabilities;
    if (atOnce) {
      this.#now = probabilities;
      this.#paint();
    } else if (!this.#moving) {
      this.#moving = true;
      this.#last = performance.now();
      requestAnimationFrame((now) => this.#move(now));
    }
  }

  #move(now) {
    const kept = Math.exp(-Math.max(now - this.#last, 0) / 1000 / EASE);
    this.#last = now;
    const labels = new Set([...Object.keys(this.#now), ...Object.keys(this.#wanted)]);
    const far = [...labels].some((label) => Math.abs((this.#wanted[label] ?? 0) - (this.#now[label] ?? 0)) > NEAR);
    const blend = (label) => {
      const wanted = this.#wanted[label] ?? 0;
      return [label, wanted + kept * ((this.#now[label] ?? 0) - wanted)];
    };
    this.#now = Object.fromEntries([...labels].map(blend));
    if (!far) this.#now = this.#wanted;
    this.#paint();
    this.#moving = far;
    if (far) requestAnimationFrame((next) => this.#move(next));
  }

  #paint() {
    const all = shapes(pose(Object.keys(this.#now), Object.values(this.#now)));
    while (this.#parts.length < all.length) {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("stroke-linecap", "round");
      path.setAttribute("stroke-linejoin", "round");
      this.#parts.push(path);
      this.svg.append(path);
    }
    this.#parts.forEach((path, row) => dress(path, all[row]));
  }
}

function dress(path, shape) {
  if (!shape || !shape.points.length) {
    path.setAttribute("d", "");
    return;
  }
  path.setAttribute("d", outline(shape, 1000, 1));
  path.setAttribute("fill", shape.fill ? hexOf(shape.fill) : "none");
  path.setAttribute("stroke", shape.stroke ? hexOf(shape.stroke) : "none");
  path.setAttribute("stroke-width", (1000 * shape.width).toFixed(1));
}

function outline({ points, fill }, size, digits) {
  const corners = points.map(([x, y]) => `${(size * x).toFixed(digits)} ${(size * y).toFixed(digits)}`);
  return `M${corners.join("L")}${fill ? "Z" : ""}`;
}

/** Paints the face of these probabilities, its middle at x, y, so many pixels wide, leaning by degrees. */
export function paintAvatar(context, probabilities, x, y, size, degrees = 0) {
  context.save();
  context.translate(x, y);
  context.rotate((degrees * Math.PI) / 180);
  context.translate(-size / 2, -size / 2);
  context.lineCap = "round";
  context.lineJoin = "round";
  for (const shape of shapes(pose(Object.keys(probabilities), Object.values(probabilities)))) {
    const path = new Path2D(outline(shape, size, 2));
    if (shape.fill) {
      context.fillStyle = hexOf(shape.fill);
      context.fill(path);
    }
    if (shape.stroke) {
      context.strokeStyle = hexOf(shape.stroke);
      context.lineWidth = shape.width * size;
      context.stroke(path);
    }
  }
  context.restore();
}
