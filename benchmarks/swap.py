"""Versions swapped, pinned and rolled back under full load: does a request fail, and how much longer does one take?

    python -m benchmarks.swap --size 224 --swaps 10

Clients that always wait for their answer and send the next request at once, so that there is never an idle moment.
Every reply is checked against the answer that its image has by the version that it names, and must say the thresholds
that were in force.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.client import Client, Reply
from benchmarks.load import percentile
from benchmarks.versions import TOLERANCE, answers, are_apart, republish
from model.serving import Serving
from model.store import Store
from tests.support.artifacts import WHOLE, publish
from tests.support.images import encoded
from tests.support.process import Server, served

IMAGES = 8
POLL_SECONDS = 0.5
PAUSE_SECONDS = 6.0
"""Between two swaps: so long is measured without one, too."""


@dataclass
class Load:
    """Clients, and what became of their requests."""

    client: Client
    images: list[bytes]
    expected: list[dict[int, float]]
    """Log-odds of every image by the version's kind, 0 or 1: odd versions answer one way, even ones the other."""
    allowed: set[float]
    """Thresholds that may be in force now."""
    outcomes: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    calm: list[float] = field(default_factory=list)
    """Seconds of requests while nothing was being swapped."""
    swapping: list[float] = field(default_factory=list)
    """Of those that ran, or began to, between a publication and the first answer by what was published."""
    busy: bool = False
    stopped: bool = False

    async def work(self, number: int) -> None:
        while not self.stopped:
            number = (number + 1) % len(self.images)
            busy, allowed = self.busy, set(self.allowed)
            reply = await self.client.post("/predict?heatmap=none", self.images[number], X_Deadline_Ms=60000)
            outcome = self.outcome(reply, number, allowed | self.allowed)
            self.outcomes[outcome] += 1
            if outcome != "right":
                self.odd.append(f"{outcome}: image {number}: {reply}")
            (self.swapping if busy or self.busy else self.calm).append(reply.seconds)

    def outcome(self, reply: Reply, image: int, allowed: set[float]) -> str:
        if reply.status != 200:
            return "failed"
        body = json.loads(reply.body)
        expected = self.expected[image][body["model_version"] % 2]
        right = abs(body["log_odds"] - expected) <= TOLERANCE and body["thresholds"]["label"] in allowed
        return "right" if right else "wrong or mixed"


async def learn(client: Client, images: list[bytes]) -> list[dict[int, float]]:
    """Each version asked for every image, alone."""
    expected: list[dict[int, float]] = []
    for body in images:
        found = await answers(client, body)
        assert are_apart(found[0], found[1]), "these versions can't be told apart"
        expected.append(found)
    return expected


async def serving(client: Client) -> dict[str, object]:
    """What serves, and its thresholds."""
    model = json.loads((await client.get("/v1/models/widget")).body)
    version = next(each for each in model["versions"] if each["version"] == model["serving"])
    return {"version": model["serving"], "label": version["thresholds"]["label"]}


async def swap(load: Load, store: Path, change: int | Serving, label: str) -> float:
    """Publish a version (a number), or write a serving.json; the seconds until it serves."""
    began, load.busy = time.monotonic(), True
    wanted: dict[str, object] = {"version": change}
    if isinstance(change, Serving):
        Store(store).set_serving("widget", change)
        wanted = {"version": change.version}
        if change.thresholds is not None:
            load.allowed.add(float(change.thresholds))  # type: ignore[arg-type]  # one number, here
            wanted = {"label": change.thresholds}
    else:
        republish(store, change)
    while not (await serving(load.client)).items() >= wanted.items():
        assert time.monotonic() < began + 120, f"{label} did not come to serve"
        await asyncio.sleep(0.1)
    took, load.busy = time.monotonic() - began, False
    print(f"{label}: serves after {took:.1f} s", flush=True)
    return took


async def run(server: Server, store: Path, options: argparse.Namespace) -> int:
    client = Client(server.port)
    while (await client.post("/v1/models/widget/versions/1/predict", encoded(size=options.size))).status != 200:
        await asyncio.sleep(0.1)
    images = [encoded(seed=seed, size=options.size) for seed in range(IMAGES)]
    load = Load(client, images, await learn(client, images), {0.42})
    workers = asyncio.gather(*(load.work(number) for number in range(options.clients)))
    await asyncio.sleep(PAUSE_SECONDS)
    load.calm.clear()  # the first are slow
    for number in range(options.swaps):
        await asyncio.sleep(PAUSE_SECONDS)
        await swap(load, store, 3 + number, f"version {3 + number}")
    newest = 2 + options.swaps
    for change in (Serving(newest - 1), Serving(1), Serving(1, 0.7), Serving(newest)):
        await asyncio.sleep(PAUSE_SECONDS)
        await swap(load, store, change, f"serving.json {change}")
    load.stopped = True
    await workers
    client.close()
    return report(load)


def report(load: Load) -> int:
    """0 where every reply was right."""
    print(f"{sum(load.outcomes.values()):,} requests: {dict(load.outcomes)}")
    for name, seconds in (("without a swap", load.calm), ("during swaps", load.swapping)):
        p50, p99 = (1000 * percentile(seconds, percent) for percent in (50, 99))
        print(f"{name}: {len(seconds):,} requests, p50 {p50:.0f}, p99 {p99:.0f}, slowest {1000 * max(seconds):.0f} ms")
    print("\n".join(load.odd[:20]))
    return 1 if load.odd else 0


def main() -> int:
    """Flags that aren't its own are the service's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="pixels of the network's input, and of the images")
    parser.add_argument("--swaps", type=int, default=10)
    parser.add_argument("--clients", type=int, default=4, help="at once")
    parser.add_argument("--torch", action="store_true", help="PyTorch instead of ONNX Runtime")
    options, flags = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        for seed in (1, 2):
            publish(store, "widget", seed=seed, size=options.size, onnx=not options.torch, hypercolumn=WHOLE)
        with served(store, "--store-poll-seconds", str(POLL_SECONDS), *flags) as server:
            server.wait_until_ready()
            return asyncio.run(run(server, store, options))


if __name__ == "__main__":
    raise SystemExit(main())
