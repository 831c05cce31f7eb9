"""Images drawn to cost as much as they can, three at once, while good parts come: what do those notice?

    python -m benchmarks.bombs --store run/store

For each image: what its senders are told, how long that takes; how many good parts of how many are answered and the
slowest of them; by how much the service's memory and log grow.
"""

import argparse
import asyncio
import time
from collections import Counter
from pathlib import Path

from benchmarks.client import Client, Reply
from tests.support.hostile import MAKERS
from tests.support.images import encoded
from tests.support.process import Server, served

EVERY_SECONDS = 0.25
AT_ONCE = 3
LINE_BYTES = 230
"""Of the log, for a good part."""


async def good_parts(client: Client, body: bytes, answers: list[Reply], megabytes: list[float], server: Server) -> None:
    """One every EVERY_SECONDS, whatever became of the others, until cancelled."""
    tasks: list[asyncio.Task[Reply]] = []
    try:
        while True:
            tasks.append(asyncio.create_task(client.post("/predict", body)))
            megabytes.append(server.resident_megabytes())
            await asyncio.sleep(EVERY_SECONDS)
    except asyncio.CancelledError:
        answers += await asyncio.gather(*tasks)


async def measure(server: Server, names: list[str]) -> None:
    client = Client(server.port)
    good = encoded(size=256)
    for _ in range(20):
        assert (await client.post("/predict", good)).status == 200
    print("image                    bytes   told            seconds   good: answered   slowest s   memory MB   log kB")
    for make in MAKERS:
        if names and make.__name__ not in names:
            continue
        bomb = await asyncio.to_thread(make)
        answers: list[Reply] = []
        megabytes, log = [server.resident_megabytes()], len(server.log())
        parts = asyncio.create_task(good_parts(client, good, answers, megabytes, server))
        await asyncio.sleep(3 * EVERY_SECONDS)
        began = time.perf_counter()
        told = await asyncio.gather(*(client.post("/predict?heatmap=none", bomb) for _ in range(AT_ONCE)))
        seconds = time.perf_counter() - began
        await asyncio.sleep(3 * EVERY_SECONDS)
        parts.cancel()
        await parts
        grown = (len(server.log()) - log - LINE_BYTES * len(answers)) / 1000
        statuses = ", ".join(f"{count}× {status}" for status, count in Counter(reply.status for reply in told).items())
        print(
            f"{make.__name__:20} {len(bomb):10,}   {statuses:14} {seconds:8.2f}   "
            f"{sum(reply.status == 200 for reply in answers):5} of {len(answers):4} "
            f"{max(reply.seconds for reply in answers):11.2f} {max(megabytes) - megabytes[0]:11.0f} {grown:8.1f}",
            flush=True,
        )
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("names", nargs="*", help="of the functions in tests/support/hostile.py; none: all")
    options, flags = parser.parse_known_args()
    with served(options.store, *flags) as server:
        server.wait_until_ready()
        asyncio.run(measure(server, options.names))
        began = time.perf_counter()
        print(f"stopped with status {server.stop()} after {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
