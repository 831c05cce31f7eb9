// Draws where images count: polygons over the light table, saved as roi.json, which training reads (docs/training.md).

import { count, h, save } from "./dom.js";

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
    this.cross = [0.5, 0.5];
    this.message = h("p", { role: "status" });
    this.list = h("ol", { className: "polygons", ariaLabel: "Polygons" });
    this.kind = h("select", {}, ...Object.entries(KINDS).map(([value, title]) => h("option", { value }, title)));
    const button = (label, act, className = "") => h("button", { type: "button", className, onclick: act }, label);
    this.saving = button("Save roi.json", () => this._save(), "primary");
    this.element = h(
      "div",
      { className: "card roi", role: "group", ariaLabel: "Where it counts" },
      h("p", { className: "quiet" }, "Click the corners of an area, and its first one again. Keys on the image: arrows move the cross, space sets a corner, Enter closes the area, Backspace takes the last corner back, Escape drops the area."),
      h("div", { className: "buttons" }, h("label", {}, "The area ", this.kind), button("Close the area", () => this._close()), button("Take the corner back", () => this._takeBack()), this.saving),
      this.message,
      this.list,
    );
    this._show();
  }

  /** A click, or the space bar, at a point of the image in its pixels. */
  press(point) {
    this._moveTo(point);
    const { view } = this.table;
    const [first] = this.corners;
    if (first && this.corners.length > 2) {
      const [x, y] = this._pixels(first);
      if (Math.hypot(x - point.x, y - point.y) * view.scale < NEAR) return this._close();
    }
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
    if (this.corners.length) outline(context, this.corners.map(place), this.kind.value, false);
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

  _close() {
    if (this.corners.length < 3) return this._say("An area needs three corners.");
    if (crossesItself(this.corners)) return this._say("Its edges cross, so that its inside isn't said: take corners back.");
    this.polygons.push({ kind: this.kind.value, corners: this.corners });
    this._drop();
  }

  _takeBack() {
    this.corners.pop();
    this._say(count(this.corners.length, "corner"));
  }

  _drop() {
    this.corners = [];
    this._show();
  }

  _remove(polygon) {
    this.polygons = this.polygons.filter((each) => each !== polygon);
    this._show();
    this.table.canvas.focus();
  }

  _show() {
    const rows = this.polygons.map((polygon, index) => h("li", {}, `${KINDS[polygon.kind]}, ${count(polygon.corners.length, "corner")} `, h("button", { type: "button", ariaLabel: `Remove area ${index + 1}`, onclick: () => this._remove(polygon) }, "Remove")));
    this.list.replaceChildren(...rows);
    this.saving.disabled = !this.polygons.length;
    this._say(`${count(this.polygons.length, "area")}.`);
  }

  _save() {
    const { width, height } = this.table.content.size;
    const drawn = (name) => this.polygons.filter(({ kind }) => kind === name).map(({ corners }) => corners.map((corner) => this._pixels(corner)));
    save(JSON.stringify({ image: { width, height }, include: drawn("include"), ignore: drawn("ignore") }), "roi.json", "application/json");
    this._say("Put roi.json beside the training images: fit makes a version that looks there alone. Beside images that were labelled since, evaluate --recalibrate makes one with new thresholds.");
  }

  _say(text) {
    this.message.textContent = text;
    this.table.draw();
  }
}

function outline(context, corners, kind, isClosed) {
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
  if (!isClosed) for (const [x, y] of corners) context.fillRect(x - 4, y - 4, 8, 8);
}

/** Whether two edges cross; touching is no crossing. As training has it (training/data/polygons.py). */
function crossesItself(corners) {
  const edges = corners.map((corner, index) => [corner, corners[(index + 1) % corners.length]]);
  const side = ([[ax, ay], [bx, by]], [x, y]) => Math.sign((bx - ax) * (y - ay) - (by - ay) * (x - ax));
  const parts = (edge, [start, end]) => side(edge, start) * side(edge, end) < 0;
  return edges.some((one, index) => edges.slice(index + 1).some((other) => parts(one, other) && parts(other, one)));
}
