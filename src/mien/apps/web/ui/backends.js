/**
 * Two inference backends: the server, over one WebSocket, and the browser itself, in a worker.
 *
 * Both have ``open()``, ``isReady``, ``sendFrame(canvas, frameInfo)``, ``predictPhoto(file)``, ``resetTracks()`` and
 * ``close()``. They call ``callbacks.onResult(result, frameInfo)``, ``callbacks.onReady()`` when another frame may be
 * sent, and ``callbacks.onStatus(code, progress)``: code is a key of BANNERS, or null where all is well.
 */

const MAX_PENDING_FRAMES = 2;
const JPEG_QUALITY = 0.9;
const SLOW_RESPONSE_MS = 8_000;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 8_000;
const IDLE_CLOSE_CODE = 1001; // the server's, after a long pause
const DETECTOR = "faces";
const WORKER_URL = "/assets/inference/worker.js";

export class ServerBackend {
  #socket = null;
  #isConnected = false;
  #isClosed = true;
  #wasLost = false;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer = 0;
  #slowTimer = 0;
  #isSlow = false;
  #isEncoding = false;
  #sentCount = 0;
  #pending = new Map(); // frame number to its frameInfo

  constructor(token, callbacks) {
    this.token = token;
    this.callbacks = callbacks;
  }

  open() {
    if (!this.#isClosed) return;
    this.#isClosed = false;
    this.callbacks.onStatus("connecting");
    this.#connect();
  }

  /** Whether another frame may be sent. */
  get isReady() {
    // one frame is encoded at a time, otherwise a later one could overtake it
    return this.#isConnected && !this.#isEncoding && this.#pending.size < MAX_PENDING_FRAMES;
  }

  /** Sends what the canvas shows; ``frameInfo`` is passed on with the result. */
  sendFrame(canvas, frameInfo) {
    const socket = this.#socket;
    this.#isEncoding = true;
    const onEncoded = (blob) => {
      if (socket !== this.#socket) return;
      this.#isEncoding = false;
      if (!blob || socket.readyState !== WebSocket.OPEN) return;
      this.#sentCount += 1;
      this.#pending.set(this.#sentCount, frameInfo);
      socket.send(blob);
      this.#watchLatency();
      this.callbacks.onReady();
    };
    canvas.toBlob(onEncoded, "image/jpeg", JPEG_QUALITY);
  }

  async predictPhoto(file) {
    const headers = { "Content-Type": file.type || "application/octet-stream", ...authHeaders(this.token) };
    let response;
    try {
      response = await fetch("/v1/predict", { method: "POST", body: file, headers });
    } catch {
      throw new Error("the server can’t be reached: is mien serve running?");
    }
    const payload = await response.json().catch(() => null);
    if (!response.ok) throw new Error(payload?.error?.message || `the server returned status ${response.status}`);
    return { ...payload, source: file.name };
  }

  /** Starts new tracks: faces of the next frames are not matched to earlier ones. */
  resetTracks() {
    if (this.#isConnected) this.#socket.send(JSON.stringify({ type: "forget" }));
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#retryTimer);
    this.#socket?.close();
    this.#reset();
    this.callbacks.onStatus(null);
  }

  #connect() {
    const query = this.token ? `?token=${encodeURIComponent(this.token)}` : "";
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/v1/live${query}`);
    this.#reset();
    this.#socket = socket;
    socket.onmessage = ({ data }) => socket === this.#socket && this.#handleMessage(JSON.parse(data));
    socket.onclose = ({ code }) => {
      if (socket === this.#socket && !this.#isClosed) this.#reconnect(code !== IDLE_CLOSE_CODE);
    };
  }

  #handleMessage(message) {
    if (message.type === "ready") {
      this.#isConnected = true;
      this.#retryMs = FIRST_RETRY_MS;
      this.callbacks.onStatus(this.#wasLost ? "reconnected" : null);
      this.#wasLost = false;
      return;
    }
    const frameInfo = this.#pending.get(message.frame);
    // the server drops older frames for a newer one
    for (const frame of this.#pending.keys()) if (frame <= message.frame) this.#pending.delete(frame);
    this.#watchLatency();
    this.#setSlow(false);
    if (frameInfo) this.callbacks.onResult(message.type === "result" ? message.result : null, frameInfo);
  }

  #reconnect(wasLost) {
    this.#reset();
    this.#wasLost = wasLost;
    if (wasLost) this.callbacks.onStatus("lost");
    this.#retryTimer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
  }

  /** Reports a slow server when a result is overdue, until the next one arrives. */
  #watchLatency() {
    clearTimeout(this.#slowTimer);
    if (this.#pending.size) this.#slowTimer = setTimeout(() => this.#setSlow(true), SLOW_RESPONSE_MS);
  }

  #setSlow(isSlow) {
    if (isSlow !== this.#isSlow) this.callbacks.onStatus(isSlow ? "slow" : null);
    this.#isSlow = isSlow;
  }

  #reset() {
    this.#socket = null;
    this.#isConnected = false;
    this.#isEncoding = false;
    this.#sentCount = 0;
    this.#isSlow = false;
    this.#pending.clear();
    this.#watchLatency();
  }
}

export class BrowserBackend {
  #worker = null;
  #loading = null;
  #isLoaded = false;
  #requestCount = 0;
  #pending = new Map(); // request id to {resolve, reject}

  constructor(token, callbacks) {
    this.token = token;
    this.callbacks = callbacks;
  }

  /** Loads ONNX Runtime and the models once; a failure is reported as a status. */
  open() {
    if (this.#loading) return;
    this.callbacks.onStatus("loading");
    this.#worker = new Worker(WORKER_URL, { type: "module" });
    this.#loading = new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => this.#handleMessage(data, resolve, reject);
      this.#worker.onerror = () => reject(Object.assign(new Error("the worker failed"), { code: "failed" }));
    });
    this.#loading.catch((error) => {
      this.#terminate();
      this.callbacks.onStatus(["missing_package", "missing_model"].includes(error.code) ? error.code : "failed");
    });
    this.#worker.postMessage({ type: "load", detector: DETECTOR, headers: authHeaders(this.token) });
  }

  get isReady() {
    return this.#isLoaded && this.#pending.size < MAX_PENDING_FRAMES;
  }

  sendFrame(canvas, frameInfo) {
    const image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const { index, seconds } = frameInfo;
    this.#request({ image, source: "", index, seconds, track: true }, [image.data.buffer]).then(
      (result) => this.callbacks.onResult(result, frameInfo),
      () => this.callbacks.onResult(null, frameInfo),
    );
  }

  async predictPhoto(file) {
    this.open();
    await this.#loading;
    return this.#request({ image: file, source: file.name, index: 0, seconds: null, track: false });
  }

  resetTracks() {
    this.#worker?.postMessage({ type: "reset_tracks" });
  }

  /** Ends the worker, which holds much memory. */
  close() {
    this.#terminate();
    this.callbacks.onStatus(null);
  }

  #request(payload, transfer = []) {
    this.#requestCount += 1;
    const id = this.#requestCount;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ type: "predict", id, ...payload }, transfer);
    });
  }

  #handleMessage(message, onLoaded, onLoadError) {
    const request = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.type === "ready") {
      this.#isLoaded = true;
      this.callbacks.onStatus(null);
      onLoaded();
    } else if (message.type === "progress") {
      this.callbacks.onStatus("loading", message.progress);
    } else if (message.type === "result") {
      request?.resolve(message.result);
    } else {
      const error = Object.assign(new Error(message.message), { code: message.code });
      (request?.reject ?? onLoadError)(error);
    }
  }

  #terminate() {
    this.#worker?.terminate();
    for (const { reject } of this.#pending.values()) reject(new Error("inference was stopped"));
    this.#pending.clear();
    this.#worker = this.#loading = null;
    this.#isLoaded = false;
  }
}

function authHeaders(token) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}
