"""Whether anybody notices that nobody reads the log.

    python -m benchmarks.stalled_log --seconds 300

Clients that wait for their answer ask for verdicts, listings, which fill the log, and /livez: first while the log is
read, then as long again with its pipe stalled, then while it is read on. At the end it stalls once more, and the
process is told to stop.
"""

import argparse
import asyncio
import re
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.client import Client, Reply
from benchmarks.load import percentile
from tests.support.artifacts import WHOLE, publish
from tests.support.images import encoded
from tests.support.process import Server, served

LOSS = "lines of the log are lost"


async def ask(client: Client, listings: int, until: float) -> dict[str, list[Reply]]:
    """One client's requests, by what they ask for: a verdict, and then many that cost little."""
    replies: dict[str, list[Reply]] = {"predict": [], "list": [], "livez": []}
    body = encoded()
    while time.monotonic() < until:
        replies["predict"].append(await client.post("/predict?heatmap=none", body, X_Deadline_Ms=60000))
        for _ in range(listings):
            replies["list"].append(await client.get("/v1/models"))
        replies["livez"].append(await client.get("/livez"))
    return replies


async def metric(client: Client, name: str) -> int:
    text = (await client.get("/metrics")).body.decode()
    found = re.search(rf"^{name} (\S+)$", text, re.M)
    assert found
    return int(float(found[1]))


async def part(server: Server, client: Client, name: str, options: argparse.Namespace) -> int:
    """Print what came back. How many requests should have a line in the log."""
    until = time.monotonic() + options.seconds
    by_client = await asyncio.gather(*(ask(client, options.listings, until) for _ in range(options.clients)))
    replies = {kind: [reply for each in by_client for reply in each[kind]] for kind in by_client[0]}
    statuses = dict(Counter(reply.status for each in replies.values() for reply in each))
    times = "   ".join(
        f"{kind} {percentile([1000 * reply.seconds for reply in each], 50):6.1f} "
        f"{percentile([1000 * reply.seconds for reply in each], 99):6.1f}"
        for kind, each in replies.items()
    )
    waiting, dropped = (
        await metric(client, "camspector_log_lines_waiting"),
        await metric(client, "camspector_log_lines_dropped_total"),
    )
    print(
        f"{name:8s}   {statuses}   ms, p50 p99: {times}   waiting {waiting:,}   dropped {dropped:,}   "
        f"{server.resident_megabytes():.0f} MB",
        flush=True,
    )
    return len(replies["predict"]) + len(replies["list"])


async def measure(server: Server, options: argparse.Namespace) -> None:
    client = Client(server.port)
    asked = await part(server, client, "read", options)
    server.reading.clear()
    asked += await part(server, client, "stalled", options)
    server.reading.set()
    asked += await part(server, client, "read on", options)
    while await metric(client, "camspector_log_lines_waiting"):
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)  # for what is in the pipe
    dropped = await metric(client, "camspector_log_lines_dropped_total")
    lines = server.log().splitlines()
    logged = sum("app.requests" in line for line in lines)
    print(f"{asked:,} requests: {logged:,} lines in the log, {dropped:,} dropped; the log says:")
    print(*(line for line in lines if LOSS in line), sep="\n")
    server.reading.clear()
    for _ in range(1000):
        await client.get("/v1/models")
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300, help="of each part")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--listings", type=int, default=20, help="for each verdict: more of them fill the log sooner")
    options, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder) / "store", "widget", onnx=True, hypercolumn=WHOLE)
        with served(Path(folder) / "store", *flags) as server:
            server.wait_until_ready()
            asyncio.run(measure(server, options))
            began = time.monotonic()
            print(f"stalled, SIGTERM: status {server.stop(signal.SIGTERM)} after {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
