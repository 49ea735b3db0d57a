/** Connects buttons, keyboard shortcuts, file selection, drag and drop and the clipboard to the page's actions. */

import { byId } from "./dom.js";

/** The selected place of inference: "server" or "browser". */
export function inferenceLocation() {
  return document.querySelector("input[name=inference]:checked").value;
}

/** @param actions functions by name, as app.js defines them. */
export function connectControls(actions) {
  const shortcuts = {
    " ": actions.toggleSource,
    p: actions.togglePause,
    m: actions.toggleMirror,
    c: actions.toggleAnonymization,
    n: actions.followNextFace,
    s: actions.saveSnapshot,
    o: () => byId("file").click(),
    f: toggleFullscreen,
    "?": () => byId("shortcuts-dialog").showModal(),
  };
  connectButtons(actions, shortcuts);
  connectKeyboard(shortcuts);
  connectFiles(actions.openFiles);
  byId("camera").addEventListener("change", actions.changeWebcam);
  byId("inference").addEventListener("change", actions.changeBackend);
}

function connectButtons(actions, shortcuts) {
  const clicks = {
    start: shortcuts[" "],
    "welcome-start": actions.startWebcam,
    pause: shortcuts.p,
    mirror: shortcuts.m,
    anonymize: shortcuts.c,
    snapshot: shortcuts.s,
    open: shortcuts.o,
    "welcome-open": shortcuts.o,
    choose: shortcuts.o,
    shortcuts: shortcuts["?"],
    "save-json": actions.saveJsonLines,
    "save-csv": actions.saveCsv,
    "photos-json": actions.savePhotosJsonLines,
    "photos-csv": actions.savePhotosCsv,
    "photos-clear": actions.clearPhotos,
  };
  for (const [id, onClick] of Object.entries(clicks)) byId(id).addEventListener("click", () => onClick());
}

function connectKeyboard(shortcuts) {
  addEventListener("keydown", (event) => {
    const { target, key } = event;
    const isTyping = target.closest?.("input:not([type=file], [type=radio]), select, textarea, dialog[open]");
    const isPressing = key === " " && target.closest?.("button, a, input");
    const hasModifier = event.ctrlKey || event.metaKey || event.altKey;
    if (isTyping || isPressing || hasModifier || event.repeat || !shortcuts[key]) return;
    event.preventDefault();
    shortcuts[key]();
  });
}

/** Files from the file dialog, dropped, or pasted. */
function connectFiles(openFiles) {
  byId("file").addEventListener("change", ({ target }) => {
    openFiles([...target.files]);
    target.value = "";
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    byId("drop").hidden = !event.dataTransfer.types.includes("Files");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) byId("drop").hidden = true;
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    byId("drop").hidden = true;
    openFiles([...event.dataTransfer.files]);
  });
  addEventListener("paste", ({ clipboardData }) => openFiles([...clipboardData.files]));
}

function toggleFullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else byId("stage").requestFullscreen?.().catch(() => {});
}
