"""Every reply checked against the answer for its image and version, while everything goes wrong that can.

    python -m benchmarks.chaos --requests 200000

New versions come every 10 s and answer differently; clients go away in the middle; more is asked for than fits; the
process is killed and started again; idle and trickling connections stay open throughout. Every request must be
accounted for: answered rightly, refused, given up by its client, or sent while the process was dead.
"""

import argparse
import asyncio
import json
import random
import resource
import shutil
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.client import Client, Reply
from benchmarks.load import percentile
from benchmarks.versions import TOLERANCE, answers, are_apart, republish
from tests.support.artifacts import WHOLE, publish
from tests.support.images import encoded
from tests.support.process import served

SIZE = 32
IMAGES = 24
RELOAD_SECONDS = 10.0
KEPT = 4
"""Folders of versions."""
KILL_SECONDS = 45.0
GIVEN_UP = 0.02
"""Share of requests whose client goes away."""


@dataclass
class Chaos:
    """The service under test and what is known of it."""

    store: Path
    flags: list[str]
    port: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    odd: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    dead: list[tuple[float, float]] = field(default_factory=list)
    """From each kill until the new process was ready."""
    expected: list[dict[int, float]] = field(default_factory=list)
    """Log-odds of every image by the version's kind, 0 or 1: odd versions answer one way, even ones the other."""
    images: list[bytes] = field(default_factory=list)
    version: int = 2
    kills: int = 0
    sent: int = 0

    def start(self) -> None:
        """Return when it is ready. Started again, it listens where it did before."""
        self.running = ExitStack()
        server = self.running.enter_context(served(self.store, *self.flags, port=self.port))
        self.port = server.port
        server.wait_until_ready()

    async def learn(self) -> None:
        """Ask each version for every image, alone; keep those whose answers differ well."""
        for seed in range(10 * IMAGES):
            body = encoded(seed=seed, size=SIZE)
            found = await answers(self.client, body)
            known = [value for each in self.expected for value in each.values()]
            apart = all(are_apart(value, other) for value in found.values() for other in known)
            if apart and are_apart(found[0], found[1]):
                self.expected.append(found)
                self.images.append(body)
            if len(self.images) == IMAGES:
                return
        raise AssertionError("too few images that differ")

    async def ask(self) -> None:
        """One request and its place in the account."""
        number, image = self.sent, random.randrange(IMAGES)
        self.sent += 1
        began = time.monotonic()
        call = self.client.post(
            "/predict?heatmap=none", self.images[image], X_Request_ID=f"r{number}", X_Part_ID=f"p{image}"
        )
        if random.random() < GIVEN_UP:
            try:
                reply = await asyncio.wait_for(call, random.uniform(0, 0.03))
            except TimeoutError:
                self.outcomes["given up by its client"] += 1
                return
        else:
            reply = await call
        if reply.status == 0:
            await asyncio.sleep(0.1)
        outcome = self.outcome(reply, number, image, began)
        self.outcomes[outcome] += 1
        if outcome == "right":
            self.seconds.append(reply.seconds)
        elif outcome in ("wrong", "mixed", "unexplained"):
            self.odd.append(f"{outcome}: request {number}, image {image}: {reply}")

    def outcome(self, reply: Reply, number: int, image: int, began: float) -> str:
        while_dead = any(began <= ready and time.monotonic() >= killed for killed, ready in self.dead)
        if reply.status == 0:
            return "sent while the process was dead" if while_dead else "unexplained"
        ids = (reply.headers.get(b"x-request-id"), reply.headers.get(b"x-part-id"))
        if ids != (f"r{number}".encode(), f"p{image}".encode()):
            return "mixed"
        body = json.loads(reply.body)
        if reply.status == 200:
            return self.verdict(body, image)
        if reply.status == 429 and body["error"] in ("queue-full", "deadline-unreachable"):
            honest = body["retry_after_ms"] <= 1000 * int(reply.headers[b"retry-after"])
            return f"429 {body['error']}" if honest else "unexplained"
        if reply.status == 503 and body["error"] == "not-ready" and while_dead:
            return "sent while the process was dead"
        return "unexplained"

    def verdict(self, body: dict[str, object], image: int) -> str:
        version, log_odds = body["model_version"], body["log_odds"]
        assert isinstance(version, int)
        assert isinstance(log_odds, float)
        if abs(log_odds - self.expected[image][version % 2]) <= TOLERANCE:
            right = body["label"] == ("anomaly" if body["probability"] >= body["thresholds"]["label"] else "good")  # type: ignore[index]
            return "right" if right else "wrong"
        others = [value for each in self.expected for value in each.values()]
        return "mixed" if any(abs(log_odds - other) <= TOLERANCE for other in others) else "wrong"

    async def reload(self) -> None:
        """A new version, a copy of the last but one, by rename; the oldest goes."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            self.version += 1
            republish(self.store, self.version)
            if self.version > KEPT:
                shutil.rmtree(self.store / "widget" / str(self.version - KEPT))

    async def kill(self) -> None:
        while True:
            await asyncio.sleep(KILL_SECONDS)
            killed = time.monotonic()
            self.dead.append((killed, float("inf")))
            self.running.close()
            self.client.close()
            await asyncio.to_thread(self.start)
            self.dead[-1] = (killed, time.monotonic() + 1)
            self.kills += 1

    async def pester(self, trickling: bool) -> None:
        """One connection that is idle, or sends a byte a second of headers or body; opened anew when it is closed."""
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"
        request = random.choice([head + bytes(5000), b"GET / HTTP/1.1\r\nX: " + b"x" * 5000])
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    if not trickling:
                        await reader.read()
                    writer.write(request[: len(head)])
                    for byte in request[len(head) :]:
                        writer.write(bytes([byte]))
                        await asyncio.sleep(1)
                        if reader.at_eof() or writer.is_closing():
                            break
                finally:
                    writer.transport.abort()
            await asyncio.sleep(random.uniform(0.5, 1))

    async def run(self, options: argparse.Namespace) -> None:
        self.start()
        self.client = Client(self.port)
        while (await self.client.post("/v1/models/widget/versions/1/predict", encoded(size=SIZE))).status != 200:
            await asyncio.sleep(0.1)
        await self.learn()
        pesterers = [
            asyncio.create_task(self.pester(number < options.trickling))
            for number in range(options.idle + options.trickling)
        ]
        troubles = [asyncio.create_task(self.reload()), asyncio.create_task(self.kill())]
        began = time.monotonic()

        async def work() -> None:
            while self.sent < options.requests and time.monotonic() < began + 60 * options.minutes:
                await self.ask()

        try:
            workers = asyncio.gather(*(work() for _ in range(options.clients)))
            while not workers.done():
                await asyncio.wait([workers], timeout=30)
                print(f"{time.monotonic() - began:6.0f} s  {self.sent:,} sent  {dict(self.outcomes)}", flush=True)
                for trouble in troubles:
                    if trouble.done():
                        trouble.result()
            await workers
        finally:
            for task in (*troubles, *pesterers):
                task.cancel()
            self.running.close()
        self.report(time.monotonic() - began)

    def report(self, seconds: float) -> None:
        print(f"{self.sent:,} requests in {seconds:.0f} s, {self.version - 2} reloads, {self.kills} kills")
        for outcome, count in self.outcomes.most_common():
            print(f"{count:9,}  {outcome}")
        print(f"{sum(self.outcomes.values()):9,}  accounted for")
        p50, p99 = (1000 * percentile(self.seconds, percent) for percent in (50, 99))
        print(f"right answers: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
        print("\n".join(self.odd[:20]))


def main() -> int:
    """0 where every request is accounted for, and none wrong, mixed or unexplained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--minutes", type=float, default=60, help="at most")
    parser.add_argument("--clients", type=int, default=24, help="at once")
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--trickling", type=int, default=200)
    options, flags = parser.parse_known_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        for seed in (1, 2):
            publish(store, "widget", seed=seed, size=SIZE, onnx=True, hypercolumn=WHOLE)
        chaos = Chaos(store, ["--queue-size", "16", "--store-poll-seconds", "1", *flags])
        asyncio.run(chaos.run(options))
    return 0 if chaos.sent == sum(chaos.outcomes.values()) and not chaos.odd else 1


if __name__ == "__main__":
    raise SystemExit(main())
