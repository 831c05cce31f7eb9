"""Goodput and latency where more is asked for than can be done.

    python -m benchmarks.overload --size 224 --deadline-ms 2000

First the capacity, by clients that always wait for their answer; then arrivals at multiples of it, spaced at random,
that wait for nothing. Goodput is answers within the deadline, as the client sees it. With `--device-ms` the network
waits, as if the work were done by another device: then what else runs on this machine hardly matters.
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

SLOW = """
import sys, time
from model.engines import pytorch
run = pytorch.TorchEngine.run
def slow(self, pixels, **how):
    output = run(self, pixels, **how)
    time.sleep({seconds} * len(pixels))
    return output
pytorch.TorchEngine.run = slow
from app.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""A device that is slow, but takes no CPU meanwhile."""
READY_EVERY = 0.25
CLIENTS = 16


async def capacity(client: Client, body: bytes, seconds: float) -> float:
    """Answers a second with CLIENTS at once, after as long again of warming up."""

    async def ask(until: float) -> int:
        done = 0
        while time.monotonic() < until:
            reply = await client.post("/predict", body, X_Deadline_Ms=60000)
            done += reply.status == 200
        return done

    await asyncio.gather(*(ask(time.monotonic() + seconds / 2) for _ in range(CLIENTS)))
    began = time.monotonic()
    done = sum(await asyncio.gather(*(ask(began + seconds) for _ in range(CLIENTS))))
    return done / (time.monotonic() - began)


async def flood(client: Client, body: bytes, rate: float, seconds: float, deadline_ms: int) -> list[Reply]:
    """Poisson arrivals."""
    tasks = []
    began = at = time.monotonic()
    while at < began + seconds:
        at += random.expovariate(rate)
        if at > time.monotonic():
            await asyncio.sleep(at - time.monotonic())
        tasks.append(asyncio.create_task(client.post("/predict", body, X_Deadline_Ms=deadline_ms)))
    return await asyncio.gather(*tasks)


async def readiness(client: Client) -> Counter[int]:
    """Statuses of /readyz until cancelled."""
    statuses: Counter[int] = Counter()
    try:
        while True:
            statuses[(await client.get("/readyz")).status] += 1
            await asyncio.sleep(READY_EVERY)
    except asyncio.CancelledError:
        return statuses


async def measure(server: Server, options: argparse.Namespace) -> None:
    client = Client(server.port)
    body = encoded(size=options.image)
    able = await capacity(client, body, options.seconds)
    device = f", {options.device_ms:g} ms on a device" if options.device_ms else ""
    print(f"input {options.size}²{device}, image {len(body):,} bytes; capacity {able:.1f}/s")
    print("asked      goodput          accepted: p50   p99   late   statuses; of /readyz")
    for factor in options.factors:
        watcher = asyncio.create_task(readiness(client))
        replies = await flood(client, body, factor * able, options.seconds, options.deadline_ms)
        watcher.cancel()
        ready = dict(await watcher)
        accepted = [reply for reply in replies if reply.status != 429]
        good = [reply for reply in accepted if reply.status == 200 and 1000 * reply.seconds <= options.deadline_ms]
        times = [1000 * reply.seconds for reply in accepted]
        goodput = len(good) / options.seconds
        statuses = dict(Counter(reply.status for reply in replies))
        print(
            f"{factor:4g} ×   {goodput:7.1f}/s {goodput / able:6.1%}   {percentile(times, 50):8.0f} "
            f"{percentile(times, 99):6.0f} {len(accepted) - len(good):5d}    {statuses}; {ready}",
            flush=True,
        )
        await asyncio.sleep(2)
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="of the network's input")
    parser.add_argument("--image", type=int, default=256, help="side of the image that is sent")
    parser.add_argument("--deadline-ms", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=30, help="of each measurement")
    parser.add_argument("--device-ms", type=float, default=0, help="added to each image's time in the network")
    parser.add_argument("--factors", type=float, nargs="+", default=[2, 5])
    options, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        store, slow = Path(folder) / "store", options.device_ms / 1000
        publish(store, "widget", size=options.size, onnx=not slow, hypercolumn=WHOLE)
        program = ("-c", SLOW.format(seconds=slow)) if slow else ("-m", "app")
        with served(store, *flags, program=program) as server:
            server.wait_until_ready()
            asyncio.run(measure(server, options))


if __name__ == "__main__":
    main()
