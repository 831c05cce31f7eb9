// The service's API, asked with the person's key. Addresses are relative to the page's, so that they hold under every root path.

const KEY = "camspector-key";
const TRIES = 5;

export class ApiError extends Error {
  constructor(status, error, detail) {
    super(detail);
    this.status = status;
    /** Short and stable, as in the problem's member of that name. */
    this.error = error;
  }
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;
export const setKey = (key) => sessionStorage.setItem(KEY, key);
export const forgetKey = () => sessionStorage.removeItem(KEY);

let asking = null;
let ask = async () => {};

/** `callback(reason)` lets a person give a key, and returns when it is set. */
export function onKeyNeeded(callback) {
  ask = callback;
}

/** The reply, whatever its type. Throws ApiError; asks for a key where one is needed; waits and tries again where the service is busy. */
export async function call(path, options = {}) {
  for (let attempt = 1; ; attempt++) {
    const used = sessionStorage.getItem(KEY);
    const headers = { ...options.headers, ...(used ? { Authorization: `Bearer ${used}` } : {}) };
    let reply;
    try {
      reply = await fetch(new URL(path, document.baseURI), { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "unreachable", "The service can't be reached.");
    }
    if (reply.ok) return reply;
    if (reply.status === 401) {
      if (used === sessionStorage.getItem(KEY)) await askOnce(used ? "The service doesn't know the key that was given." : "");
      continue;
    }
    if ([429, 503].includes(reply.status) && options.method === "POST" && attempt < TRIES) {
      await pause(1000 * Number(reply.headers.get("Retry-After") ?? 1) * (1 + Math.random() / 2));
      continue;
    }
    throw await problem(reply);
  }
}

export const getJson = async (path, options) => (await call(path, options)).json();

export const sendJson = async (method, path, body) =>
  (await call(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } })).json();

function askOnce(reason) {
  asking ??= ask(reason).finally(() => (asking = null));
  return asking;
}

async function problem(reply) {
  try {
    const body = await reply.json();
    return new ApiError(reply.status, body.error, body.detail);
  } catch {
    return new ApiError(reply.status, "unknown", `The service answered ${reply.status}.`);
  }
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
