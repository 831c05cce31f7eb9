// The reply's gray heatmap: its values, its colours, and the evidence behind a value.

import { logit } from "./dom.js";

/** Black-violet-red-yellow-white, as in the service's own overlay. */
const STOPS = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

const COLOURS = Array.from({ length: 256 }, (_, value) => {
  const at = (value / 255) * (STOPS.length - 1);
  const low = Math.min(Math.floor(at), STOPS.length - 2);
  return STOPS[low].map((from, channel) => Math.round(from + (at - low) * (STOPS[low + 1][channel] - from)));
});

/** The same as pixels (their bytes red, green, blue, alpha), the more opaque the larger the value. */
const PALETTE = new Uint32Array(Uint8Array.from(COLOURS.flatMap((colour, value) => [...colour, value])).buffer);

/** Values 0 to 255 of a gray PNG, row by row. */
export async function decodeHeatmap(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const context = canvasOf(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  const values = new Uint8Array(width * height);
  for (let index = 0; index < values.length; index++) values[index] = pixels[4 * index];
  return { width, height, values };
}

/** A canvas with the heatmap's colours, the more opaque the larger the value. */
export function coloured({ width, height, values }) {
  const canvas = canvasOf(width, height);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let index = 0; index < values.length; index++) pixels[index] = PALETTE[values[index]];
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Log-odds of a patch from its heatmap value (docs/concepts.md); null: the value is at an end of the scale. */
export function evidence(value, scale) {
  if (!scale || value === 0 || value === 255) return null;
  return scale.region_threshold + ((scale.region_threshold - scale.good_median) / 4) * logit(value / 255);
}

export const fromBase64 = (text) => new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type: "image/png" });

export function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}
