"""Have a running service inspect every image under a folder, as a line's own client would: one JSON line each.

    python examples/inspect_folder.py parts/ http://localhost:8000/v1/models/capsule/predict > verdicts.jsonl

Needs Python alone. A key comes from the environment variable INSPECTION_API_KEY. Exit status: 0, every image has a
verdict; 1, some have none, and `error` says why; 2, the arguments can't be used.

The rule that matters: `passed` is true where the service said "accept", and nowhere else. A part that is rejected,
to be reviewed, or that could not be inspected for any reason does not pass.
"""

import argparse
import http.client
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

DEADLINE_MS = 10_000
"""The service answers within it, if only with a refusal."""
SOCKET_SECONDS = DEADLINE_MS / 1000 + 5
"""Without a word for that long, the connection is given up."""
ATTEMPTS = 5
LONGEST_WAIT = 30.0
"""Seconds. Whoever says Retry-After more than that is not waited for."""
TRY_AGAIN = {429, 502, 503}
"""Busy, gone for a moment, starting or stopping: worth another try, as inspecting an image twice does no harm. Another
status would come again."""


class NoVerdictError(Exception):
    """There is no verdict; the message is the reason."""


class Inspector:
    """Asks one service over one connection, which is kept. http.client takes no proxy from the environment."""

    def __init__(self, url: str, key: str = "") -> None:
        """Raises ValueError."""
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"not the address of a service: {url}")
        if not all("!" <= character <= "~" for character in key):
            raise ValueError("INSPECTION_API_KEY is no key: it has spaces, or characters that aren't ASCII")
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(address.hostname, address.port, timeout=SOCKET_SECONDS)
        self._path = f"{address.path or '/predict'}?{address.query or 'heatmap=none'}"
        self._headers = {"X-Deadline-Ms": str(DEADLINE_MS)} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._attempts = ATTEMPTS

    def close(self) -> None:
        self._connection.close()

    def inspect(self, image: bytes, part_id: str) -> dict[str, Any]:
        """The service's reply; docs/api.md says what is in it. Raises NoVerdictError."""
        reason, attempts = "", self._attempts
        for attempt in range(attempts):
            wait = 2.0**attempt - 1  # the first time none: a connection that was kept may have been closed meanwhile
            try:
                reply, body = self._post(image, part_id)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                self._attempts = 1  # until there is an answer: no other image waits as long for one
                reason = f"no answer: {error or type(error).__name__}"
            else:
                self._attempts = ATTEMPTS
                if reply.status == 200 and "decision" in body:
                    return body
                reason = f"{body.get('error', reply.status)}: {body.get('detail', reply.reason)}"
                wait = seconds(reply.getheader("Retry-After"), wait)
                if reply.status not in TRY_AGAIN or wait > LONGEST_WAIT:
                    break
            if attempt + 1 < attempts:
                time.sleep(wait * random.uniform(1, 1.5))  # so that clients that were refused together come apart
        raise NoVerdictError(reason)

    def _post(self, image: bytes, part_id: str) -> tuple[http.client.HTTPResponse, dict[str, Any]]:
        self._connection.request("POST", self._path, image, self._headers | {"X-Part-ID": part_id})
        reply = self._connection.getresponse()
        try:
            body = json.loads(reply.read())
        except ValueError:  # not the service's: a gateway's page, for example
            body = None
        return reply, body if isinstance(body, dict) else {}


def seconds(retry_after: str | None, otherwise: float) -> float:
    """Seconds of a Retry-After header; a date, which HTTP allows too, is not understood."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else otherwise


def inspect(folder: Path, inspector: Inspector) -> Iterator[dict[str, Any]]:
    """The result line of every file."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.relative_to(folder)
        part_id = quote(os.fsencode(name.with_suffix("")), safe="/")
        line: dict[str, Any] = {"file": name.as_posix(), "part_id": part_id, "passed": False}
        try:
            verdict = inspector.inspect(file.read_bytes(), part_id)
        except (NoVerdictError, OSError) as error:
            yield line | {"error": str(error)}
        else:
            reply = {name: verdict.get(name) for name in ("decision", "probability", "model", "model_version")}
            yield line | {"passed": reply["decision"] == "accept"} | reply


def main() -> int:
    parser = argparse.ArgumentParser(description="Print one line of JSON for every image under a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("url", nargs="?", default="http://localhost:8000/predict", help="default: %(default)s")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"not a folder: {arguments.folder}")
    try:
        inspector = Inspector(arguments.url, os.environ.get("INSPECTION_API_KEY", "").strip())
    except ValueError as error:
        parser.error(str(error))
    failed = False
    with closing(inspector):
        for line in inspect(arguments.folder, inspector):
            print(json.dumps(line), flush=True)
            failed |= "error" in line
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
