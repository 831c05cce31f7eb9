// Image files from where a person has them: dropped, with their folders; pasted; chosen; from a camera.

import { h } from "./dom.js";

const NAMES = /\.(png|jpe?g|bmp|tiff?|webp)$/i;

const isImage = (file) => file.type.startsWith("image/") || NAMES.test(file.name);

/** Of a list of files, the images in the order of their paths. */
export function imagesOf(files) {
  const path = (file) => file.webkitRelativePath || file.name;
  return [...files].filter(isImage).sort((a, b) => path(a).localeCompare(path(b), undefined, { numeric: true }));
}

/** Of a drop, with everything in its folders. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return imagesOf(transfer.files);
  return imagesOf((await Promise.all(entries.map(filesIn))).flat());
}

async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // a hundred at most
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map(filesIn))).flat());
  }
}

/** Asks for files; of a whole folder, or of a phone's camera, where `properties` say so. */
export function choose(properties, found) {
  const input = h("input", { type: "file", accept: "image/*,.tif,.tiff,.bmp", multiple: true, ...properties });
  input.addEventListener("change", () => found(imagesOf(input.files)));
  input.click();
}

/** A dialog with the camera's image; each that is taken goes to `found`. Without such access: the phone's own camera. */
export async function openCamera(found) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1920 } } });
  } catch {
    choose({ capture: "environment", multiple: false }, found); // no camera, not allowed, or no HTTPS
    return;
  }
  const video = h("video", { autoplay: true, muted: true, playsInline: true, srcObject: stream });
  let number = 0;
  const take = async () => {
    const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    const image = await new Promise((done) => canvas.toBlob(done, "image/png"));
    found([new File([image], `camera-${++number}.png`, { type: "image/png" })]);
  };
  const dialog = h(
    "dialog",
    { className: "camera", ariaLabel: "Camera" },
    video,
    h("p", {}, h("button", { type: "button", className: "primary", onclick: take }, "Inspect this image"), " ", h("button", { type: "button", onclick: () => dialog.close() }, "Close")),
  );
  dialog.addEventListener("close", () => {
    stream.getTracks().forEach((track) => track.stop());
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
}
