/**
 * Reads faces within the page, beside the thread that draws it.
 *
 * In: {kind: "load", detector, token}; {kind: "read", id, image: ImageData | Blob, source,
 * index, seconds, follow}; {kind: "forget"}. Out: {kind: "progress", share}; {kind: "ready", labels};
 * {kind: "result", id, result}; {kind: "failed", id, code, message}. Nothing is sent anywhere: the only requests are
 * for the runtime and the models.
 */

import { rgbOf } from "./images.js";
import { resultOf } from "./predictions.js";
import { Recognizer } from "./recognizer.js";
import { authorized } from "./requests.js";
import { Tracker } from "./tracking.js";

const RUNTIME = "/ort/ort.wasm.min.mjs";
const MOST_PIXELS = 40_000_000;
const MOST_THREADS = 4;

const tracker = new Tracker();
let recognizer;
let waiting = Promise.resolve();

self.onmessage = ({ data }) => {
  // one after another, in their order
  waiting = waiting.then(() => tasks[data.kind](data)).catch((error) => {
    self.postMessage({ kind: "failed", id: data.id, code: error.code ?? "failed", message: error.message });
  });
};

const tasks = {
  async load({ detector: name, token }) {
    const [ort, classifier, detector] = await Promise.all([
      runtime(),
      served(token).then((model) => loaded(model, token, 0)),
      loaded(name, token, 1),
    ]);
    const finds = await ort.InferenceSession.create(detector.bytes);
    const names = await ort.InferenceSession.create(classifier.bytes);
    recognizer = new Recognizer(
      (images) => cellsOf(ort, finds, images),
      (crops) => logitsOf(ort, names, crops),
      { detector: detector.card, classifier: classifier.card },
    );
    self.postMessage({ kind: "ready", labels: classifier.card.fused.labels });
  },

  async read({ id, image, source, index, seconds, follow }) {
    const image = image instanceof Blob ? await decoded(image) : image;
    let predictions = await recognizer.predict(rgbOf(image));
    if (follow) predictions = tracker.follow(predictions, seconds);
    self.postMessage({ kind: "result", id, result: resultOf(source, index, seconds, predictions) });
  },

  forget() {
    tracker.forget();
  },
};

async function runtime() {
  const there = await fetch(RUNTIME);
  if (!there.ok) throw coded("runtime_absent", "the browser's runtime is not on this computer");
  const ort = await import(RUNTIME);
  ort.env.wasm.wasmPaths = "/ort/";
  // threads need shared memory, which the page's headers allow
  const cores = Math.ceil(navigator.hardwareConcurrency / 2);
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(cores, MOST_THREADS) : 1;
  ort.env.logLevel = "error";
  return ort;
}

const shares = [0, 0];

/** The name of the model that the server answers with, so that both ways say the same. */
async function served(token) {
  const told = await fetch("/v1/models", { headers: authorized(token) });
  if (!told.ok) throw coded("model_absent", "the server does not tell which model it uses");
  return (await told.json()).default;
}

/** A model's card and bytes. */
async function loaded(name, token, place) {
  const headers = authorized(token);
  const [told, file] = await Promise.all([
    fetch(`/v1/models/${name}`, { headers }),
    fetch(`/v1/models/${name}/file`, { headers }),
  ]);
  if (!told.ok || !file.ok) throw coded("model_absent", `the model ${name} is not on this computer`);
  const bytes = await received(file, (share) => {
    shares[place] = share;
    self.postMessage({ kind: "progress", share: (shares[0] + shares[1]) / 2 });
  });
  return { card: (await told.json()).card, bytes };
}

/** The bytes of an answer, telling how much of them is there. */
async function received(answer, tell) {
  const length = Number(answer.headers.get("Content-Length"));
  const parts = [];
  let count = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    count += value.length;
    if (length) tell(Math.min(count / length, 1));
  }
  tell(1);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** A photo's pixels, upright, its colours as they are in the file. */
async function decoded(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw coded("not_a_image", "expected a image that this browser can open, such as JPEG, PNG or WebP");
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    bitmap.close();
    throw coded("too_large", `expected at most 40 million pixels; received ${width} x ${height}`);
  }
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

async function cellsOf(ort, session, images) {
  const [{ width, height }] = images;
  const output = await ran(ort, session, images, [images.length, height, width, 3]);
  const values = output[session.outputNames[0]].data;
  const each = values.length / images.length;
  return images.map((_, at) => values.slice(at * each, (at + 1) * each));
}

async function logitsOf(ort, session, crops) {
  const [{ width, height, channels }] = crops;
  const output = await ran(ort, session, crops, [crops.length, height, width, channels]);
  return session.outputNames.map((name) => {
    const { data, dims } = output[name];
    return crops.map((_, row) => Array.from(data.subarray(row * dims[1], (row + 1) * dims[1])));
  });
}

function ran(ort, session, images, dims) {
  const data = new Uint8Array(dims.reduce((so, far) => so * far));
  images.forEach((image, at) => data.set(image.data, at * image.data.length));
  return session.run({ [session.inputNames[0]]: new ort.Tensor("uint8", data, dims) });
}

function coded(code, message) {
  return Object.assign(new Error(message), { code });
}
