// Decisions per minute as stacked bars, the present minute on the right.

import { svg } from "./dom.js";

const WIDTH = 1000;
const HEIGHT = 150;
const AXIS = 128;
const TOP = 18;

export class MinuteChart {
  /** `outcomes`: from the bottom upwards. */
  constructor(minutes, outcomes) {
    const width = WIDTH / minutes;
    this.outcomes = outcomes;
    this.bars = Array.from({ length: minutes }, (_, ago) => outcomes.map((name) => svg("rect", { class: name, x: WIDTH - (ago + 1) * width + 3, width: width - 6 })));
    this.numbers = this.bars.map((_, ago) => svg("text", { x: WIDTH - (ago + 0.5) * width, "text-anchor": "middle" }));
    const times = this.bars.map((_, ago) => svg("text", { x: WIDTH - (ago + 0.5) * width, y: HEIGHT - 4, "text-anchor": "middle" }, ago ? `−${ago}` : "now"));
    this.element = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart minutes", role: "img" }, ...this.bars.flat(), ...this.numbers, ...times, svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: AXIS, y2: AXIS }));
  }

  /** `counts`: by minute, the present one first, parts by outcome. */
  show(counts) {
    const sums = counts.map((outcomes) => Object.values(outcomes).reduce((sum, number) => sum + number, 0));
    const unit = (AXIS - TOP) / Math.max(1, ...sums);
    counts.forEach((outcomes, ago) => {
      let top = AXIS;
      this.outcomes.forEach((name, index) => {
        const height = unit * (outcomes[name] ?? 0);
        top -= height;
        this.bars[ago][index].setAttribute("y", top);
        this.bars[ago][index].setAttribute("height", height);
      });
      this.numbers[ago].setAttribute("y", top - 4);
      this.numbers[ago].textContent = sums[ago] || "";
    });
    this.element.setAttribute("aria-label", `Decisions per minute, the present one first: ${sums.join(", ")}`);
  }
}
