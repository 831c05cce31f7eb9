// One image, one line: node inspect.mjs ADDRESS IMAGE PART_ID. Exit status 0: the part passes; 1: it doesn't; 2: no verdict.

import { readFile } from 'node:fs/promises';
import { argv, exit } from 'node:process';

const [address, file, partId] = argv.slice(2);

try {
  const response = await fetch(address, {
    method: 'POST',
    body: await readFile(file),
    headers: {
      'Accept': 'text/plain',
      'Content-Type': 'application/octet-stream',
      'X-Part-ID': encodeURIComponent(partId),
      'X-Deadline-Ms': '10000',
    },
    signal: AbortSignal.timeout(15000), // the service answers within the deadline, if only with a refusal
  });
  const line = (await response.text()).trimEnd();
  if (!response.ok) throw new Error(`${response.status} ${line}`);
  const fields = line.split(';'); // evaluation, probability, decision, model, version, part id
  const passed = fields.length === 6 && fields[0] === '1';
  console.log(`${passed ? 'pass' : 'stop'} ${line}`);
  exit(passed ? 0 : 1);
} catch (error) { // an error's status, no answer, no file: the part does not pass
  console.error(`stop: no verdict: ${error.message}`);
  exit(2);
}
