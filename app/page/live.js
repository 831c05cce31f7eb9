// Live: the line's parts as they come, readable from three metres.

import { getJson } from "./api.js";
import { DecisionTally } from "./decision_tally.js";
import { count, h, percent, probability } from "./dom.js";
import { listen } from "./event_stream.js";
import { MinuteChart } from "./minute_chart.js";
import { PartImages } from "./part_images.js";
import { chip, outcome, outcomeTitle } from "./verdict.js";

const SHOWN = 12;
const MINUTES = 5; // of the shares
const CHARTED = 15; // minutes
const REFRESH = 2000;
const STATISTICS = 5000;
const AGAIN = 3000;
const SHARES = { accept: "Accepted", review: "For review", reject: "Rejected", "not-inspectable": "Not inspectable" };

const seconds = () => Date.now() / 1000; // the browser's clock alone: the service's may differ
const named = (event) => event.part_id ?? "no part id";
const time = (event) => new Date(1000 * event.at).toLocaleTimeString();

export class LiveView {
  constructor(app) {
    this.app = app;
    this.alarms = h("div", { role: "status" });
    this.latest = h("div", { className: "latest" }); // not read out: the next part comes before the sentence ends
    this.reject = h("canvas", { width: 0, height: 0, role: "img" });
    this.rejected = h("p", { role: "status" });
    this.rates = h("dl", { className: "tiles" });
    this.period = h("p", { className: "quiet" });
    this.drift = h("p", { className: "quiet" });
    this.state = h("p", { className: "quiet", role: "status" });
    this.chart = new MinuteChart(CHARTED, Object.keys(SHARES));
    this.slots = Array.from({ length: SHOWN }, () => new Slot()); // used again and again: memory doesn't grow with the parts
    this.element = h(
      "section",
      { className: "live", ariaLabel: "Live" },
      this.alarms,
      h("div", { className: "stage" }, this.latest, h("div", { className: "card last-reject" }, this.reject, this.rejected)),
      this.rates,
      this.period,
      h("ol", { className: "last-parts", ariaLabel: "Last parts" }, ...this.slots.map(({ element }) => element)),
      h("div", { className: "card scroll", tabIndex: 0, role: "region", ariaLabel: "Decisions per minute" }, h("h3", {}, "Decisions per minute"), this.chart.element),
      this.drift,
      this.state,
    );
  }

  open() {
    this.modelChanged();
    this.stop = new AbortController();
    this.timers = [setInterval(() => this._showRates(), REFRESH), setInterval(() => this._showDrift(), STATISTICS)];
    this._listen(this.stop.signal);
    this.images.fetchUntil(this.stop.signal);
  }

  hide() {
    this.stop.abort();
    this.timers.forEach(clearInterval);
  }

  modelChanged() {
    this.tally = new DecisionTally(CHARTED);
    this.parts = [];
    this.lastReject = null;
    this.images = new PartImages(() => [this.lastReject, ...this.parts], () => this._draw());
    this._draw();
    this._showRates();
    this._showDrift();
  }

  async _listen(signal) {
    while (!signal.aborted) {
      try {
        this._say("Connected.");
        await listen("v1/events", signal, (name, data) => (name === "inspection" ? this._take(JSON.parse(data)) : this._say(`${data} parts came faster than this page could show them.`)));
      } catch (error) {
        if (error.name !== "AbortError") this._say(error.message);
      }
      if (!signal.aborted) await new Promise((done) => setTimeout(done, AGAIN));
    }
  }

  _take(event) {
    if (event.model !== this.app.model?.name) return;
    this.tally.add(seconds(), outcome(event), event.odd);
    this.parts = [event, ...this.parts.slice(0, SHOWN - 1)];
    if (event.decision === "reject") this.lastReject = event;
    this._draw();
  }

  /** Once a frame, however many parts have come since the last. */
  _draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      this._showLatest(this.parts[0]);
      this._showReject(this.lastReject);
      this.slots.forEach((slot, index) => slot.show(this.parts[index], this.images));
    });
  }

  _showLatest(event) {
    if (!event) this.latest.replaceChildren(h("p", { className: "quiet" }, "Waiting for the next part …"));
    else this.latest.replaceChildren(h("div", { className: `huge ${outcome(event)}` }, h("strong", {}, outcomeTitle(event)), h("span", {}, named(event)), h("span", {}, probability(event.probability))));
  }

  _showReject(event) {
    const text = event ? `Last reject: ${named(event)}, ${time(event)}.` : "No part has been rejected since this view was opened.";
    if (this.rejected.textContent !== text) this.rejected.textContent = text;
    this.reject.ariaLabel = event ? `Image of ${named(event)} with its heatmap` : "";
    this.images.paint(event, this.reject);
  }

  _showRates() {
    const now = seconds();
    const { outcomes, odd, all } = this.tally.sum(now, MINUTES);
    const share = (name) => (all ? percent((outcomes[name] ?? 0) / all, outcomes[name] === all ? 0 : 1) : "–");
    const tiles = [["Parts a minute", String(this.tally.sum(now, 1).all)], ...Object.entries(SHARES).map(([name, title]) => [title, share(name)])];
    this.rates.replaceChildren(...tiles.map(([name, value]) => h("div", { className: "card" }, h("dt", {}, name), h("dd", {}, value))));
    const reasons = Object.entries(odd).map(([check, number]) => `${check} ${number}`).join(", ");
    this.period.textContent = `Shares of the last ${MINUTES} minutes, ${count(all, "part")}.${reasons ? ` Not inspectable by: ${reasons}.` : ""}`;
    this.chart.show(Array.from({ length: CHARTED }, (_, ago) => this.tally.sum(now, 1, ago).outcomes));
  }

  /** Alarms of drift, and how near the next one is. */
  async _showDrift() {
    const name = this.app.model?.name;
    const found = name && (await getJson(`v1/models/${encodeURIComponent(name)}/stats`).catch(() => null));
    if (!found || this.app.model?.name !== name) return;
    const { alarms, levels, parts_per_false_alarm } = found.drift;
    this.alarms.replaceChildren(...alarms.map(({ text }) => h("p", { className: "alarm" }, `Drift: ${text}.`)));
    const nearest = levels.reduce((most, each) => (each.level > (most?.level ?? 0) ? each : most), null);
    const level = nearest ? `The nearest to its limit is ${nearest.quantity} ${nearest.change}: ${percent(nearest.level, 0)}.` : "";
    this.drift.textContent = parts_per_false_alarm === null ? "Drift isn't watched: the version has no control charts." : `Drift: ${count(alarms.length, "alarm")}. ${level}`;
  }

  _say(text) {
    this.state.textContent = text;
  }
}

/** The place of one of the last parts. */
class Slot {
  constructor() {
    this.canvas = h("canvas", { width: 0, height: 0, ariaHidden: "true" });
    this.state = h("span", {});
    this.name = h("span", { className: "name" });
    this.rest = h("span", { className: "quiet" });
    this.element = h("li", { hidden: true }, this.canvas, this.state, this.name, this.rest);
  }

  show(event, images) {
    this.element.hidden = !event;
    if (event !== this.event && event) {
      this.state.replaceChildren(chip(event));
      this.name.textContent = named(event);
      this.rest.textContent = `${probability(event.probability)}, ${time(event)}`;
    }
    this.event = event;
    images.paint(event, this.canvas);
  }
}
