/** DOM helpers: elements, number formats, toggle buttons, downloads and screen-reader announcements. */

export const byId = (id) => document.getElementById(id);

export function createElement(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** Sets the text only if it differs, so that the browser has nothing to lay out again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setPressed(button, pressed) {
  button.setAttribute("aria-pressed", String(pressed));
}

/** A share from 0 to 1 as a percentage. */
export function formatPercent(share) {
  return `${Math.round(100 * share)}\u00a0%`;
}

/** A local time for file names: 2026-01-31-142501. */
export function timestamp(date = new Date()) {
  const pad = (number) => String(number).padStart(2, "0");
  const day = [date.getFullYear(), pad(date.getMonth() + 1), pad(date.getDate())].join("-");
  return `${day}-${pad(date.getHours())}${pad(date.getMinutes())}${pad(date.getSeconds())}`;
}

/** Downloads a Blob or a text as a file. */
export function saveFile(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * Announces expressions to screen readers, not more often than every few seconds.
 *
 * An expression is announced once it has been stable for ``stableMs``, at most once in ``intervalMs``.
 */
export class Announcer {
  #current = "";
  #currentSince = 0;
  #announced = "";
  #announcedAt = -Infinity;

  /** @param region a live region (``aria-live``). */
  constructor(region, { stableMs = 1_000, intervalMs = 4_000 } = {}) {
    Object.assign(this, { region, stableMs, intervalMs });
  }

  /** Takes the expression of the current frame. */
  update(text, now = performance.now()) {
    if (text !== this.#current) {
      this.#current = text;
      this.#currentSince = now;
    }
    const isDue = now - this.#currentSince >= this.stableMs && now - this.#announcedAt >= this.intervalMs;
    if (isDue && text !== this.#announced) this.announce(text, now);
  }

  /** Announces a text at once. */
  announce(text, now = performance.now()) {
    this.#announced = text;
    this.#announcedAt = now;
    this.region.textContent = text;
  }
}
