/** The image as it is shown, with its boxes and words, or its faces covered. */

import description from "./description.js";
import { COVER, paintAvatar } from "./avatar.js";
import { percent } from "./bars.js";
import { emotionNamed } from "./poses.js";
import { rollOf } from "./predictions.js";

/**
 * @param image a video or canvas.
 * @param faces in pixels of ``width`` by ``height``.
 * @returns the promise of a PNG's Blob.
 */
export function snapshot(image, faces, { mirrored, avatars, width, height }) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  if (mirrored) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
  if (image.width || image.videoWidth) context.drawImage(image, 0, 0, width, height);
  context.resetTransform();
  for (const face of faces) {
    const box = mirrored ? turned(face.box, canvas.width) : face.box;
    if (avatars) cover(context, face, box, mirrored);
    else mark(context, face, box);
  }
  return new Promise((resolve) => {
    canvas.toBlob(resolve, "image/png");
  });
}

function turned([left, top, right, bottom], width) {
  return [width - right, top, width - left, bottom];
}

function cover(context, face, [left, top, right, bottom], mirrored) {
  const size = COVER * Math.max(right - left, bottom - top);
  const roll = face.landmarks ? rollOf(face.landmarks) : 0;
  paintAvatar(context, face.probabilities, (left + right) / 2, (top + bottom) / 2, size, mirrored ? -roll : roll);
}

function mark(context, face, [left, top, right, bottom]) {
  const text = Math.max(14, context.canvas.height / 32);
  const [red, green, blue] = description.colours[emotionNamed(face.emotion) ?? "neutral"];
  const colour = face.unsure ? "#b9bec6" : `rgb(${red} ${green} ${blue})`;
  const words = face.unsure ? `${face.emotion}?` : `${face.emotion} ${percent(face.probability)}`;
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = text / 6;
  context.strokeRect(left, top, right - left, bottom - top);
  context.font = `600 ${text}px system-ui, sans-serif`;
  const wide = context.measureText(words).width + text;
  const y = top > 1.6 * text ? top - 1.6 * text : bottom + 0.2 * text;
  context.beginPath();
  context.roundRect(left, y, wide, 1.4 * text, 0.3 * text);
  context.fill();
  context.fillStyle = "#241a17";
  context.fillText(words, left + text / 2, y + 1.02 * text);
}
