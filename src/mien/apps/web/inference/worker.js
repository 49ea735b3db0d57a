/**
 * The worker that runs inference in the browser.
 *
 * Requests: {type: "load", detector, headers}; {type: "predict", id, image: ImageData | Blob, source, index, seconds,
 * track}; {type: "reset_tracks"}. Replies: {type: "progress", progress}; {type: "ready", labels}; {type: "result", id,
 * result}; {type: "failed", id, code, message}. No image leaves the worker: it fetches only the runtime and the models.
 */

import { toRgb } from "./image.js";
import { toResult } from "./predictions.js";
import { Recognizer } from "./recognizer.js";
import { Tracker } from "./tracker.js";

const RUNTIME_URL = "/ort/ort.wasm.min.mjs";
const MAX_PIXELS = 40_000_000;
const MAX_THREADS = 4;

const tracker = new Tracker();
let recognizer;
let queue = Promise.resolve();

self.onmessage = ({ data }) => {
  // one request after another, in their order
  queue = queue.then(() => handlers[data.type](data)).catch(({ code = "failed", message }) => {
    self.postMessage({ type: "failed", id: data.id, code, message });
  });
};

const handlers = {
  async load({ detector: name, headers }) {
    const [ort, classifier, detector] = await Promise.all([
      loadRuntime(),
      fetchDefaultModel(headers).then((model) => fetchModel(model, headers, 0)),
      fetchModel(name, headers, 1),
    ]);
    const detectorSession = await ort.InferenceSession.create(detector.bytes);
    const classifierSession = await ort.InferenceSession.create(classifier.bytes);
    recognizer = new Recognizer(
      (images) => runDetector(ort, detectorSession, images),
      (crops) => runClassifier(ort, classifierSession, crops),
      { detector: detector.card, classifier: classifier.card },
    );
    self.postMessage({ type: "ready", labels: classifier.card.fused.labels });
  },

  async predict({ id, image, source, index, seconds, track }) {
    const pixels = image instanceof Blob ? await decodeImage(image) : image;
    let predictions = await recognizer.predict(toRgb(pixels));
    if (track) predictions = tracker.follow(predictions, seconds);
    self.postMessage({ type: "result", id, result: toResult(source, index, seconds, predictions) });
  },

  reset_tracks() {
    tracker.reset();
  },
};

async function loadRuntime() {
  const response = await fetch(RUNTIME_URL);
  if (!response.ok) throw codedError("missing_package", "onnxruntime-web is not on this machine");
  const ort = await import(RUNTIME_URL);
  ort.env.wasm.wasmPaths = "/ort/";
  // threads need shared memory, which the headers of the page allow
  const cores = Math.ceil(navigator.hardwareConcurrency / 2);
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(cores, MAX_THREADS) : 1;
  ort.env.logLevel = "error";
  return ort;
}

/** The name of the model that the server uses, so that both places of inference agree. */
async function fetchDefaultModel(headers) {
  const response = await fetch("/v1/models", { headers });
  if (!response.ok) throw codedError("missing_model", "the server does not list its models");
  return (await response.json()).default;
}

const downloaded = [0, 0]; // of each model, 0 to 1

/** A model: {card, bytes}. */
async function fetchModel(name, headers, index) {
  const [card, file] = await Promise.all([
    fetch(`/v1/models/${name}`, { headers }),
    fetch(`/v1/models/${name}/file`, { headers }),
  ]);
  if (!card.ok || !file.ok) throw codedError("missing_model", `the model ${name} is not on this machine`);
  const bytes = await readBody(file, (share) => {
    downloaded[index] = share;
    self.postMessage({ type: "progress", progress: (downloaded[0] + downloaded[1]) / 2 });
  });
  return { card: (await card.json()).card, bytes };
}

/** The bytes of a response; ``onProgress`` receives the share that has arrived. */
async function readBody(response, onProgress) {
  const length = Number(response.headers.get("Content-Length"));
  const chunks = [];
  let received = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    received += value.length;
    if (length) onProgress(Math.min(received / length, 1));
  }
  onProgress(1);
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** The pixels of an image file as ImageData: upright, colours as stored in the file. */
async function decodeImage(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw codedError("not_an_image", "expected an image that this browser can open, such as JPEG, PNG or WebP");
  }
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) {
    bitmap.close();
    throw codedError("too_large", `expected at most 40 million pixels; received ${width} x ${height}`);
  }
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/** Images of one size to the grid cells of each, as one flat array per image. */
async function runDetector(ort, session, images) {
  const [{ width, height }] = images;
  const output = await runSession(ort, session, images, [images.length, height, width, 3]);
  const values = output[session.outputNames[0]].data;
  const length = values.length / images.length;
  return images.map((_, row) => values.slice(row * length, (row + 1) * length));
}

/** Face crops to logits, [head][crop]. */
async function runClassifier(ort, session, crops) {
  const [{ width, height, channels }] = crops;
  const output = await runSession(ort, session, crops, [crops.length, height, width, channels]);
  return session.outputNames.map((name) => {
    const { data, dims } = output[name];
    return crops.map((_, row) => Array.from(data.subarray(row * dims[1], (row + 1) * dims[1])));
  });
}

function runSession(ort, session, images, dims) {
  const data = new Uint8Array(dims.reduce((product, dim) => product * dim));
  images.forEach((image, row) => data.set(image.data, row * image.data.length));
  return session.run({ [session.inputNames[0]]: new ort.Tensor("uint8", data, dims) });
}

function codedError(code, message) {
  return Object.assign(new Error(message), { code });
}
