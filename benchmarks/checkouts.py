"""The service of this checkout and of another, in turns: latency while idle, and throughput of eight clients.

    python -m benchmarks.checkouts --store run/store --other CHECKOUT --other-store STORE

The other one needs an environment in its .venv, and a store that it can read.
"""

import argparse
import asyncio
import re
import statistics
import subprocess
import threading
import time
from pathlib import Path

from benchmarks.client import Client
from benchmarks.images import PAYLOADS, camera_image
from tests.support.images import encoded
from tests.support.process import ROOT

CLIENTS = 8
IDLE_REQUESTS = 40


def start(root: Path, store: Path) -> tuple[subprocess.Popen[str], Client]:
    """A service whose log nobody reads but a thread."""
    python = root.absolute() / ".venv" / "bin" / "python"
    command = [str(python), "-m", "app", "serve", "--store", str(store.absolute()), "--port", "0"]
    process = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    found = re.search(r"listening on http://[^:]+:(\d+)", process.stderr.readline())
    assert found
    threading.Thread(target=process.stderr.readlines, daemon=True).start()
    return process, Client(int(found[1]))


async def idle(clients: list[Client], body: bytes) -> list[float]:
    """Median milliseconds of each."""
    times: list[list[float]] = [[] for _ in clients]
    for turn in range(-5, IDLE_REQUESTS):
        for client, mine in zip(clients, times, strict=True):
            reply = await client.post("/predict", body)
            assert reply.status == 200
            if turn >= 0:
                mine.append(1000 * reply.seconds)
    return [statistics.median(mine) for mine in times]


async def throughput(client: Client, body: bytes, seconds: float) -> float:
    """Answers a second."""
    began = time.monotonic()

    async def ask() -> int:
        done = 0
        while time.monotonic() < began + seconds:
            done += (await client.post("/predict", body, X_Deadline_Ms=60000)).status == 200
        return done

    return sum(await asyncio.gather(*(ask() for _ in range(CLIENTS)))) / (time.monotonic() - began)


async def measure(clients: list[Client], turns: int, seconds: float) -> None:
    for client in clients:
        while (await client.get("/readyz")).status != 200:
            await asyncio.sleep(0.2)
    jpeg = camera_image(*PAYLOADS["1000² JPEG"])
    for name, body in (("1000² JPEG", jpeg), ("256² PNG", encoded(size=256))):
        this, other = await idle(clients, body)
        print(f"{name}, {len(body):,} bytes: idle p50 {this:.1f} ms, of the other {other:.1f} ms")
    rates = [[await throughput(client, jpeg, seconds) for client in clients] for _ in range(turns)]
    this, other = (statistics.median(column) for column in zip(*rates, strict=True))
    print(
        f"1000² JPEG, {CLIENTS} clients: {this:.1f}/s, of the other {other:.1f}/s: {this / other:.2f}; turns: {rates}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--other", type=Path, required=True)
    parser.add_argument("--other-store", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    services = [start(ROOT, options.store), start(options.other, options.other_store)]
    try:
        asyncio.run(measure([client for _, client in services], options.turns, options.seconds))
    finally:
        for process, _ in services:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
