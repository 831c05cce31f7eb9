// The light table with its controls and a line on what is under the pointer: for every view that shows an image.

import { h, signed } from "./dom.js";
import { evidence } from "./heatmap.js";
import { LightTable } from "./light_table.js";

export class ImageViewer {
  constructor() {
    const canvas = h("canvas", { tabIndex: 0, role: "img", ariaLabel: "No image" });
    this.scale = null;
    this.under = h("output", { className: "under" }, "\u00a0");
    this.table = new LightTable(canvas, (pointer) => (this.under.textContent = this._describe(pointer)));
    this.heatmapBox = h("input", { type: "checkbox", checked: true, onchange: () => this.table.set({ showsHeatmap: this.heatmapBox.checked }) });
    const regions = h("input", { type: "checkbox", checked: true, onchange: () => this.table.set({ showsRegions: regions.checked }) });
    const opacity = h("input", { type: "range", min: 0, max: 1, step: 0.05, value: 0.6, oninput: () => this.table.set({ opacity: Number(opacity.value) }) });
    const button = (label, name, act) => h("button", { type: "button", ariaLabel: name, title: name, onclick: act }, label);
    this.element = h(
      "div",
      { className: "viewer" },
      canvas,
      (this.controls = h(
        "div",
        { className: "controls" },
        h("label", {}, this.heatmapBox, "Heatmap"),
        h("label", {}, "Opacity ", opacity),
        h("label", {}, regions, "Regions"),
        h("span", { className: "group" }, button("−", "Zoom out", () => this.table.zoom(0.8)), button("+", "Zoom in", () => this.table.zoom(1.25)), button("Fit", "Fit the whole image", () => this.table.fit())),
      )),
      this.under,
    );
    this.canvas = canvas;
  }

  /** `scale`: the version's heatmap scale; `label`: what the canvas shows, in words. */
  show(content, scale, label) {
    this.scale = scale ?? null;
    this.canvas.ariaLabel = label;
    this.table.show(content);
  }

  clear() {
    this.canvas.ariaLabel = "No image";
    this.table.clear();
  }

  toggleHeatmap() {
    this.heatmapBox.checked = !this.heatmapBox.checked;
    this.heatmapBox.dispatchEvent(new Event("change"));
  }

  _describe(pointer) {
    if (!pointer) return "\u00a0";
    const where = `${pointer.x}, ${pointer.y}`;
    if (!pointer.counts) return `${where}: outside the region of interest`;
    if (pointer.value === null) return where;
    const found = evidence(pointer.value, this.scale);
    const text = `${where}: heatmap ${(pointer.value / 255).toFixed(2)}`;
    return found === null ? text : `${text}, evidence ${signed(found)} log-odds (a region from ${signed(this.scale.region_threshold)})`;
  }
}
