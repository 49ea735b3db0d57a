/** Windows along a long image, such as a panorama: mien/detection/windows.py. */

import { centreOf } from "./boxes.js";
import constants from "./constants.js";
import { roundEven } from "./image.js";

const { BORDER_SHARE, LONG_ASPECT, MAX_WINDOWS, MIN_WINDOW_PX, WINDOW_ASPECT } = constants.windows;

/** The windows in which an image is searched: {left, top, right, bottom, holds}; one that holds all unless it is long. */
export function windowsOf({ width, height }) {
  const [shorter, longer] = [Math.min(width, height), Math.max(width, height)];
  let length = Math.max(roundEven(WINDOW_ASPECT * shorter), MIN_WINDOW_PX);
  if (longer <= Math.max(LONG_ASPECT * shorter, length)) {
    return [{ left: 0, top: 0, right: width, bottom: height, holds: () => true }];
  }
  const count = Math.min(Math.ceil((longer - shorter) / (length - shorter)), MAX_WINDOWS);
  length = Math.max(length, Math.ceil((longer - shorter) / count) + shorter);
  const margin = BORDER_SHARE * shorter;
  const isUpright = height > width;
  return Array.from({ length: count }, (_, index) => {
    const start = Math.floor((index * (longer - length)) / (count - 1));
    const first = index === 0 ? -Infinity : start + margin;
    const last = index === count - 1 ? Infinity : start + length - margin;
    const holds = (box) => {
      const centre = centreOf(box)[isUpright ? 1 : 0];
      return first <= centre && centre <= last;
    };
    return isUpright
      ? { left: 0, top: start, right: width, bottom: start + length, holds }
      : { left: start, top: 0, right: start + length, bottom: height, holds };
  });
}
