/** Where frames come from: a camera, or a video of one's own; both play in one video element. */

const WANTED = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

/** What browsers call their troubles with cameras, and the state that each means. */
const TROUBLES = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "none",
  OverconstrainedError: "none",
  NotReadableError: "busy",
  AbortError: "busy",
};

export class Camera {
  live = true;
  #stream = null;

  /**
   * @param id of the camera; "": the usual one.
   * @param on {lost, silent}: it was pulled out; whether it gives no image.
   */
  constructor(id, on) {
    this.id = id;
    this.on = on;
  }

  /** Asks for the camera, ready to play. Throws an error whose ``state`` is a key of STATES. */
  async open(video) {
    if (!navigator.mediaDevices?.getUserMedia) throw troubled("insecure");
    const which = this.id ? { deviceId: { exact: this.id } } : { facingMode: { ideal: "user" } };
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: { ...WANTED, ...which }, audio: false });
    } catch (error) {
      throw troubled(TROUBLES[error.name] ?? "failed");
    }
    const [track] = this.#stream.getVideoTracks();
    track.addEventListener("ended", () => this.on.lost());
    track.addEventListener("mute", () => this.on.silent(true));
    track.addEventListener("unmute", () => this.on.silent(false));
    video.srcObject = this.#stream;
  }

  /** Lets go of the camera: its light goes out. */
  close(video) {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    video.srcObject = null;
  }
}

export class Clip {
  live = false;
  #address = "";

  constructor(file) {
    this.file = file;
  }

  async open(video) {
    this.#address ||= URL.createObjectURL(this.file);
    video.src = this.#address;
    await new Promise((resolve, reject) => {
      video.addEventListener("loadeddata", resolve, { once: true });
      video.addEventListener("error", () => reject(troubled("unplayable")), { once: true });
    });
    if (!video.videoWidth) throw troubled("unplayable");
  }

  close(video) {
    video.pause();
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(this.#address);
    this.#address = "";
  }
}

/** The cameras that the browser tells of, [{id, name}]; names come once it was allowed. */
export async function cameras() {
  const found = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const some = found.filter((device) => device.kind === "videoinput" && device.deviceId);
  return some.map((device, row) => ({ id: device.deviceId, name: device.label || `Camera ${row + 1}` }));
}

function troubled(state) {
  return Object.assign(new Error(state), { state });
}
