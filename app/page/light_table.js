// An image with its heatmap and regions on a canvas that can be zoomed and panned, by mouse, fingers and keys.

import { coloured } from "./heatmap.js";
import { hatching } from "./roi.js";

const LARGEST = 40; // pixels of the screen for one of the image
const STEP = 1.25;
const STILL = 5; // pixels of the screen that a click may move

export class LightTable {
  /** `onpointer(value)`: where the pointer is, as {x, y, value, counts}; null: on no image. */
  constructor(canvas, onpointer) {
    this.canvas = canvas;
    this.onpointer = onpointer;
    this.opacity = 0.6;
    this.showsHeatmap = true;
    this.showsRegions = true;
    this.content = null;
    /** What draws over the image, and takes clicks and keys first: { draw, press, key }. */
    this.drawing = null;
    this.pointers = new Map();
    this._listen();
    new ResizeObserver(() => this._resize()).observe(canvas);
  }

  /** `bitmap` may be null, where the browser can't show the image; `heatmap` and `roi` too. `size` is the image's own. */
  show({ bitmap, heatmap, regions, size, roi }) {
    const isAnother = this.content?.size.width !== size.width || this.content?.size.height !== size.height;
    this.content?.bitmap?.close();
    this.content = { bitmap, heatmap, regions, size, roi, colours: heatmap && coloured(heatmap) };
    if (isAnother || !this.view) this.fit();
    else this.draw();
  }

  clear() {
    this.content?.bitmap?.close();
    this.content = null;
    this.draw();
  }

  set(properties) {
    Object.assign(this, properties);
    this.draw();
  }

  fit() {
    if (!this.content) return;
    const { width, height } = this.content.size;
    const scale = Math.min(this.canvas.clientWidth / width, this.canvas.clientHeight / height) || 1;
    this.view = { scale, x: (this.canvas.clientWidth - scale * width) / 2, y: (this.canvas.clientHeight - scale * height) / 2 };
    this.smallest = scale / 2;
    this.draw();
  }

  /** `at`: the point of the canvas that stays where it is; its centre, if none. */
  zoom(factor, at = { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 }) {
    if (!this.view) return;
    const { scale, x, y } = this.view;
    const next = Math.min(LARGEST, Math.max(this.smallest, scale * factor));
    this.view = { scale: next, x: at.x - ((at.x - x) * next) / scale, y: at.y - ((at.y - y) * next) / scale };
    this.draw();
  }

  pan(x, y) {
    if (!this.view) return;
    this.view = { ...this.view, x: this.view.x + x, y: this.view.y + y };
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this._frame);
    this._frame = requestAnimationFrame(() => this._draw());
  }

  _draw() {
    const context = this.canvas.getContext("2d");
    const density = window.devicePixelRatio || 1;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, this.canvas.clientWidth, this.canvas.clientHeight);
    if (!this.content || !this.view) return;
    const { bitmap, colours, regions, size, roi } = this.content;
    const { scale, x, y } = this.view;
    const [width, height] = [scale * size.width, scale * size.height];
    context.imageSmoothingEnabled = scale < 4;
    context.fillStyle = "#202020";
    if (bitmap) context.drawImage(bitmap, x, y, width, height);
    else context.fillRect(x, y, width, height);
    context.imageSmoothingEnabled = true;
    if (colours && this.showsHeatmap) {
      context.globalAlpha = this.opacity;
      context.drawImage(colours, x, y, width, height);
      context.globalAlpha = 1;
    }
    if (roi) this._hatch(context, roi.outside, [x, y, width, height]);
    if (this.showsRegions) regions.forEach(({ box }) => this._outline(context, box));
    this.drawing?.draw(context, this.view);
  }

  /** Over what doesn't count. */
  _hatch(context, outside, frame) {
    const { width, height, clientWidth, clientHeight } = this.canvas;
    this.layer ??= document.createElement("canvas");
    Object.assign(this.layer, { width, height });
    const layer = this.layer.getContext("2d");
    layer.setTransform(context.getTransform());
    layer.imageSmoothingEnabled = false;
    layer.drawImage(outside, ...frame);
    layer.globalCompositeOperation = "source-in";
    layer.fillStyle = hatching(layer);
    layer.fillRect(0, 0, clientWidth, clientHeight);
    context.drawImage(this.layer, 0, 0, clientWidth, clientHeight);
  }

  _outline(context, box) {
    const { scale, x, y } = this.view;
    const corners = [x + scale * box.left, y + scale * box.top, scale * box.width, scale * box.height];
    context.lineWidth = 4;
    context.strokeStyle = "rgb(0 0 0 / 0.6)";
    context.strokeRect(...corners);
    context.lineWidth = 2;
    context.strokeStyle = "#0ff";
    context.strokeRect(...corners);
  }

  _resize() {
    const density = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(density * this.canvas.clientWidth);
    this.canvas.height = Math.round(density * this.canvas.clientHeight);
    this.fit();
  }

  _point(event) {
    const frame = this.canvas.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  }

  _listen() {
    const { canvas } = this;
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(STEP ** (-event.deltaY / 100), this._point(event));
      },
      { passive: false },
    );
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this._point(event));
      this.pressed = this.pointers.size === 1 ? this._point(event) : null;
    });
    canvas.addEventListener("pointermove", (event) => this._move(event));
    canvas.addEventListener("pointerup", (event) => this._release(this._point(event)));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.onpointer(null));
    canvas.addEventListener("dblclick", () => this.drawing || this.fit());
    canvas.addEventListener("keydown", (event) => this._key(event));
  }

  /** One pointer pans, two zoom. */
  _move(event) {
    const [now, before] = [this._point(event), this.pointers.get(event.pointerId)];
    if (before) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) this.zoom(distance(now, other) / Math.max(1, distance(before, other)), other);
      else this.pan(now.x - before.x, now.y - before.y);
      this.pointers.set(event.pointerId, now);
    }
    this.onpointer(this._under(now));
  }

  /** A click that didn't move is the drawing's. */
  _release(point) {
    if (this.drawing && this.content && this.pressed && distance(point, this.pressed) < STILL) this.drawing.press(this._inImage(point));
    this.pressed = null;
  }

  /** A point of the canvas in pixels of the image. */
  _inImage({ x, y }) {
    return { x: (x - this.view.x) / this.view.scale, y: (y - this.view.y) / this.view.scale };
  }

  _under(point) {
    if (!this.content || !this.view) return null;
    const { size, heatmap, roi } = this.content;
    const at = this._inImage(point);
    const [x, y] = [Math.floor(at.x), Math.floor(at.y)];
    if (x < 0 || y < 0 || x >= size.width || y >= size.height) return null;
    const value = ({ width, height, values }) => values[Math.floor((y * height) / size.height) * width + Math.floor((x * width) / size.width)];
    return { x, y, value: heatmap ? value(heatmap) : null, counts: !roi || value(roi) > 0 };
  }

  /** With shift, arrows pan: without, they are the view's. */
  _key(event) {
    if (this.content && this.drawing?.key(event)) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
    const pans = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (event.shiftKey && pans[event.key]) this.pan(...pans[event.key]);
    else if (["+", "="].includes(event.key)) this.zoom(STEP);
    else if (event.key === "-") this.zoom(1 / STEP);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
