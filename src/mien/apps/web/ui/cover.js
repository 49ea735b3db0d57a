/** Faces covered by their avatars: only frames that were read are shown, and a face that is lost stays covered. */

const LASTS = 1; // seconds that a face which is lost stays covered, as long as its track lasts

export class Cover {
  #lately = new Map();

  /** @param canvas shows the frame that was read, in place of the image that runs on. */
  constructor(canvas) {
    this.canvas = canvas;
  }

  /** Hides what was shown, until a frame is read. */
  begin() {
    this.#lately.clear();
    this.canvas.width = this.canvas.height = 0;
  }

  /** Shows a frame, and tells whose faces are covered in it: those that were read, then those just lost. */
  show(frame, { faces, seconds }) {
    Object.assign(this.canvas, { width: frame.width, height: frame.height });
    this.canvas.getContext("2d").drawImage(frame, 0, 0);
    const tracks = faces.map((face) => face.track);
    const lost = [...this.#lately].filter(([track, [, at]]) => !tracks.includes(track) && Math.abs(seconds - at) <= LASTS);
    this.#lately = new Map([...lost, ...faces.map((face) => [face.track, [face, seconds]])]);
    return [...faces, ...lost.map(([, [face]]) => face)];
  }
}
