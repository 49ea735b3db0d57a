/** The web page: creates its parts and defines what its controls do. */

import { toCsv, toJsonLines } from "../inference/results.js";
import { BrowserBackend, ServerBackend } from "./backends.js";
import { FrameCapture } from "./capture.js";
import { connectControls, inferenceLocation } from "./controls.js";
import { byId, saveFile, timestamp } from "./dom.js";
import { BANNERS } from "./messages.js";
import { takeSnapshot } from "./overlay.js";
import { PhotoGallery } from "./photos.js";
import { VideoFile, Webcam, listWebcams } from "./sources.js";
import { PageState } from "./state.js";
import { View } from "./view.js";

const RECONNECTED_BANNER_MS = 2_500;

const video = byId("video");
const token = new URLSearchParams(location.search).get("token") ?? "";
const callbacks = {
  onResult: (result, frameInfo) => capture.receive(result, frameInfo),
  onReady: () => capture.resume(),
  onStatus: showBackendStatus,
};
const backends = { server: new ServerBackend(token, callbacks), browser: new BrowserBackend(token, callbacks) };
const currentBackend = () => backends[inferenceLocation()];
const state = new PageState();
const capture = new FrameCapture(video, currentBackend, showResult);
const view = new View(state, capture, followFace);
const photos = new PhotoGallery(byId("cards"), (file) => currentBackend().predictPhoto(file), updatePhotos);
let bannerTimer = 0;

// -- status

function setStatus(status) {
  state.status = status;
  if (!state.hasImage) state.result = null;
  view.showStatus();
  setBanner("video", status === "ended" ? BANNERS.ended : null);
}

function setBanner(source, banner) {
  state.setBanner(source, banner);
  view.showBanner();
}

function showBackendStatus(code, progress) {
  clearTimeout(bannerTimer);
  const banner = code ? { ...BANNERS[code] } : null;
  if (progress !== undefined) banner.text += ` ${10 * Math.floor(10 * progress)} %`;
  setBanner("backend", banner);
  if (code === "reconnected") bannerTimer = setTimeout(() => setBanner("backend", null), RECONNECTED_BANNER_MS);
  capture.resume();
}

// -- webcam and videos

async function startSource(source) {
  setStatus(source.isLive ? "requesting" : "idle");
  state.clearSelection();
  state.anonymizedFaces = [];
  view.anonymizedFrame.clear();
  view.history.clear();
  currentBackend().open();
  try {
    if (!(await capture.start(source))) return;
  } catch (error) {
    currentBackend().close();
    setStatus(error.status ?? "failed");
    return;
  }
  currentBackend().resetTracks();
  setStatus("running");
  setPaused(false);
  if (source.isLive) view.showWebcams(await listWebcams());
}

function startWebcam() {
  state.lastVideo = null;
  const onLost = () => {
    stopSource();
    setStatus("lost");
  };
  const onMute = (isMuted) => setBanner("camera", isMuted ? BANNERS.muted : null);
  return startSource(new Webcam(byId("camera").value, { onLost, onMute }));
}

function startVideo(file) {
  state.lastVideo = file;
  return startSource(new VideoFile(file));
}

function stopSource() {
  capture.stop();
  currentBackend().close();
  setPaused(false);
  setBanner("camera", null);
  setStatus("idle");
}

function toggleSource() {
  if (state.isActive) stopSource();
  else if (state.status === "ended" && state.lastVideo) startVideo(state.lastVideo);
  else startWebcam();
}

function setPaused(isPaused) {
  if (capture.source) capture.setPaused(isPaused);
  view.showPaused(isPaused);
  setBanner("pause", isPaused ? BANNERS.paused : null);
}

/** Photos become cards; the first video plays. */
function openFiles(files) {
  const images = files.filter((file) => !file.type.startsWith("video/"));
  const firstVideo = files.find((file) => file.type.startsWith("video/"));
  if (firstVideo) startVideo(firstVideo);
  if (images.length) {
    photos.add(images);
    byId("photos").scrollIntoView({ block: "nearest" });
  }
}

function changeBackend() {
  const location = inferenceLocation();
  for (const [name, backend] of Object.entries(backends)) if (name !== location) backend.close();
  view.showPrivacyNote(location);
  if (capture.source) currentBackend().open();
}

// -- results

function showResult(result, frame) {
  state.result = result;
  if (state.isAnonymized && frame) state.anonymizedFaces = view.anonymizedFrame.show(frame, result);
  view.showResult();
}

function followFace(index) {
  if (!state.selectFace(index)) return;
  view.history.clear();
  view.showResult();
}

function followNextFace() {
  if (state.faces.length > 1) followFace((state.followedIndex + 1) % state.faces.length);
}

function toggleMirror() {
  state.isMirrored = !state.isMirrored;
  view.drawOverlay();
}

/** While faces are anonymized only analyzed frames are shown, so that no face is visible before its avatar is. */
function toggleAnonymization() {
  state.isAnonymized = !state.isAnonymized;
  state.anonymizedFaces = [];
  capture.keepsFrames = state.isAnonymized;
  view.anonymizedFrame.clear();
  view.drawOverlay();
}

async function saveSnapshot() {
  if (!state.hasImage) return;
  const size = { width: video.videoWidth, height: video.videoHeight };
  const options = { mirrored: view.isMirrored, avatars: state.isAnonymized, ...size };
  const image = state.isAnonymized ? view.anonymizedFrame.canvas : video;
  const snapshot = await takeSnapshot(image, state.visibleFaces, options);
  if (!snapshot) return;
  saveFile(`mien-${timestamp()}.png`, snapshot);
  view.announcer.announce("Snapshot saved");
}

function updatePhotos() {
  const { results } = photos;
  byId("photo-downloads").hidden = !results.length;
  const faceCount = results.reduce((count, result) => count + result.faces.length, 0);
  if (results.length) view.announcer.announce(`${results.length} photos analyzed, ${faceCount} faces found`);
}

function saveJsonLines(name, results) {
  saveFile(`${name}-${timestamp()}.jsonl`, toJsonLines(results), "application/x-ndjson");
}

function saveCsv(name, results) {
  saveFile(`${name}-${timestamp()}.csv`, toCsv(results), "text/csv");
}

// -- events

connectControls({
  toggleSource,
  startWebcam,
  togglePause: () => state.isRunning && setPaused(!capture.isPaused),
  toggleMirror,
  toggleAnonymization,
  followNextFace,
  saveSnapshot,
  openFiles,
  changeWebcam: () => state.isActive && startWebcam(),
  changeBackend,
  saveJsonLines: () => saveJsonLines("mien", capture.results),
  saveCsv: () => saveCsv("mien", capture.results),
  savePhotosJsonLines: () => saveJsonLines("mien-photos", photos.results),
  savePhotosCsv: () => saveCsv("mien-photos", photos.results),
  clearPhotos: () => photos.clear(),
});

video.addEventListener("ended", () => capture.source && !capture.source.isLive && setStatus("ended"));
document.addEventListener("visibilitychange", () => {
  setBanner("tab", document.hidden && state.isRunning ? BANNERS.hidden : null);
  if (!capture.source || capture.source.isLive || capture.isPaused) return;
  if (document.hidden) video.pause();
  else video.play().catch(() => {});
});
navigator.mediaDevices?.addEventListener?.("devicechange", async () => {
  const webcams = await listWebcams();
  view.showWebcams(webcams);
  if (state.status === "lost" && webcams.length) startWebcam();
});
addEventListener("pagehide", () => capture.stop());

view.showPrivacyNote(inferenceLocation());
setStatus("idle");
