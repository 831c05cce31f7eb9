// Inspections as CSV (RFC 4180).

const COLUMNS = {
  file: ({ name }) => name,
  error: ({ error }) => error,
  part_id: ({ reply }) => reply?.part_id,
  decision: ({ reply }) => reply?.decision,
  inspectable: ({ reply }) => reply?.inspectable,
  label: ({ reply }) => reply?.label,
  probability: ({ reply }) => reply?.probability,
  log_odds: ({ reply }) => reply?.log_odds,
  regions: ({ reply }) => reply?.regions.length,
  model: ({ reply }) => reply?.model,
  model_version: ({ reply }) => reply?.model_version,
  inference_id: ({ reply }) => reply?.inference_id,
};

export function csvOf(items) {
  const rows = items.map((item) => Object.values(COLUMNS).map((value) => cell(value(item) ?? "")));
  return [Object.keys(COLUMNS), ...rows].map((row) => `${row.join(",")}\r\n`).join("");
}

/** Text that a spreadsheet would take for a formula gets an apostrophe. */
function cell(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
