/** Sources of frames, a webcam or a video file; both play in one video element. */

const VIDEO_CONSTRAINTS = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

/** Names of the browser's camera errors, and the status that each leads to. */
const STATUS_BY_ERROR = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "none",
  OverconstrainedError: "none",
  NotReadableError: "busy",
  AbortError: "busy",
};

export class Webcam {
  isLive = true;
  name = "camera";
  #stream = null;

  /**
   * @param deviceId of the camera; "": the default one.
   * @param callbacks {onLost: it was disconnected, onMute: receives whether it delivers no image}.
   */
  constructor(deviceId, callbacks) {
    this.deviceId = deviceId;
    this.callbacks = callbacks;
  }

  /** Requests the camera and connects it to the video. Throws an error whose ``status`` is a key of STATUS_TEXTS. */
  async open(video) {
    if (!navigator.mediaDevices?.getUserMedia) throw sourceError("insecure");
    const device = this.deviceId ? { deviceId: { exact: this.deviceId } } : { facingMode: { ideal: "user" } };
    const constraints = { video: { ...VIDEO_CONSTRAINTS, ...device }, audio: false };
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia(constraints);
    } catch (error) {
      throw sourceError(STATUS_BY_ERROR[error.name] ?? "failed");
    }
    const [track] = this.#stream.getVideoTracks();
    track.addEventListener("ended", () => this.callbacks.onLost());
    track.addEventListener("mute", () => this.callbacks.onMute(true));
    track.addEventListener("unmute", () => this.callbacks.onMute(false));
    video.srcObject = this.#stream;
  }

  /** Releases the camera: its light goes out. */
  close(video) {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    video.srcObject = null;
  }
}

export class VideoFile {
  isLive = false;
  #url = "";

  constructor(file) {
    this.file = file;
    this.name = file.name;
  }

  /** Loads the first frame. Throws an error whose ``status`` is a key of STATUS_TEXTS. */
  async open(video) {
    this.#url ||= URL.createObjectURL(this.file);
    video.src = this.#url;
    await new Promise((resolve, reject) => {
      video.addEventListener("loadeddata", resolve, { once: true });
      video.addEventListener("error", () => reject(sourceError("unplayable")), { once: true });
    });
    if (!video.videoWidth) throw sourceError("unplayable");
  }

  close(video) {
    video.pause();
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(this.#url);
    this.#url = "";
  }
}

/** The cameras that the browser lists, [{id, name}]; it gives names once camera access was allowed. */
export async function listWebcams() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const webcams = devices.filter((device) => device.kind === "videoinput" && device.deviceId);
  return webcams.map((device, index) => ({ id: device.deviceId, name: device.label || `Camera ${index + 1}` }));
}

function sourceError(status) {
  return Object.assign(new Error(status), { status });
}
