/** Boxes {left, top, right, bottom}, and keeping one of many that mean the same face: mien/detection/boxes.py. */

export function sideOf(box) {
  return Math.max(box.right - box.left, box.bottom - box.top);
}

export function areaOf(box) {
  return (box.right - box.left) * (box.bottom - box.top);
}

export function centreOf(box) {
  return [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
}

/** Square pixels in both boxes over their union; nested: over the smaller one. */
export function overlap(one, other, nested = false) {
  const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
  const height = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  const areas = [areaOf(one), areaOf(other)];
  return shared / (nested ? Math.min(...areas) : areas[0] + areas[1] - shared);
}

/** Greedy non-maximum suppression: the faces to keep, best first. */
export function suppress(faces, most, nested = false) {
  let waiting = faces.toSorted((one, other) => other.confidence - one.confidence);
  const kept = [];
  while (waiting.length) {
    const [best, ...rest] = waiting;
    kept.push(best);
    waiting = rest.filter((face) => overlap(best.box, face.box, nested) <= most);
  }
  return kept;
}

export function largestFirst(faces) {
  return faces.toSorted((one, other) => areaOf(other.box) - areaOf(one.box));
}
