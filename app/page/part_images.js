// Small images of parts as they come: one at a time is fetched, the newest first. What comes faster goes without.

import { drawnTogether, recordedImages } from "./recorded_images.js";

const PAUSE = 400; // milliseconds between two: so much of the service's time they take at most
const HEIGHT = 320;

export class PartImages {
  /** `wanted()`: the events that are shown, the most important first; `ondrawn()` is called when one has an image. */
  constructor(wanted, ondrawn) {
    this.wanted = wanted;
    this.ondrawn = ondrawn;
    /** A canvas for an event; null: it is being fetched, or can't be. Gone with the event. */
    this.canvases = new WeakMap();
  }

  async fetchUntil(signal) {
    while (!signal.aborted) {
      const next = document.hidden ? null : this.wanted().find((event) => event?.recorded && !this.canvases.has(event));
      if (next) await this._fetch(next);
      await new Promise((done) => setTimeout(done, PAUSE));
    }
  }

  /** The event's image onto a canvas of the page, which has no height without one. */
  paint(event, canvas) {
    const drawn = (event && this.canvases.get(event)) ?? null;
    if (canvas.shown === drawn) return;
    canvas.shown = drawn;
    canvas.width = drawn?.width ?? 0;
    canvas.height = drawn?.height ?? 0;
    if (drawn) canvas.getContext("2d").drawImage(drawn, 0, 0);
  }

  async _fetch(event) {
    this.canvases.set(event, null);
    try {
      this.canvases.set(event, await drawnTogether(await recordedImages(event.inference_id, event.recorded === "image"), HEIGHT));
      this.ondrawn();
    } catch {
      // it has gone since, or the service is busy: the next part has one again
    }
  }
}
