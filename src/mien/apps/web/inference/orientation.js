/** Faces on their side or upside down, found upright in rotated surroundings: mien/detection/orientation.py. */

import { areaOf, overlap, sideOf } from "./boxes.js";
import { cropAround, decode } from "./cells.js";
import constants from "./constants.js";
import { rotateOnBlack } from "./image.js";
import { rollOf } from "./predictions.js";

const {
  CERTAIN_SCORE, CLOSE_VIEW, MAX_STEPS, MIN_IOU, MIN_ROLL_CHANGE, MIN_SCORE, QUICK_LEAD, QUICK_VIEW, SIDEWAYS_SCORE,
  UPRIGHT_DEGREES,
} = constants.orientation;
const { min_face_px: MIN_FACE_PX } = constants.detection;

/**
 * The face, or the one found in its place in rotated surroundings if it is clearer.
 *
 * @param cellsOf runs the network on images of one size.
 */
export async function turnUpright(cellsOf, image, face) {
  if (face.confidence >= CERTAIN_SCORE) return face;
  const roll = rollOf(face.landmarks);
  const turns = face.confidence < SIDEWAYS_SCORE ? [180, 90, 270] : [180];
  const quick = await seen(cellsOf, closeUp(image, face, QUICK_VIEW), turns.map((turn) => roll + turn));
  const turned = clearestOf(quick);
  const rolls = [roll];
  if (turned.confidence - face.confidence > QUICK_LEAD) rolls.push(roll + turns[quick.indexOf(turned)]);
  else if (Math.abs(roll) <= UPRIGHT_DEGREES) return face;
  const close = closeUp(image, face, CLOSE_VIEW);
  const candidates = [];
  for (const start of rolls) candidates.push(await exact(cellsOf, close, start));
  const clearest = clearestOf(candidates);
  const change = Math.abs(rollOf(clearest.landmarks) - roll) % 360;
  if (Math.min(change, 360 - change) < MIN_ROLL_CHANGE || sideOf(clearest.box) < MIN_FACE_PX) return face;
  return { ...clearest, confidence: face.confidence };
}

/** The face as it is seen after its roll is undone, from a rough roll on. */
async function exact(cellsOf, close, roll) {
  let [clearest] = await seen(cellsOf, close, [roll]);
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const [next] = await seen(cellsOf, close, [rollOf(clearest.landmarks)]);
    if (next.confidence <= clearest.confidence) break;
    clearest = next;
  }
  return clearest;
}

function clearestOf(faces) {
  return faces.reduce((best, face) => (face.confidence > best.confidence ? face : best));
}

function closeUp(image, face, [side, faceSide]) {
  const [square, box] = cropAround(image, face.box, side, faceSide);
  return { face, square, box, pixel: sideOf(face.box) / faceSide };
}

/** The best candidate for the face after each of some rolls in degrees is undone; the face with score 0 if none. */
async function seen(cellsOf, { face, square, box, pixel }, rolls) {
  const side = square.width;
  const cellsOfViews = await cellsOf(rolls.map((roll) => rotateOnBlack(square, roll)));
  const [offsetX, offsetY] = [face.box.left - box.left * pixel, face.box.top - box.top * pixel];
  return rolls.map((roll, index) => {
    const rotated = decode(cellsOfViews[index], side, side, MIN_SCORE)
      .filter((found) => areaOf(found.box) > 0)
      .map((found) => rotateFace(found, roll, side))
      .filter((found) => overlap(box, found.box) > MIN_IOU);
    if (!rotated.length) return { ...face, confidence: 0 };
    const best = clearestOf(rotated);
    const { left, top, right, bottom } = best.box;
    return {
      box: {
        left: left * pixel + offsetX, top: top * pixel + offsetY,
        right: right * pixel + offsetX, bottom: bottom * pixel + offsetY,
      },
      landmarks: best.landmarks.map(([x, y]) => [x * pixel + offsetX, y * pixel + offsetY]),
      confidence: best.confidence,
    };
  });
}

/** A face rotated clockwise about the centre of a square image; its box is around the ellipse in the box. */
function rotateFace({ box, landmarks, confidence }, degrees, side) {
  const [cosine, sine] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const half = side / 2;
  const rotate = ([x, y]) => [
    (x - half) * cosine - (y - half) * sine + half,
    (x - half) * sine + (y - half) * cosine + half,
  ];
  const [x, y] = rotate([(box.left + box.right) / 2, (box.top + box.bottom) / 2]);
  const [halfWidth, halfHeight] = [(box.right - box.left) / 2, (box.bottom - box.top) / 2];
  const across = Math.hypot(halfWidth * cosine, halfHeight * sine);
  const down = Math.hypot(halfWidth * sine, halfHeight * cosine);
  const rotated = { left: x - across, top: y - down, right: x + across, bottom: y + down };
  return { box: rotated, landmarks: landmarks.map(rotate), confidence };
}
