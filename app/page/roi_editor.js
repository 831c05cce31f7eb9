// Draws where images count: polygons over the light table, opened from and saved as roi.json, which training reads.

import { count, h, save } from "./dom.js";
import { crossesItself, readRoi, roiText } from "./roi_file.js";

const NEAR = 12; // pixels of the screen from the first corner: there a polygon is closed
const STEP = 10; // pixels of the screen that an arrow moves the cross
const KINDS = { include: "Counts", ignore: "Doesn't count" };
const INKS = { include: "#5dff8f", ignore: "#ffb347" };

export class RoiEditor {
  /** Takes the table's clicks and keys while it is its `drawing`. */
  constructor(table) {
    this.table = table;
    this.polygons = []; // { kind, corners }, in shares of the image: every image has the same
    this.corners = []; // of the one that is being drawn
    this.changed = null; // the polygon that is drawn again, as it was
    this.lifted = null; // which of its corners follows the cross
    this.cross = [0.5, 0.5];
    this.message = h("p", { role: "status" });
    this.list = h("ol", { className: "polygons", ariaLabel: "Polygons" });
    this.kind = h("select", {}, ...Object.entries(KINDS).map(([value, title]) => h("option", { value }, title)));
    const button = (label, act, className = "") => h("button", { type: "button", className, onclick: act }, label);
    this.saving = button("Save roi.json", () => this._save(), "primary");
    this.element = h(
      "div",
      { className: "card roi", role: "group", ariaLabel: "Where it counts" },
      h("p", { className: "quiet" }, "Click the corners of an area, and its first one again. Keys on the image: arrows move the cross, space sets a corner, Enter closes the area, Backspace takes the last corner back, Escape drops the area. Of an area that is changed, a click lifts a corner, and the next one puts it down; Escape leaves the area as it was."),
      h("div", { className: "buttons" }, h("label", {}, "The area ", this.kind), button("Close the area", () => this._close()), button("Take the corner back", () => this._takeBack()), button("Open roi.json", () => this._choose()), this.saving),
      this.message,
      this.list,
    );
    this._show();
  }

  /** A click, or the space bar, at a point of the image in its pixels. */
  press(point) {
    this._moveTo(point);
    const { view } = this.table;
    const isNear = (corner) => {
      const [x, y] = this._pixels(corner);
      return Math.hypot(x - point.x, y - point.y) * view.scale < NEAR;
    };
    if (this.lifted !== null) return this._putDown();
    if (this.changed) {
      const lifted = this.corners.findIndex(isNear);
      if (lifted >= 0) return this._lift(lifted);
    } else if (this.corners.length > 2 && isNear(this.corners[0])) return this._close();
    this.corners.push(this.cross);
    const [x, y] = this._pixels(this.cross);
    this._say(`Corner ${this.corners.length} at ${x}, ${y}.`);
  }

  /** Whether a key on the image was meant for drawing. */
  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (moves && !event.shiftKey) this._move(...moves);
    else if (event.key === " ") this.press(this._point());
    else if (event.key === "Enter") this._close();
    else if (event.key === "Backspace") this._takeBack();
    else if (event.key === "Escape") this._drop();
    else return false;
    return true;
  }

  draw(context, { scale, x, y }) {
    const { size } = this.table.content;
    const place = ([across, down]) => [x + scale * size.width * across, y + scale * size.height * down];
    for (const { kind, corners } of this.polygons) outline(context, corners.map(place), kind, true);
    const drawn = this.corners.map((corner, index) => place(index === this.lifted ? this.cross : corner));
    if (drawn.length) outline(context, drawn, this.kind.value, Boolean(this.changed), true);
    const [left, top] = place(this.cross);
    for (const [ink, width] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = ink;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(left - STEP, top);
      context.lineTo(left + STEP, top);
      context.moveTo(left, top - STEP);
      context.lineTo(left, top + STEP);
      context.stroke();
    }
  }

  _move(across, down) {
    const step = STEP / this.table.view.scale;
    const { x, y } = this._point();
    this._moveTo({ x: x + step * across, y: y + step * down });
    const [left, top] = this._pixels(this.cross);
    this._say(`${left}, ${top}`);
  }

  /** The cross, at a whole pixel within the image. */
  _moveTo({ x, y }) {
    const { width, height } = this.table.content.size;
    const within = (value, most) => Math.min(most, Math.max(0, Math.round(value))) / most;
    this.cross = [within(x, width), within(y, height)];
  }

  _point() {
    const { width, height } = this.table.content.size;
    return { x: this.cross[0] * width, y: this.cross[1] * height };
  }

  _pixels([x, y]) {
    const { width, height } = this.table.content.size;
    return [Math.round(x * width), Math.round(y * height)];
  }

  _lift(index) {
    this.lifted = index;
    this._say(`Corner ${index + 1} is lifted.`);
  }

  _putDown() {
    this.corners = this.corners.map((corner, index) => (index === this.lifted ? this.cross : corner));
    const [x, y] = this._pixels(this.cross);
    this._say(`Corner ${this.lifted + 1} at ${x}, ${y}.`);
    this.lifted = null;
  }

  /** The area is drawn again; where another one is being drawn, that comes first. */
  _change(polygon) {
    if (this.corners.length) return this._say("Close the area that is being drawn first, or drop it.");
    this.polygons = this.polygons.filter((each) => each !== polygon);
    this.changed = polygon;
    this.corners = polygon.corners;
    this.kind.value = polygon.kind;
    this._show();
    this._say("Click a corner to lift it, and where it belongs; then close the area.");
    this.table.canvas.focus();
  }

  _choose() {
    const input = h("input", { type: "file", accept: ".json,application/json" });
    input.addEventListener("change", () => input.files.length && this._open(input.files[0]));
    input.click();
  }

  /** The file's areas, beside those that were drawn. */
  async _open(file) {
    const text = await file.text();
    try {
      this.polygons = [...this.polygons, ...readRoi(text, this.table.content.size)];
    } catch (error) {
      return this._say(`${file.name}: ${error.message}`);
    }
    this._show();
    this.table.canvas.focus();
  }

  _close() {
    if (this.lifted !== null) this._putDown();
    if (this.corners.length < 3) return this._say("An area needs three corners.");
    if (crossesItself(this.corners)) return this._say("Its edges cross, so that its inside isn't said: take corners back.");
    this.polygons.push({ kind: this.kind.value, corners: this.corners });
    this.changed = null;
    this._drop();
  }

  _takeBack() {
    this.lifted = null;
    this.corners = this.corners.slice(0, -1);
    this._say(count(this.corners.length, "corner"));
  }

  /** One that was being changed is as it was. */
  _drop() {
    if (this.changed) this.polygons.push(this.changed);
    this.changed = this.lifted = null;
    this.corners = [];
    this._show();
  }

  _remove(polygon) {
    this.polygons = this.polygons.filter((each) => each !== polygon);
    this._show();
    this.table.canvas.focus();
  }

  _show() {
    const rows = this.polygons.map((polygon, index) => h("li", {}, `${KINDS[polygon.kind]}, ${count(polygon.corners.length, "corner")} `, h("button", { type: "button", ariaLabel: `Change area ${index + 1}`, onclick: () => this._change(polygon) }, "Change"), " ", h("button", { type: "button", ariaLabel: `Remove area ${index + 1}`, onclick: () => this._remove(polygon) }, "Remove")));
    this.list.replaceChildren(...rows);
    this.saving.disabled = !this.polygons.length;
    this._say(`${count(this.polygons.length, "area")}.`);
  }

  _save() {
    if (this.corners.length) return this._say("Close the area that is being drawn first, or drop it.");
    const text = roiText(this.polygons, this.table.content.size, (corner) => this._pixels(corner));
    save(text, "roi.json", "application/json");
    this._say("Put roi.json beside the training images: fit makes a version that looks there alone. Beside images that were labelled since, evaluate --recalibrate makes one with new thresholds.");
  }

  _say(text) {
    this.message.textContent = text;
    this.table.draw();
  }
}

function outline(context, corners, kind, isClosed, isDrawn = false) {
  context.beginPath();
  corners.forEach((corner, index) => (index ? context.lineTo(...corner) : context.moveTo(...corner)));
  if (isClosed) context.closePath();
  context.setLineDash([]);
  for (const [ink, width] of [["#000", 5], [INKS[kind], 2.5]]) {
    context.strokeStyle = ink;
    context.lineWidth = width;
    context.stroke();
    if (kind === "ignore") context.setLineDash([8, 6]); // told apart without colours
  }
  context.setLineDash([]);
  context.fillStyle = INKS[kind];
  if (isDrawn) for (const [x, y] of corners) context.fillRect(x - 4, y - 4, 8, 8);
}
