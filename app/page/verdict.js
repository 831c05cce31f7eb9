// A reply or a record in words that a person acts on.

import { count, h, percent, probability, signed } from "./dom.js";

const OUTCOMES = {
  accept: { mark: "✓", title: "Accept", advice: "Let the part pass." },
  review: { mark: "?", title: "Review", advice: "A person must look at this part." },
  reject: { mark: "✕", title: "Reject", advice: "Take the part out." },
  "not-inspectable": { mark: "!", title: "Not inspectable", advice: "Don't let the part pass: take another image of it." },
};

/** The decision; of an image that can't be inspected, that. */
export const outcome = (inspection) => (inspection.inspectable === false ? "not-inspectable" : inspection.decision);

export const outcomeTitle = (inspection) => OUTCOMES[outcome(inspection)].title;

/** A chip with the decision's mark, for lists. */
export function chip(inspection) {
  const name = outcome(inspection);
  return h("span", { className: `chip ${name}` }, h("span", { ariaHidden: "true" }, OUTCOMES[name].mark), OUTCOMES[name].title);
}

/** The decision, large, and why. */
export function banner(inspection) {
  const name = outcome(inspection);
  return h(
    "div",
    { className: `banner ${name}` },
    h("span", { className: "mark", ariaHidden: "true" }, OUTCOMES[name].mark),
    h("div", {}, h("strong", {}, OUTCOMES[name].title), h("span", {}, OUTCOMES[name].advice), h("p", {}, ...reasons(inspection))),
  );
}

function reasons(inspection) {
  const { thresholds, regions } = inspection;
  if (inspection.inspectable === false) return [(inspection.odd ?? []).map(oddity).join("; ") || "The image is unlike those that the model knows."];
  const why = {
    accept: `below the threshold of ${percent(thresholds.review)}`,
    review: `between the thresholds of ${percent(thresholds.review)} and ${percent(thresholds.reject)}`,
    reject: `at or above the threshold of ${percent(thresholds.reject)}`,
  }[inspection.decision];
  const found = regions.length ? `${count(regions.length, "region")} marked` : "no region";
  return [`Probability of a defect ${probability(inspection.probability)}, ${why}; ${found}.`];
}

/** One check of the gate: {check, value, limit: [low, high]}. */
function oddity({ check, value, limit }) {
  const [low, high] = limit ?? [];
  const number = (each) => (typeof each === "number" ? Number(each.toPrecision(3)) : each);
  if (typeof low === "number" && value < low) return `${check} ${number(value)} is below ${number(low)}`;
  if (typeof high === "number" && value > high) return `${check} ${number(value)} is above ${number(high)}`;
  return `${check} ${number(value) ?? ""}`.trim();
}

/** Everything else, for who wants to know. */
export function facts(inspection) {
  const rows = [
    ["Probability of a defect", probability(inspection.probability)],
    ["Log-odds", signed(inspection.log_odds)],
    ["Label", inspection.label],
    ["Model", `${inspection.model}, version ${inspection.model_version}`],
    ["Part", inspection.part_id ?? "–"],
    ["Image", `${inspection.image.width} × ${inspection.image.height} pixels`],
    ["Inference id", h("code", {}, inspection.inference_id)],
  ];
  if (typeof inspection.typicality === "number") rows.splice(3, 0, ["Typicality", inspection.typicality.toPrecision(3)]);
  return h("dl", { className: "facts" }, ...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function regionTable({ regions }) {
  if (!regions.length) return h("p", { className: "quiet" }, "No region reaches the region threshold.");
  const head = ["Region", "Score", "Area", "Left, top", "Size"].map((name) => h("th", { scope: "col" }, name));
  const rows = regions.slice(0, 12).map(({ box, area_percent, score }, index) =>
    h(
      "tr",
      {},
      ...[index + 1, score.toFixed(2), `${area_percent.toFixed(2)} %`, `${box.left}, ${box.top}`, `${box.width} × ${box.height}`].map((value) => h("td", {}, String(value))),
    ),
  );
  return h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows));
}

const STEPS = { decode: "Decode", queue: "Queue", predict: "Network", render: "Render" };

/** A bar for each step, as long as its share of all. */
export function stepTimes({ timing_ms }) {
  const all = Object.values(timing_ms).reduce((sum, each) => sum + each, 0) || 1;
  const rows = Object.entries(STEPS).map(([step, name]) => {
    const bar = h("span", { className: "bar" });
    bar.style.width = `${(100 * timing_ms[step]) / all}%`;
    return h("div", {}, h("dt", {}, name), h("dd", {}, h("span", { className: "track", ariaHidden: "true" }, bar), `${timing_ms[step].toFixed(1)} ms`));
  });
  return h("dl", { className: "steps" }, ...rows);
}
