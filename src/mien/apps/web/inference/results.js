/** Results as files in the schema of the command line: JSON Lines with a line per image, CSV with a row per face. */

import constants from "./constants.js";

export function toJsonLines(results) {
  return results.map((result) => `${JSON.stringify(result)}\n`).join("");
}

/** CSV as ``mien predict --csv`` writes it (RFC 4180). */
export function toCsv(results) {
  const labels = labelsOf(results);
  const columns = [...constants.columns, ...labels.map((label) => `p_${label}`), "error", "schema"];
  const rows = results.flatMap((result) => rowsOf(result, labels));
  return [columns, ...rows].map((row) => `${row.map(quoteCell).join(",")}\r\n`).join("");
}

function rowsOf({ source, index, seconds, faces, error, schema }, labels) {
  if (!faces.length) {
    const empty = Array(constants.columns.length - 3 + labels.length).fill(null);
    return [[source, index, seconds, ...empty, error, schema]];
  }
  return faces.map((face, number) => [
    source, index, seconds, number, ...face.box, face.confidence, face.emotion, face.probability, face.unsure,
    face.unsure_below, face.turned_away, face.reasons.join("; "), face.quality_issues.join("; "), face.track,
    ...labels.map((label) => face.probabilities[label] ?? 0), error, schema,
  ]);
}

function quoteCell(value) {
  if (value === null || value === undefined) return "";
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The labels of the first face; FER2013's where there is none. */
function labelsOf(results) {
  const face = results.find((result) => result.faces.length)?.faces[0];
  return face ? Object.keys(face.probabilities) : constants.labels;
}
