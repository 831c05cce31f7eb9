// Models: the versions of one, what serves and why others don't, how good they were measured to be.

import { call, getJson, hasKey, sendJson } from "./api.js";
import { count, h, percent, save } from "./dom.js";
import { applyServing, canUndo, servingOf, undoServing } from "./serving.js";

export class ModelsView {
  constructor(app) {
    this.app = app;
    this.message = h("p", { role: "status" });
    this.content = h("div", {});
    this.lately = h("div", {});
    this.element = h("section", { className: "models", ariaLabel: "Models" }, this.message, this.content, this.lately);
  }

  open() {
    this.modelChanged();
  }

  modelChanged() {
    this.message.replaceChildren();
    this.shown = null;
    this.modelsRefreshed();
  }

  /** Drawn again only where something is different: a person may be reading, or have the focus there. */
  modelsRefreshed() {
    const { model } = this.app;
    const now = JSON.stringify(model);
    if (now !== this.shown) {
      this.shown = now;
      this.content.replaceChildren(...(model ? this._model(model) : [h("p", { className: "quiet" }, "No model is in the store yet.")]));
    }
    if (model) this._showStatistics(model);
  }

  _model(model) {
    const serving = model.versions.find(({ version }) => version === model.serving);
    const why = model.pinned === null ? "the newest version that is loaded" : "pinned in serving.json";
    return [
      h("h2", {}, model.name),
      h("p", {}, serving ? `Version ${model.serving} serves: ${why}.` : "No version serves."),
      model.serving_error && h("p", { className: "problem" }, `serving.json isn't in force: ${model.serving_error}`),
      this._buttons(model),
      h("div", { className: "card scroll", tabIndex: 0, role: "region", ariaLabel: "Versions" }, this._versions(model)),
      serving && this._serving(serving),
    ].filter(Boolean);
  }

  _buttons(model) {
    const { version, ...rest } = servingOf(model);
    return h(
      "p",
      { className: "buttons" },
      h("button", { type: "button", disabled: model.pinned === null, onclick: () => this._change(() => applyServing(model, rest)) }, "Follow the newest version"),
      h("button", { type: "button", disabled: !canUndo(model), onclick: () => this._change(() => undoServing(model)) }, "Undo the last change"),
      h("button", { type: "button", disabled: model.serving === null, onclick: () => this._challenge(model.name) }, "Run the challenge images"),
    );
  }

  _versions(model) {
    const names = ["Version", "State", "Made", "Runs as", "Balanced accuracy", "Missed defects", "False rejects", "Thresholds", ""];
    const refused = new Map(model.refused.map(({ version, reason }) => [version, reason]));
    const rows = [...new Set([...model.available, ...model.versions.map(({ version }) => version)])]
      .sort((a, b) => b - a)
      .map((number) => this._row(model, number, refused.get(number)));
    return h("table", {}, h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, ...rows));
  }

  _row(model, number, refusal) {
    const version = model.versions.find((each) => each.version === number);
    const cells = version ? this._loadedCells(model, version) : [h("td", { colSpan: 6 }, refusal ?? "")];
    const loaded = version?.loaded ? "" : ", not loaded";
    const state = refusal ? "refused" : !version ? "in the store, not loaded" : (number === model.serving ? "serves" : version.loaded ? "loaded" : "available") + loaded;
    const act = h("button", { type: "button", disabled: Boolean(refusal) || model.pinned === number, onclick: () => this._change(() => applyServing(model, { ...servingOf(model), version: number })) }, "Pin");
    act.ariaLabel = `Pin version ${number}`;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, String(number)),
      h("td", {}, h("span", { className: `chip ${refusal ? "reject" : number === model.serving ? "accept" : ""}` }, state)),
      ...cells,
      h("td", { className: "actions" }, this._reportLink(model.name, number), act),
    );
  }

  _loadedCells(model, { created, engine, variant, device, figures, thresholds, thresholds_source }) {
    const source = thresholds_source === "serving.json" ? " (serving.json)" : "";
    const band = thresholds.review === thresholds.reject ? percent(thresholds.reject) : `${percent(thresholds.review)} to ${percent(thresholds.reject)}`;
    return [
      h("td", {}, created.slice(0, 16).replace("T", " ")),
      h("td", {}, `${variant}, ${engine}, ${device}`),
      h("td", {}, figures ? interval(figures.balanced_accuracy) : "not measured"),
      h("td", {}, figures ? of(figures.defect_decisions, "accept") : "–"),
      h("td", {}, figures ? of(figures.good_decisions, "reject") : "–"),
      h("td", {}, band + source),
    ];
  }

  /** A link can't send a key: with one, the report is fetched and saved. */
  _reportLink(model, number) {
    const path = `v1/models/${encodeURIComponent(model)}/versions/${number}/report`;
    if (!hasKey()) return h("a", { href: path, target: "_blank", rel: "noopener", ariaLabel: `Report of version ${number}` }, "Report");
    const fetched = async () => save(await (await call(path)).blob(), `${model}-${number}-report.html`, "text/html");
    return h("button", { type: "button", ariaLabel: `Save the report of version ${number}`, onclick: () => fetched().catch((error) => this._say(error.message, true)) }, "Save report");
  }

  _serving(version) {
    const warnings = [
      ...Object.entries(version.skipped_variants).map(([name, reason]) => `${name} doesn't serve: ${reason}`),
      ...(version.decoding_difference ? [version.decoding_difference] : []),
    ];
    const { figures } = version;
    return h(
      "div",
      { className: "pair" },
      h(
        "div",
        { className: "card" },
        h("h3", {}, `Version ${version.version}: how good it was measured to be`),
        figures ? this._figures(version, figures) : h("p", { className: "quiet" }, "It was not measured."),
        ...warnings.map((warning) => h("p", { className: "problem" }, warning)),
      ),
      figures && h("div", { className: "card" }, h("h3", {}, "By kind"), kinds(figures.by_kind)),
    );
  }

  _figures({ operating_point, defect_rate, defect_rate_source }, figures) {
    const rows = [
      ["Balanced accuracy", interval(figures.balanced_accuracy)],
      ["AUROC", interval(figures.auroc, (value) => value.toFixed(3))],
      ["Calibration error", percent(figures.calibration_error.value)],
      ["Defect rate in force", `${percent(defect_rate)} (${defect_rate_source === "data" ? "of the training data" : defect_rate_source === "version" ? "of the version" : "serving.json"})`],
      ["Defects touched by a region", figures.localisation ? interval(figures.localisation.component_recall) : "no masks"],
    ];
    return h(
      "div",
      {},
      h("dl", { className: "facts" }, ...rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      h("p", { className: "quiet" }, `${operating_point.summary} Measured on images that were ${figures.protocol}.`),
    );
  }

  async _showStatistics(model) {
    const statistics = await getJson(`v1/models/${encodeURIComponent(model.name)}/stats`).catch(() => null);
    if (!statistics || this.app.model?.name !== model.name) return;
    const decisions = Object.entries(statistics.decisions).map(([name, number]) => `${number} ${name}`).join(", ");
    const lines = [
      `${count(statistics.requests, "request")} in the last ${Math.round(statistics.seconds)} s${decisions ? `: ${decisions}` : ""}.`,
      ...(statistics.latency_ms.total ? [`Half took ${statistics.latency_ms.total.p50.toFixed(0)} ms at most, 99 % ${statistics.latency_ms.total.p99.toFixed(0)} ms.`] : []),
      ...challengeLines(statistics.challenge),
    ];
    this.lately.replaceChildren(h("div", { className: "card" }, h("h3", {}, "Lately"), ...lines.map((line) => h("p", {}, line))));
  }

  async _challenge(name) {
    this._say("The challenge images are being inspected …");
    try {
      const { images, passed } = await sendJson("POST", `v1/models/${encodeURIComponent(name)}/challenge`);
      const failed = images.filter((image) => !image.passed);
      const each = failed.map(({ image, expected, decision, error }) => `${image}: ${decision ?? error}, expected ${expected}`);
      this._say(passed ? `All ${count(images.length, "challenge image")} were decided as expected.` : `${failed.length} of ${count(images.length, "challenge image")} were not decided as expected. ${each.join("; ")}.`, !passed);
    } catch (error) {
      this._say(error.message, true);
    }
    this._showStatistics(this.app.model);
  }

  async _change(change) {
    this._say("…");
    try {
      await change();
      this._say("Done.");
    } catch (error) {
      this._say(error.message, true);
    }
    this.shown = null;
    await this.app.refresh();
  }

  _say(text, isProblem = false) {
    this.message.className = isProblem ? "problem" : "";
    this.message.textContent = text;
  }
}

const interval = ({ value, low, high }, write = percent) => `${write(value)} (${write(low)} to ${write(high)})`;

const of = (decisions, name) => `${decisions[name]} of ${decisions.accept + decisions.review + decisions.reject}`;

function challengeLines(challenge) {
  if (!challenge) return [];
  const last = challenge.last_passed ? new Date(challenge.last_passed).toLocaleString() : "not known";
  return [`Challenge images since the start: ${challenge.passed} decided as expected, ${challenge.failed} not. Last passed run: ${last}.`];
}

function kinds(byKind) {
  const rows = Object.entries(byKind).map(([kind, { errors, images, auroc }]) =>
    h("tr", {}, h("th", { scope: "row" }, kind), h("td", { className: "number" }, String(images)), h("td", { className: "number" }, String(errors)), h("td", { className: "number" }, auroc === null ? "–" : auroc.toFixed(3))),
  );
  const head = ["Kind", "Images", "Wrong labels", "AUROC"].map((name, index) => h("th", { scope: "col", className: index ? "number" : "" }, name));
  return h("table", {}, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...rows));
}
