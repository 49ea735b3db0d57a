/** Results as files, in the command line's schema: JSON Lines, a line an image; CSV, a row a face. */

import description from "./description.js";

export function toJsonLines(results) {
  return results.map((result) => `${JSON.stringify(result)}\n`).join("");
}

/** As ``mien predict --csv`` writes it (RFC 4180). */
export function toCsv(results, labels) {
  const columns = [...description.columns, ...labels.map((label) => `p_${label}`), "error", "schema"];
  const rows = results.flatMap((result) => rowsOf(result, labels));
  return [columns, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

function rowsOf({ source, index, seconds, faces, error, schema }, labels) {
  if (!faces.length) {
    const empty = Array(description.columns.length - 3 + labels.length).fill(null);
    return [[source, index, seconds, ...empty, error, schema]];
  }
  return faces.map((face, number) => [
    source, index, seconds, number, ...face.box, face.confidence, face.emotion, face.probability, face.unsure,
    face.turned_away, face.reasons.join("; "), face.track, ...labels.map((label) => face.probabilities[label] ?? 0),
    error, schema,
  ]);
}

function cell(value) {
  if (value === null || value === undefined) return "";
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Hands a file to the one at the screen. */
export function save(name, content, type) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = document.createElement("a");
  Object.assign(link, { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

export function saveJsonLines(name, results) {
  save(`${name}.jsonl`, toJsonLines(results), "application/x-ndjson");
}

export function saveCsv(name, results) {
  const labels = labelsOf(results);
  save(`${name}.csv`, toCsv(results, labels), "text/csv");
}

/** The labels of the first face; the usual ones where there is none. */
function labelsOf(results) {
  const face = results.find((result) => result.faces.length)?.faces[0];
  return face ? Object.keys(face.probabilities) : description.labels;
}

/** A time for file names: 2026-01-31-142501. */
export function stamp(date = new Date()) {
  const pad = (number) => String(number).padStart(2, "0");
  const day = [date.getFullYear(), pad(date.getMonth() + 1), pad(date.getDate())].join("-");
  return `${day}-${pad(date.getHours())}${pad(date.getMinutes())}${pad(date.getSeconds())}`;
}
