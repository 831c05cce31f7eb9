"""Whether the service stays as it is under a steady load: memory, latency, errors.

    python -m benchmarks.soak --minutes 30

Clients that wait for their answer, and then pause so long that they use `--share` of what the service can do at the
time: so another program on the machine changes the rate, not the load. Images of several forms and sizes. One line a
minute.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.client import Client, Reply
from benchmarks.load import percentile
from tests.support.artifacts import WHOLE, publish
from tests.support.images import encoded
from tests.support.process import Server, served

STEADY_MINUTE = 5


def images() -> list[bytes]:
    forms = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
    return [encoded(form, seed=seed, size=size) for form in forms for seed in (1, 2) for size in (48, 200)]


async def ask(client: Client, bodies: list[bytes], share: float, seconds: float) -> list[Reply]:
    """One client's requests."""
    replies = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        replies.append(await client.post("/predict", random.choice(bodies), X_Deadline_Ms=5000))
        await asyncio.sleep(replies[-1].seconds * (1 / share - 1))
    return replies


async def measure(server: Server, options: argparse.Namespace) -> None:
    client = Client(server.port)
    bodies = images()
    print("minute   answers/s   p50 ms   p99 ms   memory MB   statuses", flush=True)
    total: Counter[int] = Counter()
    steady = 0.0
    for number in range(1, options.minutes + 1):
        by_client = await asyncio.gather(*(ask(client, bodies, options.share, 60) for _ in range(options.clients)))
        replies = [reply for replies in by_client for reply in replies]
        statuses = Counter(reply.status for reply in replies)
        total += statuses
        times = [1000 * reply.seconds for reply in replies if reply.status == 200]
        memory = server.resident_megabytes()
        steady = steady if number > STEADY_MINUTE else memory
        print(
            f"{number:6d}   {len(times) / 60:9.1f}   {percentile(times, 50):6.1f}   "
            f"{percentile(times, 99):6.1f}   {memory:9.1f}   {dict(statuses)}",
            flush=True,
        )
    growth = server.resident_megabytes() / steady - 1
    print(f"{sum(total.values()):,} requests: {dict(total)}; memory since minute {STEADY_MINUTE}: {growth:+.2%}")
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--size", type=int, default=64, help="of the network's input")
    options, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder) / "store", "widget", size=options.size, onnx=True, hypercolumn=WHOLE)
        with served(Path(folder) / "store", *flags) as server:
            server.wait_until_ready()
            asyncio.run(measure(server, options))


if __name__ == "__main__":
    main()
