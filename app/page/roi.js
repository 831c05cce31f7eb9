// The region of interest of a version: where its images count.

import { call } from "./api.js";
import { canvasOf, decodeHeatmap } from "./heatmap.js";

const fetched = new Map();

/** Its values, 0 outside, with a canvas that is opaque there; null: everything counts, or it can't be had. */
export function regionOfInterest(model, version) {
  if (!version?.roi) return null;
  const key = `${model} ${version.version} ${version.created}`;
  if (!fetched.has(key)) fetched.set(key, fetchRoi(model, version.version).catch(() => fetched.delete(key) && null));
  return fetched.get(key);
}

async function fetchRoi(model, number) {
  const reply = await call(`v1/models/${encodeURIComponent(model)}/versions/${number}/roi.png`);
  const { width, height, values } = await decodeHeatmap(await reply.blob());
  const outside = canvasOf(width, height);
  const context = outside.getContext("2d");
  const image = context.createImageData(width, height);
  for (let index = 0; index < values.length; index++) image.data[4 * index + 3] = values[index] ? 0 : 255;
  context.putImageData(image, 0, 0);
  return { width, height, values, outside };
}

/** Dark stripes, light ones: seen on every image. */
export function hatching(context) {
  const tile = canvasOf(10, 10);
  const drawing = tile.getContext("2d");
  drawing.fillStyle = "rgb(0 0 0 / 0.5)";
  drawing.fillRect(0, 0, 10, 10);
  drawing.strokeStyle = "rgb(255 255 255 / 0.45)";
  drawing.lineWidth = 1.5;
  for (const from of [-10, 0, 10]) {
    drawing.beginPath();
    drawing.moveTo(from, 10);
    drawing.lineTo(from + 10, 0);
    drawing.stroke();
  }
  return context.createPattern(tile, "repeat");
}
