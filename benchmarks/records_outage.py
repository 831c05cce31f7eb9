"""What a database that is stopped, or a full disk, does to inspections under load, and to their records.

    python -m benchmarks.records_outage --seconds 300 --json run/bench

Twice: with PostgreSQL, which is stopped at once (pg_ctl -m immediate) and started again; with SQLite, whose files may
not grow any more (RLIMIT_FSIZE, as a disk that is full). Parts come at a steady rate, before, meanwhile and after.
Every inference id that was answered is looked for in the database: what isn't there must have been counted as lost.
"""

import argparse
import asyncio
import json
import re
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, make_url, select

from app.records.database import FILE
from app.records.tables import inspections
from benchmarks.client import Client
from benchmarks.load import percentile
from benchmarks.machine import report
from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.postgresql import binaries, running_postgresql
from tests.support.process import Server, served

PATH = "/predict?heatmap=none"
SETTLE_SECONDS = 10.0
LOST = 'camspector_records_total{result="lost"}'


@dataclass
class Phase:
    """What was answered in one phase."""

    name: str
    milliseconds: list[float] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    unrecorded: int = 0
    """Replies that said that they aren't recorded yet."""
    failed: Counter[str] = field(default_factory=Counter)
    """Inspections without a verdict, by the error that was answered."""
    lost: float = 0.0
    """Counted by the service, since its start."""
    alarmed: bool = False
    """Whether the metric that the alert watches said so."""


@dataclass(frozen=True)
class Outage:
    """How records are made impossible, and possible again."""

    name: str
    server: Server
    url: str
    begin: Callable[[], None]
    end: Callable[[], None]


async def load(server: Server, phase: Phase, rate: float, seconds: float, images: list[bytes]) -> None:
    """Parts at even times."""
    client, began = Client(server.port), time.perf_counter()

    async def one(number: int) -> None:
        await asyncio.sleep(began + number / rate - time.perf_counter())
        reply = await client.post(PATH, images[number % len(images)], X_Deadline_Ms=60000)
        if reply.status != 200:
            phase.failed[str(json.loads(reply.body or b"{}").get("error", reply.status))[:40]] += 1
            return
        phase.milliseconds.append(1000 * reply.seconds)
        phase.ids.append(reply.headers[b"x-camspector-inference-id"])
        phase.unrecorded += reply.headers[b"x-camspector-recorded"] != b"true"

    async def watch() -> None:
        while True:
            phase.alarmed |= await metric(client, "camspector_records_unavailable") == 1
            await asyncio.sleep(1.0)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    watching.cancel()
    phase.lost = await metric(client, LOST)
    client.close()


async def metric(client: Client, name: str) -> float:
    text = (await client.get("/metrics")).body.decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    return float(found[1]) if found else 0.0


async def written(server: Server) -> tuple[float, float]:
    """Seconds until nothing waits to be written any more, and how many were lost."""
    client, began = Client(server.port), time.perf_counter()
    while await metric(client, "camspector_records_waiting"):
        assert time.perf_counter() - began < 120
        await asyncio.sleep(0.05)
    lost = await metric(client, LOST)
    client.close()
    return time.perf_counter() - began, lost


def measure(outage: Outage, options: argparse.Namespace) -> list[dict[str, object]]:
    images = [encoded(seed=seed, size=options.size) for seed in range(4)]
    phases = [Phase("before"), Phase(outage.name), Phase("after")]
    seconds = [SETTLE_SECONDS, options.seconds, SETTLE_SECONDS]
    back = 0.0
    for phase, change, each in zip(phases, (None, outage.begin, outage.end), seconds, strict=True):
        if change:
            change()
        if phase.name == "after":
            back = asyncio.run(written(outage.server))[0]
        asyncio.run(load(outage.server, phase, options.rate, each, images))
    _, lost = asyncio.run(written(outage.server))
    there = recorded(outage.url)
    answered = {identifier.decode() for phase in phases for identifier in phase.ids}
    rows: list[dict[str, object]] = [
        {
            "records": outage.url.partition(":")[0],
            "phase": phase.name,
            "answered": len(phase.ids),
            "failed": ", ".join(f"{count} {error}" for error, count in phase.failed.items()) or 0,
            "p50 ms": f"{percentile(phase.milliseconds, 50):.1f}",
            "p99 ms": f"{percentile(phase.milliseconds, 99):.1f}",
            "not recorded yet": phase.unrecorded,
            "lost so far": f"{phase.lost:.0f}",
            "alarm": "yes" if phase.alarmed else "no",
        }
        for phase in phases
    ]
    missing = len(answered - there)
    print(
        f"{outage.url.partition(':')[0]}: {len(answered)} answered, {missing} without a record, {lost:.0f} counted as "
        f"lost ({'all' if missing == lost else 'NOT all'}); what waited was written {back:.1f} s after the end",
        flush=True,
    )
    return rows


def recorded(url: str) -> set[str]:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else url)
    with engine.connect() as connection:
        found = set(connection.execute(select(inspections.c.inference_id)).scalars())
    engine.dispose()
    return found


@contextmanager
def stopped_database(store: Path, folder: Path) -> Iterator[Outage]:
    with running_postgresql(folder / "pg", fsync=True) as database:
        flags = ["--records", database.url, "--records-folder", str(folder / "images")]
        with served(store, *flags) as server:
            server.wait_until_ready()
            yield Outage("stopped", server, database.url, database.stop, database.start)


@contextmanager
def full_disk(store: Path, folder: Path) -> Iterator[Outage]:
    with served(store, "--records", str(folder / "records")) as server:
        server.wait_until_ready()
        limit = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)

        def fill() -> None:
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (100_000, limit[1]))

        def free() -> None:
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, limit)

        yield Outage("full", server, f"sqlite:///{folder / 'records' / FILE}", fill, free)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="that the database is gone")
    parser.add_argument("--rate", type=float, default=20.0, help="parts a second")
    parser.add_argument("--size", type=int, default=96, help="of the images, in pixels")
    parser.add_argument("--store", type=Path, help="or a version's folder (default: a random network of 32 pixels)")
    parser.add_argument("--json", type=Path, help="folder to write the table to, too")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        store = options.store or publish(Path(folder) / "store", onnx=True, size=32).parent
        for outage in (stopped_database, full_disk):
            if outage is stopped_database and not binaries():
                print("PostgreSQL isn't installed: left out")
                continue
            with outage(store, Path(folder)) as made:
                rows += measure(made, options)
    report("Records that can't be written", rows, options.json and options.json / "records_outage.json")


if __name__ == "__main__":
    main()
