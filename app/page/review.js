// Review: inspections whose label is worth most, one after the other, by single keys.

import { getJson, sendJson } from "./api.js";
import { count, h, isTyping, logit } from "./dom.js";
import { ImageViewer } from "./image_viewer.js";
import { recordedImages } from "./recorded_images.js";
import { regionOfInterest } from "./roi.js";
import { banner, facts, outcomeTitle } from "./verdict.js";

const AT_MOST = 500;
const NEAR = 1; // log-odds from a threshold
const NO_RECORDS = "This service keeps no records of its inspections, so that there is nothing to review: start it with --records.";

export class ReviewView {
  constructor(app) {
    this.app = app;
    this.viewer = new ImageViewer();
    this.notice = h("p", { className: "quiet", role: "status" });
    this.decision = h("div", { ariaLive: "polite", className: "decision" });
    this.details = h("div", { className: "details" });
    this.kinds = h("div", { className: "buttons kinds", hidden: true, role: "group", ariaLabel: "Kind of defect" });
    const button = (label, act) => h("button", { type: "button", onclick: act }, label);
    this.work = h(
      "div",
      { className: "work", hidden: true },
      this.viewer.element,
      h(
        "div",
        { className: "side" },
        this.decision,
        h("div", { className: "buttons" }, button("A: good part", () => this._label("good")), button("R: defect …", () => this._askKind()), button("U: unsure", () => this.step(1))),
        this.kinds,
        this.details,
      ),
    );
    this.element = h("section", { ariaLabel: "Review" }, h("h2", {}, "What a person should look at"), this.notice, this.work, h("p", { className: "quiet keys" }, "Keys: A good part, R defect and its number, U unsure, space shows or hides the heatmap, ← → other inspections."));
  }

  open() {
    this._load();
  }

  modelChanged() {
    this._load();
  }

  key(event) {
    if (isTyping(event.target) || this.work.hidden) return;
    const kind = this.kinds.hidden ? undefined : this.kinds.children[Number(event.key) - 1];
    const act = {
      a: () => this._label("good"),
      r: () => this._askKind(),
      u: () => this.step(1),
      ArrowLeft: () => this.step(-1),
      ArrowRight: () => this.step(1),
      Escape: () => (this.kinds.hidden = true),
      " ": event.target.closest("button, a, input") === null ? () => this.viewer.toggleHeatmap() : undefined,
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!kind && !act) return;
    if (kind) kind.click();
    else act();
    event.preventDefault();
  }

  async _load() {
    const { model, hasRecords } = this.app;
    this.work.hidden = true;
    if (!hasRecords || !model) return this._say(hasRecords ? "No model is in the store yet." : NO_RECORDS);
    this._say("…");
    const path = `v1/inspections?model=${encodeURIComponent(model.name)}&limit=${AT_MOST}`;
    try {
      const [unlabelled, labelled] = await Promise.all([getJson(`${path}&labelled=false`), getJson(`${path}&labelled=true`)]);
      this.queue = byValue([...unlabelled.inspections, ...labelled.inspections.filter(disagrees)].filter(({ image }) => image.kept));
    } catch (error) {
      return this._say(error.message);
    }
    if (!this.queue.length) return this._say("There is nothing to review: every inspection whose image is kept has a label.");
    this.done = 0;
    this.work.hidden = false;
    this.show(0);
  }

  step(by) {
    const index = this.index + by;
    if (index >= 0 && index < this.queue.length) this.show(index);
    else if (by > 0) this._say("That was the last one.");
  }

  async show(index) {
    this.index = index;
    this.kinds.hidden = true;
    const inspection = this.queue[index];
    this._say(`${index + 1} of ${this.queue.length}; ${count(this.done, "label")} given.`);
    this._tell(inspection);
    const shown = await images(inspection).catch((error) => error);
    images(this.queue[index + 1]); // so that it is there when it is wanted
    if (shown instanceof Error) return this.index === index && this._say(shown.message);
    const { image, heatmap } = shown;
    const version = this.app.version(inspection.model, inspection.model_version);
    const roi = await regionOfInterest(inspection.model, version);
    const bitmap = await createImageBitmap(image).catch(() => null);
    if (this.index !== index) return bitmap?.close();
    this.viewer.show({ bitmap, heatmap, regions: inspection.regions, size: inspection.image, roi }, version?.heatmap_scale, `Part ${inspection.part_id ?? "without an id"}: ${outcomeTitle(inspection)}`);
  }

  _tell(inspection) {
    const { labelled } = inspection;
    this.decision.replaceChildren(h("p", { className: "name" }, inspection.part_id ?? "No part id", h("span", { className: "quiet" }, `, ${new Date(inspection.received_at).toLocaleString()}`)), banner(inspection));
    this.details.replaceChildren(...(labelled ? [h("p", {}, `Label: ${labelled.label}${labelled.by ? `, by ${labelled.by}` : ""}`)] : []), facts(inspection));
  }

  _askKind() {
    const known = Object.keys(this.app.version(this.app.model.name, this.app.model.serving)?.figures?.by_kind ?? {}).filter((kind) => kind !== "good");
    const kinds = (known.length ? known : ["defect"]).slice(0, 9);
    this.kinds.replaceChildren(...kinds.map((kind, index) => h("button", { type: "button", onclick: () => this._label(kind) }, `${index + 1}: ${kind}`)));
    this.kinds.hidden = false;
  }

  async _label(label) {
    const inspection = this.queue[this.index];
    this.kinds.hidden = true;
    this.step(1);
    try {
      Object.assign(inspection, await sendJson("PUT", `v1/inspections/${inspection.inference_id}/label`, { label }));
      this.done++;
    } catch (error) {
      this._say(`${inspection.part_id ?? "An inspection"} has no label: ${error.message}`);
      return;
    }
    this._say(`${this.index + 1} of ${this.queue.length}; ${count(this.done, "label")} given.`);
  }

  _say(text) {
    this.notice.textContent = text;
  }
}

/** Whether the label that a person gave is another than the decision. */
const disagrees = ({ decision, labelled }) => (labelled.label === "good" ? decision === "reject" : decision === "accept");

/** Near a threshold, then not inspectable, then disagreeing with its label, then at random. */
export function byValue(inspections) {
  const valued = inspections.map((inspection) => [value(inspection), inspection]);
  return valued.sort(([a], [b]) => a - b).map(([, inspection]) => inspection);
}

function value({ log_odds, thresholds, inspectable, labelled }) {
  const distance = Math.min(Math.abs(log_odds - logit(thresholds.review)), Math.abs(log_odds - logit(thresholds.reject)));
  if (inspectable !== false && !labelled && distance < NEAR) return distance / NEAR;
  if (inspectable === false) return 1 + Math.random();
  return (labelled ? 2 : 3) + Math.random();
}

const fetched = new Map();

/** As `recordedImages`; the last few are kept. */
function images(inspection) {
  if (!inspection) return null;
  const id = inspection.inference_id;
  if (!fetched.has(id)) {
    fetched.set(id, recordedImages(id));
    fetched.get(id).catch(() => fetched.delete(id));
    if (fetched.size > 6) fetched.delete(fetched.keys().next().value);
  }
  return fetched.get(id);
}
