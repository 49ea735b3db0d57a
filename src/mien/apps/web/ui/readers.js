/**
 * Two ways to read a frame: the server's, over one socket, and the page's own, in a worker.
 *
 * Both have ``open()``, ``free``, ``send(canvas, about)``, ``photo(file)``, ``forget()`` and ``close()``, and call
 * ``on.result(result, about)``, ``on.free()`` where another frame may come, and ``on.state(code)``: a key of BANNERS, or
 * null where all is well.
 */

import { authorized } from "./requests.js";

const UNANSWERED = 2;
const QUALITY = 0.9;
const SLOW = 8_000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8_000;
const DETECTOR = "faces";

export class ServerReader {
  #socket = null;
  #ready = false;
  #closed = true;
  #lost = false;
  #wait = FIRST_WAIT;
  #timer = 0;
  #slow = 0;
  #encoding = false;
  #sent = 0;
  #waiting = new Map();

  constructor(token, on) {
    this.token = token;
    this.on = on;
  }

  open() {
    if (!this.#closed) return;
    this.#closed = false;
    this.on.state("connecting");
    this.#connect();
  }

  /** Whether another frame may be sent. */
  get free() {
    // one is encoded at a time, or a later frame could be ready first
    return this.#ready && !this.#encoding && this.#waiting.size < UNANSWERED;
  }

  /** Sends what the canvas shows; ``about`` comes back with its result. */
  send(canvas, about) {
    const socket = this.#socket;
    this.#encoding = true;
    const encoded = (blob) => {
      if (socket !== this.#socket) return;
      this.#encoding = false;
      if (!blob || socket.readyState !== WebSocket.OPEN) return;
      this.#sent += 1;
      this.#waiting.set(this.#sent, about);
      socket.send(blob);
      this.#watch();
      this.on.free();
    };
    canvas.toBlob(encoded, "image/jpeg", QUALITY);
  }

  async photo(file) {
    const headers = { "Content-Type": file.type || "application/octet-stream", ...authorized(this.token) };
    let answer;
    try {
      answer = await fetch("/v1/predict", { method: "POST", body: file, headers });
    } catch {
      throw new Error("the server on this computer can’t be reached: is mien serve running?");
    }
    const told = await answer.json().catch(() => null);
    if (!answer.ok) throw new Error(told?.error?.message || `the server answered ${answer.status}`);
    return { ...told, source: file.name };
  }

  /** Faces that come from now on are new ones. */
  forget() {
    if (this.#ready) this.#socket.send(JSON.stringify({ type: "forget" }));
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#reset();
    this.on.state(null);
  }

  #connect() {
    const token = this.token ? `?token=${encodeURIComponent(this.token)}` : "";
    const socket = new WebSocket(`${location.origin.replace("http", "ws")}/v1/live${token}`);
    this.#reset();
    this.#socket = socket;
    socket.onmessage = ({ data }) => socket === this.#socket && this.#took(JSON.parse(data));
    socket.onclose = () => socket === this.#socket && this.#closed === false && this.#again();
  }

  #took(message) {
    if (message.type === "ready") {
      this.#ready = true;
      this.#wait = FIRST_WAIT;
      this.on.state(this.#lost ? "back" : null);
      this.#lost = false;
      return;
    }
    const about = this.#waiting.get(message.frame);
    // frames before an answered one were dropped for it
    for (const frame of this.#waiting.keys()) if (frame <= message.frame) this.#waiting.delete(frame);
    this.#watch();
    if (about) this.on.result(message.type === "result" ? message.result : null, about);
  }

  #again() {
    this.#reset();
    this.#lost = true;
    this.on.state("lost");
    this.#timer = setTimeout(() => this.#connect(), this.#wait);
    this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
  }

  /** Tells when an answer is long in coming. */
  #watch() {
    if (this.#slow) clearTimeout(this.#slow);
    this.#slow = this.#waiting.size ? setTimeout(() => this.on.state("slow"), SLOW) : 0;
  }

  #reset() {
    this.#socket = null;
    this.#ready = false;
    this.#encoding = false;
    this.#sent = 0;
    this.#waiting.clear();
    this.#watch();
  }
}

export class BrowserReader {
  #worker = null;
  #ready = null;
  #isReady = false;
  #count = 0;
  #waiting = new Map();

  constructor(token, on) {
    this.token = token;
    this.on = on;
  }

  /** Loads runtime and models once; what goes wrong is told as a state. */
  open() {
    if (this.#ready) return;
    this.on.state("loading");
    this.#worker = new Worker("/assets/worker.js", { type: "module" });
    this.#ready = new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => this.#took(data, resolve, reject);
      this.#worker.onerror = () => reject(Object.assign(new Error("the worker failed"), { code: "failed" }));
    });
    this.#ready.catch((error) => {
      this.#drop();
      this.on.state(error.code in { runtime_absent: 1, model_absent: 1 } ? error.code : "failed");
    });
    this.#worker.postMessage({ kind: "load", detector: DETECTOR, token: this.token });
  }

  get free() {
    return this.#isReady && this.#waiting.size < UNANSWERED;
  }

  send(canvas, about) {
    const image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const ask = { image, source: "", index: about.index, seconds: about.seconds, follow: true };
    this.#ask(ask, (result) => this.on.result(result, about), () => this.on.result(null, about), [image.data.buffer]);
  }

  async photo(file) {
    this.open();
    await this.#ready;
    const ask = { image: file, source: file.name, index: 0, seconds: null, follow: false };
    return new Promise((resolve, reject) => {
      this.#ask(ask, resolve, reject);
    });
  }

  forget() {
    this.#worker?.postMessage({ kind: "forget" });
  }

  /** Ends the worker: its memory is large. */
  close() {
    this.#drop();
    this.on.state(null);
  }

  #ask(ask, resolve, reject, handed = []) {
    this.#count += 1;
    this.#waiting.set(this.#count, { resolve, reject });
    this.#worker.postMessage({ kind: "read", id: this.#count, ...ask }, handed);
  }

  #took(message, resolve, reject) {
    const asked = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "ready") {
      this.#isReady = true;
      this.on.state(null);
      resolve();
    } else if (message.kind === "progress") {
      this.on.state("loading", message.share);
    } else if (message.kind === "result") {
      asked?.resolve(message.result);
    } else {
      const error = Object.assign(new Error(message.message), { code: message.code });
      (asked?.reject ?? reject)(error);
    }
  }

  #drop() {
    this.#worker?.terminate();
    for (const { reject } of this.#waiting.values()) reject(new Error("the reading was stopped"));
    this.#waiting.clear();
    this.#worker = this.#ready = null;
    this.#isReady = false;
  }
}
