"""A line whose parts have a deadline, beside engineers who fetch overlays of large images.

    python -m benchmarks.beside_overlays --store run/store --engineers 2

The line sends a small image every --every seconds, whatever became of the others; each engineer asks for the overlay
of a 12-megapixel JPEG, looks at it, and asks again.
"""

import argparse
import asyncio
import time
from collections import Counter
from pathlib import Path

from benchmarks.client import Client, Reply
from benchmarks.images import LARGE, camera_image
from benchmarks.load import percentile
from tests.support.images import encoded
from tests.support.process import Server, served


async def engineer(client: Client, body: bytes, replies: list[Reply]) -> None:
    """Until cancelled."""
    while True:
        replies.append(await client.post("/predict?heatmap=overlay", body, Accept="image/png", X_Deadline_Ms=20000))
        await asyncio.sleep(0.5)


async def line(client: Client, body: bytes, options: argparse.Namespace) -> list[Reply]:
    tasks = []
    until = time.monotonic() + options.seconds
    while time.monotonic() < until:
        tasks.append(asyncio.create_task(client.post("/predict", body, X_Deadline_Ms=options.deadline_ms)))
        await asyncio.sleep(options.every)
    return await asyncio.gather(*tasks)


async def measure(server: Server, options: argparse.Namespace) -> None:
    client = Client(server.port)
    small, large = encoded(size=256), camera_image(*LARGE["12-megapixel JPEG"])
    print(f"the line's images have {len(small):,} bytes, the large image {len(large):,}")
    print("engineers   in time      p50 ms   max ms   statuses")
    for count in range(options.engineers + 1):
        overlays: list[Reply] = []
        engineers = [asyncio.create_task(engineer(client, large, overlays)) for _ in range(count)]
        await asyncio.sleep(3)
        replies = await line(client, small, options)
        for task in engineers:
            task.cancel()
        good = [reply for reply in replies if reply.status == 200 and 1000 * reply.seconds <= options.deadline_ms]
        times = [1000 * reply.seconds for reply in replies]
        print(
            f"{count:9} {len(good):5} of {len(replies):3} {percentile(times, 50):8.0f} {max(times):8.0f}   "
            f"{dict(Counter(reply.status for reply in replies))}; overlays "
            f"{dict(Counter(reply.status for reply in overlays))}",
            flush=True,
        )
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--engineers", type=int, default=2)
    parser.add_argument("--every", type=float, default=0.25)
    parser.add_argument("--deadline-ms", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=15)
    options, flags = parser.parse_known_args()
    with served(options.store, *flags) as server:
        server.wait_until_ready()
        asyncio.run(measure(server, options))


if __name__ == "__main__":
    main()
