"""Two ways to ask: clients that each wait for their answer, and parts that come when they come."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.client import Client, Reply


def percentile(values: Sequence[float], percent: float) -> float:
    """NaN of nothing."""
    return float(np.percentile(values, percent)) if values else float("nan")


@dataclass(frozen=True)
class Load:
    """What came of it."""

    seconds: float
    latencies: list[float]
    """Seconds of each answered request."""
    failed: int
    """Requests with another status than 200."""

    @property
    def rate(self) -> float:
        """Images a second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, percent: float) -> float:
        """A percentile of the latencies."""
        return 1000 * percentile(self.latencies, percent)


async def closed(port: int, path: str, body: bytes, headers: dict[str, object], clients: int, seconds: float) -> Load:
    """`clients` at once, each sending its next request when it has its answer."""
    client = Client(port)
    replies: list[Reply] = []
    began = time.perf_counter()

    async def one() -> None:
        while time.perf_counter() - began < seconds:
            replies.append(await client.post(path, body, **headers))

    await asyncio.gather(*(one() for _ in range(clients)))
    took = time.perf_counter() - began
    client.close()
    return _load(replies, [reply.seconds for reply in replies], took)


async def opened(port: int, path: str, body: bytes, headers: dict[str, object], rate: float, seconds: float) -> Load:
    """`rate` requests a second at even times, however slow the answers: latency counts from when each was due."""
    client = Client(port)
    began = time.perf_counter()

    async def one(due: float) -> tuple[Reply, float]:
        await asyncio.sleep(due - time.perf_counter())
        reply = await client.post(path, body, **headers)
        return reply, time.perf_counter() - due

    answers = await asyncio.gather(*(one(began + number / rate) for number in range(int(rate * seconds))))
    took = time.perf_counter() - began
    client.close()
    return _load([reply for reply, _ in answers], [late for _, late in answers], took)


def _load(replies: Sequence[Reply], latencies: Sequence[float], seconds: float) -> Load:
    good = [latency for reply, latency in zip(replies, latencies, strict=True) if reply.status == 200]
    return Load(seconds, good, len(replies) - len(good))
