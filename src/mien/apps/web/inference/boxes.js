/** Boxes {left, top, right, bottom} and non-maximum suppression: mien/detection/boxes.py. */

export function sideOf(box) {
  return Math.max(box.right - box.left, box.bottom - box.top);
}

export function areaOf(box) {
  return (box.right - box.left) * (box.bottom - box.top);
}

export function centreOf(box) {
  return [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
}

/** Intersection over union; nested: over the smaller box instead. */
export function overlap(first, second, nested = false) {
  const width = Math.min(first.right, second.right) - Math.max(first.left, second.left);
  const height = Math.min(first.bottom, second.bottom) - Math.max(first.top, second.top);
  const intersection = Math.max(width, 0) * Math.max(height, 0);
  const areas = [areaOf(first), areaOf(second)];
  return intersection / (nested ? Math.min(...areas) : areas[0] + areas[1] - intersection);
}

/** Greedy non-maximum suppression: the faces to keep, best first. */
export function suppress(faces, maxOverlap, nested = false) {
  let candidates = faces.toSorted((first, second) => second.confidence - first.confidence);
  const kept = [];
  while (candidates.length) {
    const [best, ...rest] = candidates;
    kept.push(best);
    candidates = rest.filter((face) => overlap(best.box, face.box, nested) <= maxOverlap);
  }
  return kept;
}

export function largestFirst(faces) {
  return faces.toSorted((first, second) => areaOf(second.box) - areaOf(first.box));
}
