/** What people are told of every state: a title, a sentence, and whether it is trouble. */

export const STATES = {
  idle: {
    title: "What does a face show?",
    words: "Start the camera, or drop photos or a short video anywhere on this page.",
  },
  asking: {
    title: "May this page see you?",
    words: "Your browser asks whether this page may use the camera. Choose Allow.",
  },
  denied: {
    title: "The camera is not allowed",
    words: "Allow it in the site settings beside the address, then press Start camera. Photos and videos need no camera.",
    alarm: true,
  },
  none: {
    title: "There is no camera",
    words: "Plug one in and press Start camera, or open photos or a video.",
    alarm: true,
  },
  busy: {
    title: "The camera is busy",
    words: "Another program or tab has it. Close that, then press Start camera.",
    alarm: true,
  },
  insecure: {
    title: "No camera at this address",
    words: "Browsers give the camera to https and to 127.0.0.1 only. Open this page there; photos and videos work here too.",
    alarm: true,
  },
  lost: {
    title: "The camera went away",
    words: "It stopped giving images. Is it plugged in? It starts again when it is back.",
    alarm: true,
  },
  failed: {
    title: "The camera can’t be opened",
    words: "Try another one from the list, or load the page again.",
    alarm: true,
  },
  unplayable: {
    title: "This video can’t be played",
    words: "Expected one that this browser plays, such as MP4 (H.264) or WebM. Convert it, or use mien predict on the command line.",
    alarm: true,
  },
  ended: { title: "The video has ended", words: "Its readings can be saved. Press Start to play it again." },
};

export const BANNERS = {
  hidden: { words: "Reading pauses while this tab is hidden" },
  paused: { words: "Paused" },
  silent: { words: "The camera gives no image", alarm: true },
  connecting: { words: "Connecting to the server on this computer …" },
  lost: { words: "Connection lost. Trying again …", alarm: true },
  back: { words: "Connected again" },
  slow: { words: "The server is slow to answer …" },
  loading: { words: "Loading the model …" },
  runtime_absent: {
    words: "The browser’s runtime is not here. Run: mien models pull onnxruntime-web, then choose In the browser again",
    alarm: true,
  },
  model_absent: { words: "The model is not on this computer. Run: mien models list", alarm: true },
  failed: { words: "Reading failed here. Choose the other way, or load the page again", alarm: true },
};

export const PRIVACY = {
  server: "Images go to the mien server that gave this page, and nowhere else; none is kept.",
  browser: "Images do not leave this page: it reads them itself.",
};
