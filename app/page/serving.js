// A model's serving.json: what is in force, read from the model's information; changed by an administrator's key; undone.

import { sendJson } from "./api.js";

const UNDO = "camspector-undo";

/** The file's content in force, with its defaults left out. */
export const servingOf = (model) => model.serving_config;

/** Write it; what was in force before can be had back by `undo`. */
export async function applyServing(model, serving) {
  await put(model.name, serving);
  remember(model.name, [...history(model.name), servingOf(model)]);
}

export const canUndo = (model) => history(model.name).length > 0;

export async function undoServing(model) {
  const before = history(model.name);
  await put(model.name, before.at(-1));
  remember(model.name, before.slice(0, -1));
}

const put = (name, serving) => sendJson("PUT", `v1/admin/models/${encodeURIComponent(name)}/serving`, serving);

function history(name) {
  return JSON.parse(sessionStorage.getItem(UNDO) ?? "{}")[name] ?? [];
}

function remember(name, contents) {
  const all = JSON.parse(sessionStorage.getItem(UNDO) ?? "{}");
  sessionStorage.setItem(UNDO, JSON.stringify({ ...all, [name]: contents.slice(-20) }));
}
