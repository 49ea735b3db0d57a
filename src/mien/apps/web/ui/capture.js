/** The capture loop: hands the newest frame of a source to an inference backend, and measures frame rate and latency. */

import { scaleResult } from "../inference/predictions.js";

const MAX_FRAME_SIDE = 640; // pixels: the scale at which faces are detected anyway
const MAX_RESULTS = 20_000;
const STATS_WINDOW_MS = 2_000;

export class FrameCapture {
  source = null;
  isPaused = false;
  results = [];

  /** Whether to hand on each frame with its result, so that boxes and image belong together. */
  keepsFrames = false;

  #session = 0; // counts starts and stops: a late result of an earlier session is ignored
  #frameCount = 0;
  #startTime = 0;
  #pendingTime = null; // media time of the frame at which a video file waits for the backend
  #callbackId = 0;
  #samples = []; // {time, latency} of the results of the last two seconds
  #canvas = document.createElement("canvas");

  /**
   * @param video the element that plays.
   * @param getBackend returns the backend to use now.
   * @param onResult receives a result in the video's pixels, and the frame itself where it is kept.
   */
  constructor(video, getBackend, onResult) {
    this.video = video;
    this.getBackend = getBackend;
    this.onResult = onResult;
    this.#canvas.getContext("2d", { willReadFrequently: true });
  }

  /** Opens a source and plays it. Resolves to false where it was stopped in the meantime. */
  async start(source) {
    this.stop();
    this.#session += 1;
    const session = this.#session;
    try {
      await source.open(this.video);
    } catch (error) {
      if (session === this.#session) throw error;
      return false;
    }
    if (session !== this.#session) {
      source.close(this.video);
      return false;
    }
    Object.assign(this, { source, isPaused: false, results: [] });
    this.#frameCount = 0;
    this.#startTime = performance.now();
    this.#samples = [];
    this.#pendingTime = null;
    this.#requestFrame();
    await this.video.play().catch(() => {});
    return session === this.#session;
  }

  stop() {
    this.#session += 1;
    this.video.cancelVideoFrameCallback(this.#callbackId);
    this.source?.close(this.video);
    this.source = null;
  }

  setPaused(isPaused) {
    this.isPaused = isPaused;
    if (isPaused) this.video.pause();
    else this.video.play().catch(() => {});
  }

  /** Results of the last two seconds: {fps, latency: mean time from a frame to its result, in milliseconds}. */
  get stats() {
    const now = performance.now();
    this.#samples = this.#samples.filter(({ time }) => time > now - STATS_WINDOW_MS);
    const count = this.#samples.length;
    if (!count) return { fps: 0, latency: 0 };
    const latency = this.#samples.reduce((total, sample) => total + sample.latency, 0) / count;
    const span = this.#samples.at(-1).time - this.#samples[0].time;
    return { fps: count > 1 ? ((count - 1) * 1_000) / span : 0, latency };
  }

  /** Takes the result of a frame, null where inference failed. */
  receive(result, { session, index, seconds, scale, frame, capturedAt }) {
    if (session !== this.#session) return;
    if (result) {
      const time = performance.now();
      const scaled = { ...scaleResult(result, scale), source: this.source.name, index, seconds };
      this.#samples.push({ time, latency: time - capturedAt });
      this.results.push(scaled);
      if (this.results.length > MAX_RESULTS) this.results.shift();
      this.onResult(scaled, frame);
    }
    this.resume();
  }

  /** Sends the frame at which a video file waits, if there is one and the backend is ready, and plays on. */
  resume() {
    if (this.#pendingTime === null || !this.source || !this.getBackend().isReady || this.isPaused) return;
    const mediaTime = this.#pendingTime;
    this.#pendingTime = null;
    this.#sendFrame(mediaTime);
    if (!this.video.ended) this.video.play().catch(() => {});
  }

  #requestFrame() {
    this.#callbackId = this.video.requestVideoFrameCallback((_, { mediaTime }) => {
      this.#requestFrame();
      this.#handleFrame(mediaTime);
    });
  }

  #handleFrame(mediaTime) {
    if (this.isPaused || document.hidden) return;
    if (this.getBackend().isReady) {
      this.#sendFrame(mediaTime);
    } else if (!this.source.isLive) {
      // no frame of a file is dropped: the video waits until this one can be sent
      this.#pendingTime = mediaTime;
      this.video.pause();
    }
  }

  #sendFrame(mediaTime) {
    const capturedAt = performance.now();
    const { videoWidth: width, videoHeight: height } = this.video;
    const shrink = Math.min(1, MAX_FRAME_SIDE / Math.max(width, height));
    Object.assign(this.#canvas, { width: Math.round(width * shrink), height: Math.round(height * shrink) });
    this.#canvas.getContext("2d").drawImage(this.video, 0, 0, this.#canvas.width, this.#canvas.height);
    const frameInfo = {
      session: this.#session,
      index: this.#frameCount,
      seconds: this.source.isLive ? (capturedAt - this.#startTime) / 1_000 : mediaTime,
      scale: width / this.#canvas.width,
      frame: this.keepsFrames ? copyCanvas(this.#canvas) : null,
      capturedAt,
    };
    this.#frameCount += 1;
    this.getBackend().sendFrame(this.#canvas, frameInfo);
  }
}

function copyCanvas(canvas) {
  const copy = document.createElement("canvas");
  Object.assign(copy, { width: canvas.width, height: canvas.height });
  copy.getContext("2d").drawImage(canvas, 0, 0);
  return copy;
}
