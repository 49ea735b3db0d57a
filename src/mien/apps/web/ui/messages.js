/** Texts for every status of the page: a title, an explanation, and whether it is an error. */

export const STATUS_TEXTS = {
  idle: {
    title: "Which expression does a face show?",
    text: "Start the webcam, or drop photos or a short video anywhere on this page.",
  },
  requesting: {
    title: "Allow camera access",
    text: "Your browser shows a permission prompt. Choose Allow.",
  },
  denied: {
    title: "Camera access denied",
    text: "Allow it in the site settings next to the address bar, then press Start webcam. Photos and videos need no camera.",
    isError: true,
  },
  none: {
    title: "No camera found",
    text: "Plug one in and press Start webcam, or open photos or a video.",
    isError: true,
  },
  busy: {
    title: "The camera is in use",
    text: "Close the other program or tab that uses it, then press Start webcam.",
    isError: true,
  },
  insecure: {
    title: "No camera access at this address",
    text: "Browsers allow the camera on https and on 127.0.0.1 only. Open this page there; photos and videos work here too.",
    isError: true,
  },
  lost: {
    title: "Camera disconnected",
    text: "It stopped sending images. Is it plugged in? Analysis resumes when it is back.",
    isError: true,
  },
  failed: {
    title: "The camera can’t be opened",
    text: "Choose another one from the list, or reload the page.",
    isError: true,
  },
  unplayable: {
    title: "This video can’t be played",
    text: "Expected a format that this browser plays, such as MP4 (H.264) or WebM. Convert it, or use mien predict on the command line.",
    isError: true,
  },
};

export const BANNERS = {
  hidden: { text: "Paused while this tab is hidden" },
  paused: { text: "Paused" },
  ended: { text: "The video has ended. Save its results, or press Start to play it again" },
  muted: { text: "The camera sends no image", isError: true },
  connecting: { text: "Connecting to the server …" },
  lost: { text: "Connection lost. Reconnecting …", isError: true },
  reconnected: { text: "Connected again" },
  slow: { text: "The server responds slowly …" },
  loading: { text: "Loading the model …" },
  missing_package: {
    text: "onnxruntime-web is missing. Run: mien models pull onnxruntime-web, then choose In the browser again",
    isError: true,
  },
  missing_model: { text: "The model is not on this machine. Run: mien models list", isError: true },
  failed: { text: "Inference in the browser failed. Choose On the server, or reload the page", isError: true },
};

export const PRIVACY_NOTES = {
  server: "Images are sent to the mien server that delivered this page and nowhere else; none is stored.",
  browser: "Images do not leave this page: inference runs in your browser.",
};
