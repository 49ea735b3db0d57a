/** What the page shows now, apart from the DOM. */

export class PageState {
  status = "idle"; // a key of STATUS_TEXTS, "running" or "ended"
  result = null; // the latest one
  lastVideo = null; // the file that Start plays again
  isMirrored = true; // where the source is a webcam
  isAnonymized = false;
  anonymizedFaces = []; // those covered in the frame on screen
  #followedTrack = null; // number of the track that was selected
  #banners = new Map(); // by source: tab, pause, camera, backend, video

  get isRunning() {
    return this.status === "running";
  }

  /** Whether a webcam or a video plays, or waits for permission to. */
  get isActive() {
    return this.isRunning || this.status === "requesting";
  }

  /** Whether a frame is on screen. */
  get hasImage() {
    return this.isRunning || this.status === "ended";
  }

  get faces() {
    return this.result?.faces ?? [];
  }

  /** The faces to draw over the image. */
  get visibleFaces() {
    return this.isAnonymized ? this.anonymizedFaces : this.faces;
  }

  /** Index of the selected face, or of the largest where that one is gone. */
  get followedIndex() {
    const track = this.#followedTrack;
    return Math.max(0, this.faces.findIndex((face) => track !== null && face.track === track));
  }

  get followedFace() {
    return this.faces[this.followedIndex];
  }

  /** Follows a face of the latest result. Returns false where there is none at that index. */
  selectFace(index) {
    const face = this.faces[index];
    if (face) this.#followedTrack = face.track;
    return Boolean(face);
  }

  clearSelection() {
    this.#followedTrack = null;
  }

  /** Sets or, with null, removes the banner of a source. */
  setBanner(source, banner) {
    this.#banners.delete(source);
    if (banner) this.#banners.set(source, banner);
  }

  /** The latest banner, {text, isError}, or undefined. */
  get banner() {
    return [...this.#banners.values()].at(-1);
  }
}
