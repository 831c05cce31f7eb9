// Server-sent events by fetch, since EventSource can't send a key.

import { call } from "./api.js";

/** Calls `onevent(name, data)` for each, until `signal` aborts or the service ends it. */
export async function listen(path, signal, onevent) {
  const reply = await call(path, { signal, headers: { Accept: "text/event-stream" } });
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").filter((line) => !line.startsWith(":")).map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
      if (fields.event) onevent(fields.event, fields.data);
    }
  }
}
