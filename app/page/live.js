// Live: the line's parts as they come, readable from three metres.

import { count, h, percent, probability } from "./dom.js";
import { listen } from "./event_stream.js";
import { chip, outcome, outcomeTitle } from "./verdict.js";

const SHOWN = 12;
const MINUTES = 5;
const AGAIN = 3000;

export class LiveView {
  constructor(app) {
    this.app = app;
    this.latest = h("div", { className: "latest" }); // not read out: the next part comes before the sentence ends
    this.rates = h("dl", { className: "tiles" });
    this.rejected = h("p", { role: "status" });
    this.period = h("p", { className: "quiet" });
    this.state = h("p", { className: "quiet", role: "status" });
    this.list = h("ol", { className: "last-parts", ariaLabel: "Last parts" });
    this.element = h("section", { className: "live", ariaLabel: "Live" }, this.latest, this.rates, this.period, this.rejected, this.list, this.state);
  }

  open() {
    this.modelChanged();
    this.stop = new AbortController();
    this.timer = setInterval(() => this._showRates(), 2000);
    this._listen(this.stop.signal);
  }

  hide() {
    this.stop.abort();
    clearInterval(this.timer);
  }

  modelChanged() {
    this.events = [];
    this.rejected.textContent = "";
    this.list.replaceChildren();
    this.latest.replaceChildren(h("p", { className: "quiet" }, "Waiting for the next part …"));
    this._showRates();
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
    this.events.push(event);
    this.latest.replaceChildren(h("div", { className: `huge ${outcome(event)}` }, h("strong", {}, outcomeTitle(event)), h("span", {}, event.part_id ?? "no part id"), h("span", {}, probability(event.probability))));
    const time = new Date(1000 * event.at).toLocaleTimeString();
    if (event.decision === "reject") this.rejected.textContent = `Last reject: ${event.part_id ?? "no part id"}, ${time}.`;
    this.list.prepend(h("li", {}, chip(event), h("span", { className: "name" }, event.part_id ?? "–"), h("span", {}, probability(event.probability)), h("time", {}, time)));
    while (this.list.children.length > SHOWN) this.list.lastElementChild.remove();
    this._showRates();
  }

  _showRates() {
    const since = Date.now() / 1000 - 60 * MINUTES;
    this.events = this.events.filter(({ at }) => at >= since);
    const all = this.events.length;
    const lately = this.events.filter(({ at }) => at >= Date.now() / 1000 - 60).length;
    const share = (decision) => (all ? percent(this.events.filter((event) => event.decision === decision).length / all) : "–");
    const tiles = [["Parts a minute", String(lately)], ["Accepted", share("accept")], ["For review", share("review")], ["Rejected", share("reject")]];
    this.rates.replaceChildren(...tiles.map(([name, value]) => h("div", { className: "card" }, h("dt", {}, name), h("dd", {}, value))));
    this.period.textContent = `Shares of the last ${MINUTES} minutes, ${count(all, "part")}.`;
  }

  _say(text) {
    this.state.textContent = text;
  }
}
