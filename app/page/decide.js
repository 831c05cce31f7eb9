// Decide: both thresholds on the log-odds of the measured images, and what each position of them means.

import { getJson } from "./api.js";
import { count, h, logit, percent, sigmoid } from "./dom.js";
import { wilson } from "./intervals.js";
import { ScoreChart } from "./score_chart.js";
import { applyServing, canUndo, servingOf, undoServing } from "./serving.js";

const RECENT = 500;

export class DecideView {
  constructor(app) {
    this.app = app;
    this.chart = new ScoreChart((bounds) => this._moved(bounds));
    this.notice = h("p", { className: "quiet" });
    this.message = h("p", { role: "status" });
    this.outcome = h("div", { className: "scroll", ariaLive: "polite" });
    this.apply = h("button", { type: "button", className: "primary", onclick: () => this._change(() => this._apply()) }, "Apply");
    this.undo = h("button", { type: "button", onclick: () => this._change(() => undoServing(this.app.model)) }, "Undo the last change");
    this.reset = h("button", { type: "button", onclick: () => this._load() }, "Back to what is in force");
    this.work = h(
      "div",
      { hidden: true },
      h("div", { className: "card" }, this.chart.element),
      h("div", { className: "card" }, this.outcome, h("p", { className: "buttons" }, this.apply, this.reset, this.undo), this.message),
    );
    this.element = h("section", { className: "decide", ariaLabel: "Decide" }, h("h2", {}, "Where to accept, where to reject"), this.notice, this.work);
  }

  open() {
    this._load();
  }

  modelChanged() {
    this.message.textContent = "";
    this._load();
  }

  /** The version that serves, with the log-odds of the images that it was measured on. */
  async _load() {
    const { model } = this.app;
    this.version = this.app.version(model?.name, model?.serving);
    this.work.hidden = true;
    if (!this.version) return this._notice("No version serves.");
    const path = `v1/models/${encodeURIComponent(model.name)}`;
    const measured = await getJson(`${path}/versions/${model.serving}/report.json`).then((report) => report.measured_images, (error) => error);
    if (this.app.model?.name !== model.name) return;
    if (measured instanceof Error || !measured) {
      return this._notice(measured instanceof Error ? `${measured.message}.` : "This version's report doesn't have the log-odds of single images: it was made by an older training. Train it again.");
    }
    const shift = logit(this.version.defect_rate) - logit(measured.defect_rate);
    const shifted = ([kind, values]) => [kind, values.map((value) => value + shift)];
    this.byKind = Object.fromEntries(Object.entries(measured.log_odds).map(shifted));
    this.good = this.byKind.good ?? [];
    this.defects = Object.entries(this.byKind).filter(([kind]) => kind !== "good").flatMap(([, values]) => values);
    const { review, reject } = this.version.thresholds;
    this.bounds = { review, reject };
    this.work.hidden = false;
    this._notice(`${count(this.good.length, "good image")} and ${count(this.defects.length, "defect")}, each predicted by a model that had not seen it. Drag both thresholds, or move them with the arrow keys.`);
    this.chart.show({ good: this.good, defects: this.defects, recent: await this._recent(model.name), bounds: this.bounds });
    this._tell();
  }

  /** Log-odds of the last parts of the line, where there are records. */
  async _recent(name) {
    if (!this.app.hasRecords) return [];
    const { inspections } = await getJson(`v1/inspections?model=${encodeURIComponent(name)}&version=${this.version.version}&limit=${RECENT}`);
    return inspections.map(({ log_odds }) => log_odds);
  }

  _moved(bounds) {
    this.bounds = bounds;
    this._tell();
  }

  _tell() {
    const { model } = this.app;
    const now = this.version.thresholds;
    this.apply.disabled = this.bounds.review === now.review && this.bounds.reject === now.reject;
    this.undo.disabled = !canUndo(model);
    const [goods, defects] = [decided(this.good, this.bounds), decided(this.defects, this.bounds)];
    const rate = this.version.defect_rate;
    const head = ["", "Accept", "Review", "Reject"].map((name) => h("th", { scope: "col", className: name ? "number" : "" }, name));
    const row = (name, { accept, review, reject }) => h("tr", {}, h("th", { scope: "row" }, name), ...[accept, review, reject].map((number) => h("td", { className: "number" }, String(number))));
    this.outcome.replaceChildren(
      h("p", {}, `Accept below ${percent(this.bounds.review, 2)}, reject from ${percent(this.bounds.reject, 2)} on: probabilities of a defect at a defect rate of ${percent(rate, 2)}.`),
      h("div", { className: "pair" },
        h("table", { className: "counts" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, row("Good images", goods), row("Defects", defects))),
        h(
          "dl",
          { className: "rates" },
          rateLine("Missed defects (escape)", wilson(defects.accept, this.defects.length), 100_000 * rate),
          rateLine("False rejects (overkill)", wilson(goods.reject, this.good.length), 100_000 * (1 - rate)),
          reviewLine(wilson(goods.review, this.good.length).value, wilson(defects.review, this.defects.length).value, rate),
        ),
      ),
    );
  }

  _apply() {
    const { review, reject } = this.bounds;
    const label = Math.min(reject, Math.max(review, this.version.thresholds.label));
    return applyServing(this.app.model, { ...servingOf(this.app.model), thresholds: { review, label, reject } });
  }

  async _change(change) {
    this.message.className = "";
    this.message.textContent = "…";
    try {
      await change();
      this.message.textContent = "In force.";
      await this.app.refresh();
      await this._load();
    } catch (error) {
      this.message.className = "problem";
      this.message.textContent = error.message;
    }
  }

  _notice(text) {
    this.notice.textContent = text;
  }
}

/** Counts of each decision. */
export function decided(logOdds, { review, reject }) {
  const counts = { accept: 0, review: 0, reject: 0 };
  for (const each of logOdds) {
    const p = sigmoid(each);
    counts[p >= reject ? "reject" : p < review ? "accept" : "review"]++;
  }
  return counts;
}

function rateLine(name, { value, low, high }, parts) {
  const whole = (share) => Math.round(share * parts).toLocaleString("en");
  return h(
    "div",
    {},
    h("dt", {}, name),
    h("dd", {}, h("strong", {}, percent(value, 2)), ` (${percent(low, 2)} to ${percent(high, 2)})`),
    h("dd", { className: "quiet" }, `${whole(value)} (${whole(low)} to ${whole(high)}) of 100,000 parts`),
  );
}

function reviewLine(good, defects, rate) {
  const share = (1 - rate) * good + rate * defects;
  return h("div", {}, h("dt", {}, "For a person to review"), h("dd", {}, h("strong", {}, percent(share, 2))), h("dd", { className: "quiet" }, `${Math.round(100_000 * share).toLocaleString("en")} of 100,000 parts`));
}
