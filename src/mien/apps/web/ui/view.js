/** Renders the page's state into the DOM. */

import constants from "../inference/constants.js";
import { Avatar, NEUTRAL } from "./avatar.js";
import { Announcer, byId, setPressed, setText } from "./dom.js";
import { ProbabilityBars, createLegend, expressionText, showFacePicker, unsureReasons } from "./face_panel.js";
import { ProbabilityHistory } from "./history.js";
import { PRIVACY_NOTES, STATUS_TEXTS } from "./messages.js";
import { AnonymizedFrame, BoxOverlay } from "./overlay.js";

const NARROW_SCREEN = matchMedia("(max-width: 60rem)");
const MAX_NARROW_HEIGHT = 0.7; // of the window, for the image on a narrow screen
const TEXT_INTERVAL_MS = 250; // between updates of numbers that nobody reads faster
const NO_BREAK_SPACE = "\u00a0"; // keeps an empty line's height

export class View {
  history = new ProbabilityHistory(byId("history"));
  anonymizedFrame = new AnonymizedFrame(byId("anonymized-frame"));
  announcer = new Announcer(byId("announcements"));
  #avatar = new Avatar(byId("avatar"));
  #welcomeAvatar = new Avatar(byId("welcome-avatar"));
  #bars = new ProbabilityBars(byId("bars"));
  #video = byId("video");
  #lastTextUpdate = 0;

  /**
   * @param state a PageState.
   * @param capture a FrameCapture.
   * @param onSelect receives the index of a face that was clicked.
   */
  constructor(state, capture, onSelect) {
    Object.assign(this, { state, capture, onSelect });
    this.overlay = new BoxOverlay(byId("boxes"), onSelect);
    byId("legend").replaceChildren(...createLegend(constants.labels));
    this.#welcomeAvatar.show({ happy: 1 }, true);
    new ResizeObserver(() => this.fitImage()).observe(byId("stage"));
    this.#video.addEventListener("resize", () => this.fitImage());
    document.addEventListener("fullscreenchange", () => this.fitImage());
  }

  /** Whether the image is shown as in a mirror: a webcam's only. */
  get isMirrored() {
    return this.state.isMirrored && this.capture.source?.isLive === true;
  }

  showStatus() {
    const { status, isRunning, isActive, hasImage } = this.state;
    const { title, text, isError = false } = STATUS_TEXTS[status] ?? STATUS_TEXTS.idle;
    byId("welcome").hidden = hasImage;
    byId("welcome").classList.toggle("error", isError);
    byId("image").hidden = !hasImage;
    byId("status-title").textContent = title;
    byId("status-text").textContent = text;
    byId("welcome-start").disabled = status === "requesting";
    byId("start").textContent = isActive ? "Stop" : "Start";
    byId("pause").disabled = !isRunning;
    byId("snapshot").disabled = !hasImage;
    byId("stats").hidden = !isRunning;
    byId("notice").classList.toggle("on", isRunning);
    byId("notice-text").textContent = `Expression analysis is ${isRunning ? "on" : "off"}`;
    this.#welcomeAvatar.show({ [isError ? "sad" : status === "requesting" ? "surprise" : "happy"]: 1 });
    if (!hasImage) this.clearResult();
    if (isError || status === "requesting") this.announcer.announce(`${title}. ${text}`);
    this.fitImage();
  }

  showBanner() {
    const { banner } = this.state;
    byId("banner").hidden = !banner;
    byId("banner").classList.toggle("error", Boolean(banner?.isError));
    if (banner) setText(byId("banner"), banner.text);
  }

  showPaused(isPaused) {
    setPressed(byId("pause"), isPaused);
    byId("pause").textContent = isPaused ? "Resume" : "Pause";
  }

  showPrivacyNote(location) {
    byId("privacy").textContent = PRIVACY_NOTES[location];
  }

  /** Fills the list of cameras, [{id, name}]. */
  showWebcams(webcams) {
    const select = byId("camera");
    const current = this.#video.srcObject?.getVideoTracks()[0]?.getSettings().deviceId ?? select.value;
    if (!webcams.length) return;
    select.replaceChildren(...webcams.map(({ id, name }) => new Option(name, id, false, id === current)));
  }

  /** Shows the latest result: boxes, avatar, bars, and the history of the followed face. */
  showResult() {
    const { faces, followedIndex, followedFace: face, result } = this.state;
    this.drawOverlay();
    this.history.add(face?.probabilities ?? null, result.seconds);
    if (face) this.#avatar.show(face.probabilities);
    if (face) this.#bars.show(face.probabilities, face.emotion);
    byId("expression").textContent = face ? expressionText(face) : "no face";
    byId("reasons").textContent = (face && unsureReasons(face)) || NO_BREAK_SPACE;
    showFacePicker(byId("faces"), faces, followedIndex, this.onSelect);
    this.announcer.update(face ? expressionText(face) : "no face");
    if (performance.now() - this.#lastTextUpdate > TEXT_INTERVAL_MS) this.#showTexts(face);
  }

  #showTexts(face) {
    this.#lastTextUpdate = performance.now();
    const { fps, latency } = this.capture.stats;
    byId("stats").textContent = `${fps.toFixed(0)} fps, latency ${latency.toFixed(0)} ms`;
    byId("result-count").textContent = `${this.capture.results.length.toLocaleString("en")} results`;
    byId("history").setAttribute("aria-label", this.history.description);
    byId("avatar").setAttribute("aria-label", face ? `Avatar: ${expressionText(face)}` : "Avatar");
    byId("save-json").disabled = byId("save-csv").disabled = false;
  }

  /** Draws boxes, or avatars, over the image. */
  drawOverlay() {
    const { state, isMirrored } = this;
    setPressed(byId("mirror"), state.isMirrored);
    setPressed(byId("anonymize"), state.isAnonymized);
    byId("image").classList.toggle("anonymized", state.isAnonymized);
    byId("anonymized-frame").hidden = !state.isAnonymized;
    if (!state.result || byId("image").hidden) return;
    byId("image").classList.toggle("mirrored", isMirrored);
    const size = { width: this.#video.videoWidth, height: this.#video.videoHeight };
    const options = { followed: state.followedIndex, mirrored: isMirrored, avatars: state.isAnonymized };
    this.overlay.show(state.visibleFaces, size, options);
  }

  /** A neutral avatar and empty bars, while no source plays. */
  clearResult() {
    this.overlay.show([], { width: 1, height: 1 });
    this.#avatar.show(NEUTRAL);
    this.#bars.show(Object.fromEntries(constants.labels.map((label) => [label, 0])));
    byId("expression").textContent = byId("reasons").textContent = NO_BREAK_SPACE;
    byId("avatar").setAttribute("aria-label", "Avatar: neutral");
    showFacePicker(byId("faces"), [], 0, this.onSelect);
  }

  /** Makes the image as large as the stage allows. */
  fitImage() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    const stage = byId("stage");
    const isNarrow = NARROW_SCREEN.matches && document.fullscreenElement !== stage;
    stage.style.minHeight = "";
    if (byId("image").hidden || !width) return;
    if (isNarrow) stage.style.minHeight = "0";
    const maxHeight = isNarrow ? MAX_NARROW_HEIGHT * innerHeight : stage.clientHeight;
    const scale = Math.min(stage.clientWidth / width, maxHeight / height);
    byId("image").style.width = `${Math.floor(width * scale)}px`;
    byId("image").style.height = `${Math.floor(height * scale)}px`;
    this.drawOverlay();
  }
}
