// An image with its heatmap and regions on a canvas that can be zoomed and panned, by mouse, fingers and keys.

import { coloured } from "./heatmap.js";

const LARGEST = 40; // pixels of the screen for one of the image
const STEP = 1.25;

export class LightTable {
  /** `onpointer(value)`: where the pointer is, as {x, y, value}; null: on no image. */
  constructor(canvas, onpointer) {
    this.canvas = canvas;
    this.onpointer = onpointer;
    this.opacity = 0.6;
    this.showsHeatmap = true;
    this.showsRegions = true;
    this.content = null;
    this.pointers = new Map();
    this._listen();
    new ResizeObserver(() => this._resize()).observe(canvas);
  }

  /** `bitmap` may be null, where the browser can't show the image; `heatmap` too. `size` is the image's own. */
  show({ bitmap, heatmap, regions, size }) {
    const isAnother = this.content?.size.width !== size.width || this.content?.size.height !== size.height;
    this.content?.bitmap?.close();
    this.content = { bitmap, heatmap, regions, size, colours: heatmap && coloured(heatmap) };
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
    const { bitmap, colours, regions, size } = this.content;
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
    if (this.showsRegions) regions.forEach(({ box }) => this._outline(context, box));
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
    });
    canvas.addEventListener("pointermove", (event) => this._move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => this.onpointer(null));
    canvas.addEventListener("dblclick", () => this.fit());
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

  _under(point) {
    if (!this.content || !this.view) return null;
    const { size, heatmap } = this.content;
    const x = Math.floor((point.x - this.view.x) / this.view.scale);
    const y = Math.floor((point.y - this.view.y) / this.view.scale);
    if (x < 0 || y < 0 || x >= size.width || y >= size.height) return null;
    if (!heatmap) return { x, y, value: null };
    const column = Math.floor((x * heatmap.width) / size.width);
    const row = Math.floor((y * heatmap.height) / size.height);
    return { x, y, value: heatmap.values[row * heatmap.width + column] };
  }

  /** With shift, arrows pan: without, they are the view's. */
  _key(event) {
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
