// Inspect: images in, decisions out, each with its heatmap over it.

import { call, getJson } from "./api.js";
import { count, h, isTyping, probability, save } from "./dom.js";
import { choose, dropped, imagesOf, openCamera } from "./image_files.js";
import { decodeHeatmap, fromBase64 } from "./heatmap.js";
import { ImageViewer } from "./image_viewer.js";
import { csvOf } from "./inspections_csv.js";
import { regionOfInterest } from "./roi.js";
import { banner, chip, facts, outcomeTitle, regionTable, stepTimes } from "./verdict.js";

const AT_ONCE = 2;
const THUMBNAIL = 64;

export class InspectView {
  constructor(app) {
    this.app = app;
    this.items = [];
    this.shown = -1;
    this.shows = 0; // how often an image was shown: what an earlier one still waits for is not added to a later one
    this.waiting = [];
    this.running = 0;
    this.viewer = new ImageViewer();
    this.list = h("ol", { className: "items", ariaLabel: "Images" });
    this.decision = h("div", { ariaLive: "polite", className: "decision" });
    this.details = h("div", { className: "details" });
    this.summary = h("p", { className: "quiet", role: "status" });
    this.notice = h("p", { className: "problem", role: "status" });
    this.csv = this._button("Save as CSV", () => save(csvOf(this.items), "inspections.csv", "text/csv"), true);
    this.previous = this._button("← Previous", () => this.step(-1), true);
    this.next = this._button("Next →", () => this.step(1), true);
    this.drawing = this._button("Draw where it counts", () => this._toggleDrawing());
    this.drawing.ariaExpanded = "false";
    this.viewer.controls.append(this.drawing);
    this.work = h(
      "div",
      { className: "work", hidden: true },
      this.viewer.element,
      h("div", { className: "side" }, this.decision, h("div", { className: "buttons" }, this.previous, this.next), this.details),
      h("div", { className: "strip" }, h("div", { className: "row" }, this.summary, this.csv), this.list),
    );
    this.element = h(
      "section",
      { className: "inspect", ariaLabel: "Inspect" },
      this._dropZone(),
      this.work,
      this.notice,
      h("p", { className: "quiet keys" }, "Keys: ← → other images, space shows or hides the heatmap, + − 0 zoom, shift with arrows moves the image."),
    );
    document.addEventListener("paste", (event) => {
      if (this.app.view === this && event.clipboardData.files.length) this.add(imagesOf(event.clipboardData.files));
    });
  }

  /** Take images in; they are inspected in this order, by the model that is chosen now. */
  add(files) {
    this.notice.textContent = files.length ? "" : "No image was found there: PNG, JPEG, BMP, TIFF and WebP can be inspected.";
    if (!files.length) return;
    for (const file of files) {
      const item = { file, name: file.webkitRelativePath || file.name, model: this.app.model?.name };
      const index = this.items.push(item) - 1;
      item.canvas = h("canvas", { width: THUMBNAIL, height: THUMBNAIL, ariaHidden: "true" });
      item.state = h("span", { className: "quiet" }, "waits");
      item.button = h("button", { type: "button", onclick: () => this.show(index) }, item.canvas, h("span", { className: "name" }, item.name), item.state);
      this.list.append(h("li", {}, item.button));
      this.waiting.push(index);
    }
    this.work.hidden = false;
    this.element.classList.add("filled");
    this._pump();
  }

  key(event) {
    if (isTyping(event.target) || (event.target.type === "range" && event.key.startsWith("Arrow"))) return;
    if (event.key === "ArrowLeft" && !event.shiftKey) this.step(-1);
    else if (event.key === "ArrowRight" && !event.shiftKey) this.step(1);
    else if (event.key === " " && event.target.closest("button, a, input, summary") === null) this.viewer.toggleHeatmap();
    else return;
    event.preventDefault();
  }

  step(by) {
    const index = this.shown + by;
    if (index >= 0 && index < this.items.length) this.show(index);
  }

  async show(index) {
    this.shown = index;
    const number = ++this.shows;
    const item = this.items[index];
    this.items.forEach((each, at) => each.button.setAttribute("aria-current", String(at === index)));
    item.button.scrollIntoView({ block: "nearest" });
    this.previous.disabled = index === 0;
    this.next.disabled = index === this.items.length - 1;
    this._tell(item);
    this._addHistory(item, number);
    const version = this.app.version(item.reply?.model, item.reply?.model_version);
    const roi = await regionOfInterest(item.reply?.model, version);
    const bitmap = await createImageBitmap(item.file).catch(() => null);
    const heatmap = item.reply?.heatmap ? await decodeHeatmap(fromBase64(item.reply.heatmap)) : null;
    if (this.shows !== number) return bitmap?.close();
    const size = item.reply?.image ?? (bitmap && { width: bitmap.width, height: bitmap.height });
    if (!size) return this.viewer.clear();
    const label = item.reply ? `${item.name}: ${outcomeTitle(item.reply)}, ${count(item.reply.regions.length, "region")}` : item.name;
    this.viewer.show({ bitmap, heatmap, regions: item.reply?.regions ?? [], size, roi }, version?.heatmap_scale, label);
    if (!bitmap) this.details.prepend(h("p", { className: "quiet" }, "This browser can't show images of this format: only the heatmap is shown."));
  }

  _tell({ name, reply, error }) {
    this.decision.replaceChildren(h("p", { className: "name" }, name), reply ? banner(reply) : h("p", { className: error ? "problem" : "quiet" }, error ?? "It is being inspected …"));
    this.details.replaceChildren(
      ...(reply
        ? [facts(reply), h("h3", {}, "Regions"), regionTable(reply), h("h3", {}, "Step times"), stepTimes(reply)]
        : []),
    );
  }

  async _toggleDrawing() {
    const { table, element, canvas } = this.viewer;
    if (!this.editor) {
      const { RoiEditor } = await import("./roi_editor.js");
      this.editor ??= new RoiEditor(table);
      element.append(this.editor.element);
    }
    const draws = !table.drawing;
    table.set({ drawing: draws ? this.editor : null });
    this.editor.element.hidden = !draws;
    this.drawing.ariaExpanded = String(draws);
    if (draws) canvas.focus();
  }

  /** Earlier inspections of the same part, where there are records. */
  async _addHistory({ reply }, number) {
    if (!this.app.hasRecords || !reply?.part_id) return;
    const path = `v1/inspections?model=${encodeURIComponent(reply.model)}&part_id=${encodeURIComponent(reply.part_id)}&limit=10`;
    const { inspections } = await getJson(path).catch(() => ({ inspections: [] }));
    if (this.shows !== number || !inspections.length) return;
    const rows = inspections.map((each) => h("li", {}, chip(each), ` ${probability(each.probability)}, version ${each.model_version}, ${new Date(each.received_at).toLocaleString()}`, each.labelled && `; label ${each.labelled.label}`));
    this.details.append(h("h3", {}, "This part's inspections"), h("ol", { className: "history" }, ...rows));
  }

  _pump() {
    while (this.running < AT_ONCE && this.waiting.length) {
      this.running++;
      this._inspect(this.waiting.shift()).finally(() => {
        this.running--;
        this._pump();
      });
    }
    this._summarise();
  }

  async _inspect(index) {
    const item = this.items[index];
    try {
      item.reply = await predict(item);
      item.state.replaceWith((item.state = chip(item.reply)));
    } catch (error) {
      item.error = error.message;
      item.state.replaceWith((item.state = h("span", { className: "problem" }, "Error")));
    }
    await this._thumbnail(item);
    if (this.shown < 0 || this.shown === index) this.show(index);
    else this.next.disabled = this.shown === this.items.length - 1;
  }

  async _thumbnail({ file, canvas }) {
    const bitmap = await createImageBitmap(file, { resizeHeight: THUMBNAIL, resizeQuality: "medium" }).catch(() => null);
    if (!bitmap) return;
    const side = Math.min(bitmap.width, bitmap.height);
    canvas.getContext("2d").drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, THUMBNAIL, THUMBNAIL);
    bitmap.close();
  }

  _summarise() {
    const done = this.items.filter(({ reply }) => reply);
    const errors = this.items.filter(({ error }) => error).length;
    const counts = new Map();
    for (const { reply } of done) counts.set(outcomeTitle(reply), (counts.get(outcomeTitle(reply)) ?? 0) + 1);
    const parts = [...counts].map(([title, number]) => `${number} ${title.toLowerCase()}`);
    if (errors) parts.push(count(errors, "error"));
    this.summary.textContent = `${done.length + errors} of ${count(this.items.length, "image")} inspected: ${parts.join(", ") || "…"}`;
    this.csv.disabled = !done.length && !errors;
  }

  _button(label, act, disabled = false) {
    return h("button", { type: "button", disabled, onclick: act }, label);
  }

  _dropZone() {
    const zone = h(
      "div",
      { className: "drop" },
      h("p", {}, h("strong", {}, "Drop images or a folder here"), ", paste one, or"),
      h(
        "div",
        { className: "buttons" },
        h("button", { type: "button", className: "primary", onclick: () => choose({}, (files) => this.add(files)) }, "Choose images"),
        this._button("Choose a folder", () => choose({ webkitdirectory: true }, (files) => this.add(files))),
        this._button("Use the camera", () => openCamera((files) => this.add(files))),
      ),
    );
    for (const name of ["dragenter", "dragover"]) {
      document.addEventListener(name, (event) => {
        event.preventDefault();
        zone.classList.toggle("over", this.app.view === this);
      });
    }
    document.addEventListener("dragleave", (event) => event.relatedTarget || zone.classList.remove("over"));
    document.addEventListener("drop", async (event) => {
      event.preventDefault(); // or the browser leaves the page for the image
      zone.classList.remove("over");
      if (this.app.view === this) this.add(await dropped(event.dataTransfer));
    });
    return zone;
  }
}

async function predict({ file, name, model }) {
  const part = encodeURIComponent(name.split("/").pop().replace(/\.[^.]+$/, ""));
  const headers = { Accept: "application/json", "Content-Type": "application/octet-stream", "X-Deadline-Ms": "60000" };
  if (part && part.length <= 128) headers["X-Part-ID"] = part;
  const path = model ? `v1/models/${encodeURIComponent(model)}/predict` : "predict";
  return (await call(path, { method: "POST", body: file, headers })).json();
}
