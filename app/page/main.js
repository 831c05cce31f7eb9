// The inspection page: which view is shown, for which model, with which key.

import { ApiError, forgetKey, getJson, hasKey, onKeyNeeded, setKey } from "./api.js";
import { h } from "./dom.js";

/** Each view's title, and its class, which is loaded when it is first opened. */
const VIEWS = {
  inspect: ["Inspect", async () => (await import("./inspect.js")).InspectView],
  live: ["Live", async () => (await import("./live.js")).LiveView],
  review: ["Review", async () => (await import("./review.js")).ReviewView],
  decide: ["Decide", async () => (await import("./decide.js")).DecideView],
  models: ["Models", async () => (await import("./models.js")).ModelsView],
};
const REFRESH = 10_000;
const CHOSEN = "camspector-model";

class App {
  constructor() {
    this.models = [];
    this.views = {};
    this.view = null;
    /** Whether the service keeps records of its inspections. */
    this.hasRecords = false;
    this.chooser = document.getElementById("model");
    this.state = document.getElementById("state");
  }

  /** The model that is chosen; null: there is none. */
  get model() {
    return this.models.find(({ name }) => name === this.chooser.value) ?? null;
  }

  /** A loaded version's information. */
  version(model, number) {
    return this.models.find(({ name }) => name === model)?.versions.find(({ version }) => version === number) ?? null;
  }

  async start() {
    this._askForKeys();
    const links = Object.entries(VIEWS).map(([id, [title]]) => h("a", { href: `#${id}` }, title));
    document.getElementById("views").replaceChildren(...links);
    this.chooser.addEventListener("change", () => {
      sessionStorage.setItem(CHOSEN, this.chooser.value);
      this.refresh();
      this.view?.modelChanged?.();
    });
    document.addEventListener("keydown", (event) => !event.ctrlKey && !event.metaKey && !event.altKey && this.view?.key?.(event));
    window.addEventListener("hashchange", () => this._open());
    this.hasRecords = "inspections" in (await getJson("./", { headers: { Accept: "application/json" } }));
    await this.refresh();
    this._open();
    setInterval(() => document.hidden || this.refresh(), REFRESH);
  }

  /** Ask for the models again. */
  async refresh() {
    try {
      this.models = (await getJson("v1/models")).models;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this._tell(error.message, "bad");
      return;
    }
    document.getElementById("forget-key").hidden = !hasKey();
    this._offer(this.models.map(({ name }) => name));
    const { model } = this;
    if (!model) this._tell("No model is in the store yet.", "bad");
    else if (model.serving === null) this._tell("No version serves", "bad");
    else this._tell(`Version ${model.serving} serves`, "good");
    this.view?.modelsRefreshed?.();
  }

  _offer(names) {
    const options = [...this.chooser.options].map(({ value }) => value);
    if (names.join("\n") === options.join("\n")) return;
    const chosen = this.chooser.value || sessionStorage.getItem(CHOSEN);
    this.chooser.replaceChildren(...names.map((name) => h("option", { value: name, selected: name === chosen }, name)));
    this.view?.modelChanged?.();
  }

  _tell(text, kind) {
    if (this.state.textContent !== text) this.state.textContent = text;
    this.state.className = `state ${kind}`;
  }

  async _open() {
    const id = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : Object.keys(VIEWS)[0];
    const [title, load] = VIEWS[id];
    this.opening = id;
    const View = await load().catch(() => null);
    if (this.opening !== id) return; // another one was chosen meanwhile
    if (!View) return this._tell("The service can't be reached.", "bad");
    this.view?.hide?.();
    this.view = this.views[id] ??= new View(this);
    document.getElementById("view").replaceChildren(this.view.element);
    document.title = `${title} – Camspector`;
    for (const link of document.querySelectorAll("#views a")) {
      if (link.hash === `#${id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.view.open?.();
  }

  _askForKeys() {
    const dialog = document.getElementById("key-dialog");
    const input = document.getElementById("key");
    dialog.addEventListener("cancel", (event) => event.preventDefault()); // without a key there is nothing to see
    onKeyNeeded(
      (reason) =>
        new Promise((done) => {
          document.getElementById("key-reason").textContent = reason;
          dialog.addEventListener("close", () => {
            setKey(input.value.trim());
            input.value = "";
            done();
          }, { once: true });
          dialog.showModal();
        }),
    );
    document.getElementById("forget-key").addEventListener("click", () => {
      forgetKey();
      location.reload();
    });
  }
}

new App().start();
