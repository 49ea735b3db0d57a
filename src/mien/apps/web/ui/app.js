/** The page: what is pressed, dropped and read goes here to its place. */

import { Avatar, CALM } from "./avatar.js";
import { Bars, element, hueOf } from "./bars.js";
import { BoxesView } from "./boxes_view.js";
import { Cover } from "./cover.js";
import description from "./description.js";
import { Live } from "./live.js";
import { Photos } from "./photos.js";
import { BrowserReader, ServerReader } from "./readers.js";
import { save, saveCsv, saveJsonLines, stamp } from "./results.js";
import { snapshot } from "./snapshot.js";
import { Camera, Clip, cameras } from "./sources.js";
import { Strip } from "./strip.js";
import { Announcer, chooser, reasonOf, wordOf } from "./told.js";
import { BANNERS, PRIVACY, STATES } from "./words.js";

const at = (id) => document.getElementById(id);
const NARROW = matchMedia("(max-width: 60rem)");
const GREETINGS = { asking: "surprise" };
const BACK_FOR = 2_500; // milliseconds that "connected again" stands
const WAIT = 250; // milliseconds between updates of words that nobody reads faster
const video = at("video");
const token = new URLSearchParams(location.search).get("token") ?? "";

const avatar = new Avatar(at("avatar"));
const greeter = new Avatar(at("welcome-face"));
const bars = new Bars(at("bars"));
const strip = new Strip(at("strip"));
const cover = new Cover(at("read"));
const boxes = new BoxesView(at("boxes"), (place) => follow(place));
const announcer = new Announcer(at("told"));

const on = {
  result: (result, about) => live.took(result, about),
  free: () => live.goOn(),
  state: (code, share) => readerState(code, share),
};
const readers = { server: new ServerReader(token, on), browser: new BrowserReader(token, on) };
const live = new Live(video, () => reader(), { result: shown });
const photos = new Photos(at("cards"), (file) => reader().photo(file), photosChanged);

let state = "idle"; // a key of STATES, or "running"
let chosen = null; // the number of the track that is followed
let lastResult = null;
let covered = []; // the faces that are covered in what is shown
let lastClip = null;
let troubles = {}; // banners by what tells them: tab, pause, camera, reader
let lastWords = 0;

function where() {
  return document.querySelector("input[name=where]:checked").value;
}

function reader() {
  return readers[where()];
}

// -- states

function setState(next) {
  state = next;
  const running = next === "running";
  const { title, words, alarm } = STATES[next] ?? STATES.idle;
  at("welcome").hidden = running || next === "ended";
  at("image").hidden = !(running || next === "ended");
  at("welcome").classList.toggle("alarm", Boolean(alarm));
  greeter.show({ [GREETINGS[next] ?? (alarm ? "sad" : "happy")]: 1 });
  at("state-title").textContent = title;
  at("state-words").textContent = words;
  at("welcome-start").disabled = next === "asking";
  at("start").textContent = running || next === "asking" ? "Stop" : "Start";
  at("pause").disabled = !running;
  at("snapshot").disabled = !running && next !== "ended";
  at("rate").hidden = !running;
  at("notice").classList.toggle("on", running);
  at("notice-words").textContent = `Expression analysis is ${running ? "on" : "off"}`;
  if (!running && next !== "ended") rest();
  setBanner("ended", next === "ended" ? { words: `${title}. ${words}` } : null);
  if (alarm || next === "asking") announcer.say(`${title}. ${words}`);
  fit();
}

/** Tells of trouble over the image; the latest stands. */
function setBanner(who, banner) {
  const { [who]: _, ...others } = troubles;
  troubles = banner ? { ...others, [who]: banner } : others;
  const told = Object.values(troubles).at(-1);
  at("banner").hidden = !told;
  at("banner").classList.toggle("alarm", Boolean(told?.alarm));
  if (told && at("banner").textContent !== told.words) at("banner").textContent = told.words;
}

let backTimer = 0;

function readerState(code, share) {
  clearTimeout(backTimer);
  const banner = code ? { ...BANNERS[code] } : null;
  if (share !== undefined) banner.words = `${BANNERS.loading.words} ${Math.floor(10 * share)}0 %`;
  setBanner("reader", banner);
  if (code === "back") backTimer = setTimeout(() => setBanner("reader", null), BACK_FOR);
  live.goOn();
}

// -- camera and videos

async function start(source) {
  setState(source.live ? "asking" : "idle");
  chosen = null;
  strip.clear();
  reader().open();
  try {
    if (!(await live.start(source))) return;
  } catch (error) {
    reader().close();
    setState(error.state ?? "failed");
    return;
  }
  reader().forget();
  setState("running");
  setPaused(false);
  if (source.live) await listCameras();
}

function startCamera() {
  lastClip = null;
  const lost = () => {
    stop();
    setState("lost");
  };
  const silent = (is) => setBanner("camera", is ? BANNERS.silent : null);
  return start(new Camera(at("camera").value, { lost, silent }));
}

function startClip(file) {
  lastClip = file;
  return start(new Clip(file));
}

function stop() {
  live.stop();
  reader().close();
  setPaused(false);
  setBanner("camera", null);
  setState("idle");
}

function toggle() {
  if (state === "running" || state === "asking") stop();
  else if (state === "ended" && lastClip) startClip(lastClip);
  else startCamera();
}

function setPaused(paused) {
  if (live.source) live.setPaused(paused);
  at("pause").setAttribute("aria-pressed", String(paused));
  at("pause").textContent = paused ? "Go on" : "Pause";
  setBanner("pause", paused ? BANNERS.paused : null);
}

async function listCameras() {
  const select = at("camera");
  const known = await cameras();
  if (!known.length) return;
  const now = video.srcObject?.getVideoTracks()[0]?.getSettings().deviceId ?? select.value;
  select.replaceChildren(...known.map(({ id, name }) => new Option(name, id, false, id === now)));
}

function isMirrored() {
  return at("mirror").getAttribute("aria-pressed") === "true" && live.source?.live === true;
}

function isCovered() {
  return at("cover").getAttribute("aria-pressed") === "true";
}

// -- what was read

function shown(result, frame) {
  lastResult = result;
  if (!isCovered()) covered = result.faces;
  else if (frame) covered = cover.show(frame, result);
  draw();
  const face = result.faces[followedPlace(result.faces)];
  strip.add(face?.probabilities ?? null, result.seconds);
  if (face) avatar.show(face.probabilities);
  if (face) bars.show(face.probabilities, face.emotion);
  at("word").textContent = face ? wordOf(face) : "no face";
  at("reasons").textContent = (face && reasonOf(face)) || "\u00a0";
  chooser(at("faces"), result.faces, followedPlace(result.faces), follow);
  announcer.hear(face ? wordOf(face) : "no face");
  if (performance.now() - lastWords > WAIT) slowWords(face);
}

function slowWords(face) {
  lastWords = performance.now();
  at("rate").textContent = `${live.rate.toFixed(0)} a second`;
  at("kept").textContent = `${live.results.length.toLocaleString("en")} readings`;
  at("strip").setAttribute("aria-label", strip.words);
  at("avatar").setAttribute("aria-label", face ? `A drawn face: ${wordOf(face)}` : "A drawn face");
  at("save-json").disabled = at("save-csv").disabled = false;
}

function draw() {
  if (!lastResult || at("image").hidden) return;
  at("image").classList.toggle("mirrored", isMirrored());
  const size = { width: video.videoWidth, height: video.videoHeight };
  const followed = followedPlace(lastResult.faces);
  const faces = isCovered() ? covered : lastResult.faces;
  boxes.show(faces, size, { followed, mirrored: isMirrored(), avatars: isCovered() });
}

/** A calm face, while nothing is read. */
function rest() {
  lastResult = null;
  boxes.show([], { width: 1, height: 1 });
  avatar.show(CALM);
  bars.show(Object.fromEntries(description.labels.map((label) => [label, 0])));
  at("word").textContent = at("reasons").textContent = "\u00a0";
  at("avatar").setAttribute("aria-label", "A drawn face, calm");
  chooser(at("faces"), [], 0, follow);
}

/** The place of the face that was chosen, of the largest where it is gone. */
function followedPlace(faces) {
  return Math.max(0, faces.findIndex((face) => chosen !== null && face.track === chosen));
}

function follow(place) {
  const face = lastResult?.faces[place];
  if (!face) return;
  chosen = face.track;
  strip.clear();
  shown(lastResult, null);
}

function followNext() {
  const faces = lastResult?.faces ?? [];
  if (faces.length > 1) follow((followedPlace(faces) + 1) % faces.length);
}

/** The image as large as the stage lets it be. */
function fit() {
  const { videoWidth: width, videoHeight: height } = video;
  const stage = at("stage");
  const whole = document.fullscreenElement === stage;
  stage.style.minHeight = "";
  if (at("image").hidden || !width) return;
  const narrow = NARROW.matches && !whole;
  if (narrow) stage.style.minHeight = "0";
  const high = narrow ? 0.7 * innerHeight : stage.clientHeight;
  const scale = Math.min(stage.clientWidth / width, high / height);
  at("image").style.width = `${Math.floor(width * scale)}px`;
  at("image").style.height = `${Math.floor(height * scale)}px`;
  draw();
}

// -- photos

function photosChanged() {
  const { results } = photos;
  at("photo-downloads").hidden = !results.length;
  const faces = results.reduce((so, result) => so + result.faces.length, 0);
  if (results.length) announcer.say(`${results.length} photos read, ${faces} faces`);
}

/** Photos become cards, the first video plays. */
function take(files) {
  const images = files.filter((file) => !file.type.startsWith("video/"));
  const [clip] = files.filter((file) => file.type.startsWith("video/"));
  if (clip) startClip(clip);
  if (images.length) {
    photos.add(images);
    at("photos").scrollIntoView({ block: "nearest" });
  }
}

// -- what is pressed

function flip(id) {
  const button = at(id);
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  draw();
}

/** From now on only frames that were read are shown, so that no face is seen before it is covered. */
function coverFaces() {
  flip("cover");
  live.keepsFrames = isCovered();
  at("image").classList.toggle("covered", isCovered());
  at("read").hidden = !isCovered();
  cover.begin();
  covered = [];
  draw();
}

async function takeSnapshot() {
  if (at("snapshot").disabled) return;
  const how = { mirrored: isMirrored(), avatars: isCovered(), width: video.videoWidth, height: video.videoHeight };
  const faces = isCovered() ? covered : (lastResult?.faces ?? []);
  const image = await snapshot(isCovered() ? at("read") : video, faces, how);
  if (!image) return;
  save(`mien-${stamp()}.png`, image);
  announcer.say("Snapshot saved");
}

function fillScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else at("stage").requestFullscreen?.().catch(() => {});
}

const KEYS = {
  " ": toggle,
  p: () => state === "running" && setPaused(!live.paused),
  m: () => flip("mirror"),
  c: coverFaces,
  n: followNext,
  s: takeSnapshot,
  o: () => at("file").click(),
  f: fillScreen,
  "?": () => at("keys-dialog").showModal(),
};

const PRESSED = {
  start: toggle, "welcome-start": startCamera, pause: KEYS.p, mirror: KEYS.m, cover: KEYS.c, snapshot: KEYS.s, open: KEYS.o,
  "welcome-open": KEYS.o, choose: KEYS.o, keys: KEYS["?"],
  "save-json": () => saveJsonLines(`mien-${stamp()}`, live.results),
  "save-csv": () => saveCsv(`mien-${stamp()}`, live.results),
  "photos-json": () => saveJsonLines(`mien-photos-${stamp()}`, photos.results),
  "photos-csv": () => saveCsv(`mien-photos-${stamp()}`, photos.results),
  "photos-clear": () => photos.clear(),
};

for (const [id, press] of Object.entries(PRESSED)) at(id).addEventListener("click", () => press());

addEventListener("keydown", (event) => {
  const { target, key } = event;
  const typing = target.closest?.("input:not([type=file]), select, textarea, dialog[open]");
  const pressing = key === " " && target.closest?.("button, a, input");
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !KEYS[key]) return;
  event.preventDefault();
  KEYS[key]();
});

at("file").addEventListener("change", ({ target }) => {
  take([...target.files]);
  target.value = "";
});
at("camera").addEventListener("change", () => (state === "running" || state === "asking") && startCamera());
at("where").addEventListener("change", changeReader);

function changeReader() {
  const now = where();
  for (const [name, one] of Object.entries(readers)) if (name !== now) one.close();
  at("privacy").textContent = PRIVACY[now];
  if (live.source) reader().open();
}

addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").hidden = !event.dataTransfer.types.includes("Files");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) at("drop").hidden = true;
});
addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").hidden = true;
  take([...event.dataTransfer.files]);
});
addEventListener("paste", ({ clipboardData }) => take([...clipboardData.files]));

video.addEventListener("ended", () => live.source && !live.source.live && setState("ended"));
video.addEventListener("resize", fit);
new ResizeObserver(fit).observe(at("stage"));
document.addEventListener("fullscreenchange", fit);
document.addEventListener("visibilitychange", () => {
  setBanner("tab", document.hidden && state === "running" ? BANNERS.hidden : null);
  if (live.source && !live.source.live && !live.paused) {
    if (document.hidden) video.pause();
    else video.play().catch(() => {});
  }
});
navigator.mediaDevices?.addEventListener?.("devicechange", async () => {
  await listCameras();
  if (state === "lost" && (await cameras()).length) startCamera();
});
addEventListener("pagehide", () => live.stop());

// -- the beginning

at("legend").replaceChildren(
  ...description.labels.map((label) => {
    const key = element("span", "", label);
    const dot = element("i");
    dot.style.setProperty("--hue", hueOf(label));
    key.prepend(dot);
    return key;
  }),
);
at("privacy").textContent = PRIVACY[where()];
greeter.show({ happy: 1 }, true);
setState("idle");
