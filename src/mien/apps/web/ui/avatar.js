/** The avatar: poses blended by the class probabilities, drawn as SVG that moves smoothly, or on a canvas. */

import constants from "../inference/constants.js";
import { sum } from "../inference/probabilities.js";
import { hexOf, shapes } from "./outlines.js";

const { poses: POSES, synonyms: SYNONYMS } = constants;
const POSE_FIELDS = Object.keys(POSES.neutral).filter((field) => field !== "skin");
const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const TIME_CONSTANT = 0.13; // seconds in which the pose comes 63 % nearer to its target
const MIN_CHANGE = 0.002; // of a probability: below, the animation has arrived
const REDUCED_MOTION = matchMedia("(prefers-reduced-motion: reduce)");

/** The share of the unit square that the SVG shows: the face has an empty rim around it. */
export const VISIBLE_SHARE = 0.92;

/** Side of the unit square over the longer side of a face's box, where the avatar covers that face. */
export const COVER_RATIO = 1.6;

export const NEUTRAL = Object.fromEntries(constants.labels.map((label) => [label, label === "neutral" ? 1 : 0]));

/** The emotion that a data set's label means, or undefined. */
export function parseEmotion(label) {
  return SYNONYMS[label.trim().toLowerCase()];
}

/** The poses of all labels, blended by their probabilities; a class that is no emotion shows the neutral face. */
export function pose(labels, probabilities) {
  const total = sum(probabilities);
  const parts = labels.map((label, row) => [POSES[parseEmotion(label) ?? "neutral"], probabilities[row] / total]);
  const blended = { skin: blendedSkin(parts) };
  for (const field of POSE_FIELDS) blended[field] = sum(parts.map(([part, weight]) => part[field] * weight));
  return blended;
}

function blendedSkin(parts) {
  const skin = [0, 1, 2].map((channel) => sum(parts.map(([part, weight]) => part.skin[channel] * weight)));
  // yellow and blue would mix to mud: go half the way to the mean lightness of the parts
  const lightness = sum(parts.map(([part, weight]) => Math.max(...part.skin) * weight));
  const gain = Math.sqrt(lightness / Math.max(...skin));
  return skin.map((channel) => channel * gain);
}

export class Avatar {
  #paths = [];
  #current = NEUTRAL;
  #target = NEUTRAL;
  #lastTime = 0;
  #isMoving = false;

  /** @param parent the element that the SVG is appended to. */
  constructor(parent) {
    this.svg = document.createElementNS(SVG_NAMESPACE, "svg");
    const rim = 500 * (1 - VISIBLE_SHARE);
    this.svg.setAttribute("viewBox", `${rim} ${rim} ${1000 * VISIBLE_SHARE} ${1000 * VISIBLE_SHARE}`);
    this.svg.setAttribute("class", "face");
    this.svg.setAttribute("aria-hidden", "true");
    parent.append(this.svg);
    this.#paint();
  }

  /**
   * Moves to the pose of some probabilities.
   *
   * @param probabilities {label: 0 to 1}.
   * @param immediately without a transition, as where the user prefers reduced motion.
   */
  show(probabilities, immediately = REDUCED_MOTION.matches) {
    this.#target = probabilities;
    if (immediately) {
      this.#current = probabilities;
      this.#paint();
    } else if (!this.#isMoving) {
      this.#isMoving = true;
      this.#lastTime = performance.now();
      requestAnimationFrame((time) => this.#step(time));
    }
  }

  #step(time) {
    const decay = Math.exp(-Math.max(time - this.#lastTime, 0) / 1000 / TIME_CONSTANT);
    this.#lastTime = time;
    const labels = [...new Set([...Object.keys(this.#current), ...Object.keys(this.#target)])];
    const current = (label) => this.#current[label] ?? 0;
    const target = (label) => this.#target[label] ?? 0;
    const isFar = labels.some((label) => Math.abs(target(label) - current(label)) > MIN_CHANGE);
    const blended = labels.map((label) => [label, target(label) + decay * (current(label) - target(label))]);
    this.#current = isFar ? Object.fromEntries(blended) : this.#target;
    this.#paint();
    this.#isMoving = isFar;
    if (isFar) requestAnimationFrame((next) => this.#step(next));
  }

  #paint() {
    const all = shapes(pose(Object.keys(this.#current), Object.values(this.#current)));
    while (this.#paths.length < all.length) {
      const path = document.createElementNS(SVG_NAMESPACE, "path");
      path.setAttribute("stroke-linecap", "round");
      path.setAttribute("stroke-linejoin", "round");
      this.#paths.push(path);
      this.svg.append(path);
    }
    this.#paths.forEach((path, row) => updatePath(path, all[row]));
  }
}

function updatePath(path, shape) {
  if (!shape || !shape.points.length) {
    path.setAttribute("d", "");
    return;
  }
  path.setAttribute("d", pathData(shape, 1000, 1));
  path.setAttribute("fill", shape.fill ? hexOf(shape.fill) : "none");
  path.setAttribute("stroke", shape.stroke ? hexOf(shape.stroke) : "none");
  path.setAttribute("stroke-width", (1000 * shape.width).toFixed(1));
}

function pathData({ points, fill }, size, digits) {
  const corners = points.map(([x, y]) => `${(size * x).toFixed(digits)} ${(size * y).toFixed(digits)}`);
  return `M${corners.join("L")}${fill ? "Z" : ""}`;
}

/**
 * Paints the avatar on a canvas.
 *
 * @param x, y its centre in pixels.
 * @param size side of the unit square in pixels.
 * @param degrees roll, clockwise.
 */
export function paintAvatar(context, probabilities, x, y, size, degrees = 0) {
  context.save();
  context.translate(x, y);
  context.rotate((degrees * Math.PI) / 180);
  context.translate(-size / 2, -size / 2);
  context.lineCap = "round";
  context.lineJoin = "round";
  for (const shape of shapes(pose(Object.keys(probabilities), Object.values(probabilities)))) {
    const path = new Path2D(pathData(shape, size, 2));
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
