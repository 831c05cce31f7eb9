// What the records have of an inspection to look at: its image, where that is kept, and its heatmap.

import { call } from "./api.js";
import { coloured, decodeHeatmap } from "./heatmap.js";

/** The image as a blob, null where it isn't kept, and the heatmap's values. */
export async function recordedImages(inferenceId, isKept = true) {
  const blob = async (name) => (await call(`v1/inspections/${inferenceId}/${name}`)).blob();
  const [image, heatmap] = await Promise.all([isKept ? blob("image") : null, blob("heatmap").then(decodeHeatmap)]);
  return { image, heatmap };
}

/** A canvas of that height, with the heatmap over the image; alone where the browser can't show that, or it isn't kept. */
export async function drawnTogether({ image, heatmap }, height, opacity = 0.6) {
  const bitmap = image && (await createImageBitmap(image, { resizeHeight: height, resizeQuality: "medium" }).catch(() => null));
  const canvas = document.createElement("canvas");
  canvas.height = height;
  canvas.width = bitmap?.width ?? Math.round((height * heatmap.width) / heatmap.height);
  const context = canvas.getContext("2d");
  if (bitmap) context.drawImage(bitmap, 0, 0);
  else context.fillRect(0, 0, canvas.width, canvas.height);
  bitmap?.close();
  context.globalAlpha = bitmap ? opacity : 1;
  context.drawImage(coloured(heatmap), 0, 0, canvas.width, canvas.height);
  return canvas;
}
