/** Grid cells as candidates, and the surroundings of a face: parts of mien/detection/grid.py. */

import { centreOf, sideOf } from "./boxes.js";
import constants from "./constants.js";
import { cropRegion, pasteOnBlack, resize, roundEven } from "./image.js";

const { CELL_VALUES, MAX_LOG_SIZE, STRIDES } = constants.detection;

/** The candidates in the cells of an image before suppression, in pixels of the network's input. */
export function decode(cells, height, width, minScore) {
  const faces = [];
  let at = 0;
  for (const stride of STRIDES) {
    const columns = Math.floor(width / stride);
    const rows = Math.floor(height / stride);
    for (let cell = 0; cell < rows * columns; cell += 1, at += CELL_VALUES) {
      if (cells[at] >= minScore) faces.push(decodeCell(cells, at, cell % columns, Math.floor(cell / columns), stride));
    }
  }
  return faces;
}

function decodeCell(cells, at, column, row, stride) {
  const x = (column + cells[at + 1]) * stride;
  const y = (row + cells[at + 2]) * stride;
  const halfWidth = Math.exp(Math.min(cells[at + 3], MAX_LOG_SIZE)) * (stride / 2);
  const halfHeight = Math.exp(Math.min(cells[at + 4], MAX_LOG_SIZE)) * (stride / 2);
  const landmarks = [0, 2, 4, 6, 8].map((offset) => [
    (column + cells[at + 5 + offset]) * stride,
    (row + cells[at + 6 + offset]) * stride,
  ]);
  const box = { left: x - halfWidth, top: y - halfHeight, right: x + halfWidth, bottom: y + halfHeight };
  return { box, landmarks, confidence: cells[at] };
}

/** A face in the pixels of another image: shifted, then scaled. */
export function moveFace({ box, landmarks, confidence }, shiftX, shiftY, scaleX, scaleY) {
  return {
    box: {
      left: (box.left + shiftX) * scaleX,
      top: (box.top + shiftY) * scaleY,
      right: (box.right + shiftX) * scaleX,
      bottom: (box.bottom + shiftY) * scaleY,
    },
    landmarks: landmarks.map(([x, y]) => [(x + shiftX) * scaleX, (y + shiftY) * scaleY]),
    confidence,
  };
}

/** A square crop around a face, scaled so that the face has a given side: the crop, and the face's box in it. */
export function cropAround(image, box, side, faceSide) {
  const scale = faceSide / sideOf(box);
  const halfSide = side / scale / 2;
  const [x, y] = centreOf(box);
  const [left, top, right, bottom] = [x - halfSide, y - halfSide, x + halfSide, y + halfSide].map(roundEven);
  const [firstX, firstY] = [Math.max(left, 0), Math.max(top, 0)];
  const [lastX, lastY] = [Math.min(right, image.width), Math.min(bottom, image.height)];
  let crop = { width: side, height: side, channels: 3, data: new Uint8Array(side * side * 3) };
  if (lastX > firstX && lastY > firstY) {
    const region = cropRegion(image, firstX, firstY, lastX, lastY);
    const width = Math.max(1, roundEven(region.width * scale));
    const height = Math.max(1, roundEven(region.height * scale));
    const [offsetX, offsetY] = [roundEven((firstX - left) * scale), roundEven((firstY - top) * scale)];
    crop = pasteOnBlack(resize(region, width, height), side, side, offsetX, offsetY);
  }
  return [crop, moveFace({ box, landmarks: [] }, -left, -top, scale, scale).box];
}
