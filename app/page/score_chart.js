// A histogram of log-odds, good images above the axis and defects below, with both thresholds as handles.

import { h, logit, percent, sigmoid, svg } from "./dom.js";

const WIDTH = 1000;
const HEIGHT = 270;
const AXIS = 125;
const HALF = 95;
const BARS = 60;
const FARTHEST = 11.5; // log-odds of 0.99999: what lies beyond is drawn here
const TICKS = [0.00001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.99999];
const STEP = 0.1;
const HANDLES = { review: "Accept below", reject: "Reject from" };

const clamp = (value) => Math.min(FARTHEST, Math.max(-FARTHEST, value));
const place = (logOdds) => ((clamp(logOdds) + FARTHEST) / (2 * FARTHEST)) * WIDTH;

export class ScoreChart {
  /** `onmove({review, reject})`: probabilities, while a handle is moved. */
  constructor(onmove) {
    this.onmove = onmove;
    this.drawing = svg("g", {});
    this.handles = Object.fromEntries(Object.keys(HANDLES).map((name) => [name, this._handle(name)]));
    this.image = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "group", "aria-label": "Log-odds of the measured images" }, this.drawing, ...Object.values(this.handles));
    this.recentLegend = h("span", { className: "recent-bar" }, "the line's last parts");
    this.element = h(
      "div",
      {},
      h("p", { className: "legend" }, h("span", { className: "good-bar" }, "good images, upwards"), h("span", { className: "defect-bar" }, "defects, downwards"), this.recentLegend),
      h("div", { className: "scroll" }, this.image),
    );
  }

  show({ good, defects, recent, bounds }) {
    this.bounds = bounds;
    this.recentLegend.hidden = !recent.length;
    const counts = [histogram(good), histogram(defects)];
    const largest = Math.max(1, ...counts.flat());
    const bar = (sign, className) => (number, index) =>
      number && svg("rect", { class: className, x: (index * WIDTH) / BARS + 1, width: WIDTH / BARS - 2, height: Math.max(3, (HALF * number) / largest), y: sign > 0 ? AXIS - Math.max(3, (HALF * number) / largest) : AXIS + 1 }, svg("title", {}, document.createTextNode(String(number))));
    const ticks = TICKS.flatMap((p) => {
      const label = svg("text", { x: Math.min(WIDTH - 30, Math.max(30, place(logit(p)))), y: HEIGHT - 6, "text-anchor": "middle" });
      label.textContent = `${Number((100 * p).toPrecision(5))} %`;
      return [label, svg("line", { class: "tick", x1: place(logit(p)), x2: place(logit(p)), y1: 20, y2: HEIGHT - 26 })];
    });
    this.drawing.replaceChildren(
      ...ticks,
      svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: AXIS, y2: AXIS }),
      ...counts[0].map(bar(1, "good-bar")).filter(Boolean),
      ...counts[1].map(bar(-1, "defect-bar")).filter(Boolean),
      ...recent.map((each) => svg("line", { class: "recent-bar", x1: place(each), x2: place(each), y1: HEIGHT - 42, y2: HEIGHT - 28 })),
    );
    this._place();
  }

  _handle(name) {
    const line = svg("line", { class: "grip-line", x1: 0, x2: 0, y1: 18, y2: HEIGHT - 24 });
    const grip = svg("rect", { class: "grip", x: -9, y: name === "review" ? 4 : HEIGHT - 62, width: 18, height: 34, rx: 5 });
    const wide = svg("rect", { class: "grab", x: -16, y: 0, width: 32, height: HEIGHT - 22 });
    const label = svg("text", { class: "grip-label", y: 16 });
    const handle = svg("g", { class: `handle ${name}`, role: "slider", tabindex: 0, "aria-label": `${HANDLES[name]} this probability of a defect` }, line, grip, label, wide);
    handle.addEventListener("pointerdown", (event) => {
      handle.setPointerCapture(event.pointerId);
      handle.focus();
      event.preventDefault();
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const frame = this.image.getBoundingClientRect();
      this._move(name, ((event.clientX - frame.left) / frame.width) * 2 * FARTHEST - FARTHEST);
    });
    handle.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
      if (!(event.key in steps)) return;
      this._move(name, clamp(logit(this.bounds[name])) + STEP * steps[event.key]);
      event.preventDefault();
      event.stopPropagation();
    });
    return handle;
  }

  /** The thresholds don't pass each other: the other one goes along. At the ends all or none are accepted or rejected. */
  _move(name, logOdds) {
    const p = logOdds <= -FARTHEST ? 0 : logOdds >= FARTHEST ? 1 : Number(sigmoid(logOdds).toPrecision(6));
    const { review, reject } = { ...this.bounds, [name]: p };
    this.bounds = name === "review" ? { review, reject: Math.max(review, reject) } : { review: Math.min(review, reject), reject };
    this._place();
    this.onmove(this.bounds);
  }

  _place() {
    for (const [name, handle] of Object.entries(this.handles)) {
      const at = place(logit(this.bounds[name]));
      handle.setAttribute("transform", `translate(${at} 0)`);
      const label = handle.querySelector("text");
      const text = `${HANDLES[name].toLowerCase()} ${percent(this.bounds[name], 2)}`;
      label.textContent = text;
      const left = name === "review" ? at > 180 : at > WIDTH - 180;
      label.setAttribute("text-anchor", left ? "end" : "start");
      label.setAttribute("x", left ? -14 : 14);
      label.setAttribute("y", name === "review" ? 16 : HEIGHT - 42);
      handle.setAttribute("aria-valuemin", 0);
      handle.setAttribute("aria-valuemax", 100);
      handle.setAttribute("aria-valuenow", (100 * this.bounds[name]).toFixed(3));
      handle.setAttribute("aria-valuetext", text);
    }
  }
}

function histogram(values) {
  const counts = new Array(BARS).fill(0);
  for (const each of values) counts[Math.min(BARS - 1, Math.floor((place(each) / WIDTH) * BARS))]++;
  return counts;
}
