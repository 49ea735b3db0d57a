/** Takes the frames of a source as they come, the newest only, and hands them to a reader. */

import { enlarged } from "./predictions.js";

const LONGEST = 640; // pixels at which faces are found anyway
const MOST_KEPT = 20_000;

export class Live {
  source = null;
  paused = false;
  results = [];
  #asked = 0;
  #count = 0;
  #began = 0;
  #held = false;
  #frame = 0;
  #times = [];
  #canvas = document.createElement("canvas");

  /** Whether frames are handed on with what was read in them, so that boxes and image are of one moment. */
  keepsFrames = false;

  /**
   * @param video the element that plays.
   * @param reader gives the reader to use now.
   * @param on {result(result, frame)}: what was read, in the video's pixels; the frame itself where it is kept.
   */
  constructor(video, reader, on) {
    this.video = video;
    this.reader = reader;
    this.on = on;
    this.#canvas.getContext("2d", { willReadFrequently: true });
  }

  /** Opens a source and begins. True where it plays; false where it was stopped meanwhile. */
  async start(source) {
    this.stop();
    this.#asked += 1;
    const asked = this.#asked;
    try {
      await source.open(this.video);
    } catch (error) {
      if (asked === this.#asked) throw error;
      return false;
    }
    if (asked !== this.#asked) {
      source.close(this.video);
      return false;
    }
    Object.assign(this, { source, paused: false, results: [] });
    this.#count = 0;
    this.#began = performance.now();
    this.#times = [];
    this.#held = false;
    this.#next();
    await this.video.play().catch(() => {});
    return asked === this.#asked;
  }

  /** Lets go of the source. */
  stop() {
    this.#asked += 1;
    this.video.cancelVideoFrameCallback(this.#frame);
    this.source?.close(this.video);
    this.source = null;
  }

  setPaused(paused) {
    this.paused = paused;
    if (paused) this.video.pause();
    else this.video.play().catch(() => {});
  }

  /** Readings a second, over the last two. */
  get rate() {
    const now = performance.now();
    this.#times = this.#times.filter((time) => time > now - 2_000);
    const [first, last] = [this.#times[0], this.#times.at(-1)];
    return this.#times.length > 1 ? ((this.#times.length - 1) * 1_000) / (last - first) : 0;
  }

  #next() {
    this.#frame = this.video.requestVideoFrameCallback((_, about) => {
      this.#next();
      this.#seen(about.mediaTime);
    });
  }

  #seen(mediaTime) {
    if (this.paused || document.hidden) return;
    if (this.reader().free) {
      this.#take(mediaTime);
    } else if (!this.source.live) {
      // no frame of a file is left out: it waits until this one can be read
      this.#held = mediaTime;
      this.video.pause();
    }
  }

  #take(mediaTime) {
    const { videoWidth: width, videoHeight: height } = this.video;
    const scale = Math.min(1, LONGEST / Math.max(width, height));
    Object.assign(this.#canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    this.#canvas.getContext("2d").drawImage(this.video, 0, 0, this.#canvas.width, this.#canvas.height);
    const seconds = this.source.live ? (performance.now() - this.#began) / 1_000 : mediaTime;
    const frame = this.keepsFrames ? copied(this.#canvas) : null;
    const about = { asked: this.#asked, index: this.#count, seconds, times: width / this.#canvas.width, frame };
    this.#count += 1;
    this.reader().send(this.#canvas, about);
  }

  /** What a reader answers, null where it could not read the frame. */
  took(result, { asked, index, seconds, times, frame }) {
    if (asked !== this.#asked) return;
    if (result) {
      const source = this.source.file?.name ?? "camera";
      const told = { ...enlarged(result, times), source, index, seconds };
      this.#times.push(performance.now());
      this.results.push(told);
      if (this.results.length > MOST_KEPT) this.results.shift();
      this.on.result(told, frame);
    }
    this.goOn();
  }

  /** Reads the frame that waits, if there is one, and plays on. */
  goOn() {
    if (this.#held === false || !this.source || !this.reader().free || this.paused) return;
    const mediaTime = this.#held;
    this.#held = false;
    this.#take(mediaTime);
    if (!this.video.ended) this.video.play().catch(() => {});
  }
}

function copied(canvas) {
  const copy = document.createElement("canvas");
  Object.assign(copy, { width: canvas.width, height: canvas.height });
  copy.getContext("2d").drawImage(canvas, 0, 0);
  return copy;
}
