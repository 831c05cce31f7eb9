"""What records cost: throughput of 8 clients, and the time of one alone, with and without, interleaved.

    python -m benchmarks.records --store run/store --seconds 10 --rounds 10 --json run/bench

A service without records, one with SQLite, and where Debian's PostgreSQL is installed one with that; while one is asked
the others idle. Throughput alternates round by round, the single client's requests one by one. Every image that isn't
accepted is kept.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.client import Client
from benchmarks.load import closed, percentile
from benchmarks.machine import report
from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.postgresql import binaries, running_postgresql
from tests.support.process import Server, served

PATH = "/predict"
HEADERS: dict[str, object] = {"X_Deadline_Ms": 60000}


async def throughput(servers: Sequence[Server], body: bytes, options: argparse.Namespace) -> list[list[float]]:
    """Images a second of each server, round by round."""
    rates: list[list[float]] = [[] for _ in servers]
    for number in range(options.rounds):
        for index in turn(len(servers), number):
            load = await closed(servers[index].port, PATH, body, HEADERS, options.clients, options.seconds)
            assert not load.failed
            rates[index].append(load.rate)
        print(f"round {number + 1}: " + ", ".join(f"{each[-1]:.1f}/s" for each in rates), flush=True)
    return rates


async def idle(servers: Sequence[Server], body: bytes, requests: int) -> list[list[float]]:
    """Milliseconds of one client alone, of each server."""
    clients = [Client(server.port) for server in servers]
    times: list[list[float]] = [[] for _ in servers]
    for number in range(requests):
        for index in turn(len(servers), number):
            reply = await clients[index].post(PATH, body, **HEADERS)
            assert reply.status == 200
            times[index].append(1000 * reply.seconds)
    for client in clients:
        client.close()
    return times


def turn(servers: int, number: int) -> list[int]:
    """Another one comes first each time."""
    return [(index + number) % servers for index in range(servers)]


def row(
    name: str, rates: list[float], times: list[float], without: tuple[list[float], list[float]]
) -> dict[str, object]:
    ratios = [with_records / each for with_records, each in zip(rates, without[0], strict=True)]
    added = percentile(times, 50) - percentile(without[1], 50)
    return {
        "records": name,
        "images/s": f"{statistics.median(rates):.1f}",
        "of without": f"{statistics.median(ratios):.1%} ({percentile(ratios, 25):.1%} to {percentile(ratios, 75):.1%})",
        "idle p50 ms": f"{percentile(times, 50):.2f} ({added:+.2f})",
        "idle p99 ms": f"{percentile(times, 99):.2f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="or a version's folder (default: a random network of 64 pixels)")
    parser.add_argument("--image", type=Path, help="(default: a PNG of 512 pixels)")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=300, help="of the single client, to each")
    parser.add_argument("--json", type=Path, help="folder to write the table to, too")
    options = parser.parse_args()
    body = options.image.read_bytes() if options.image else encoded(size=512)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        store = options.store or publish(Path(folder) / "store", onnx=True).parent
        flags = {"none": [], "SQLite": ["--records", f"{folder}/records"]}
        if binaries():
            parent = running.enter_context(tempfile.TemporaryDirectory(dir="/tmp"))
            Path(parent).chmod(0o755)
            database = running.enter_context(running_postgresql(Path(parent) / "pg", fsync=True))
            flags["PostgreSQL"] = ["--records", database.url, "--records-folder", f"{folder}/images"]
        servers = [running.enter_context(served(store, *each)) for each in flags.values()]
        for server in servers:
            server.wait_until_ready()
        times = asyncio.run(idle(servers, body, options.requests))
        rates = asyncio.run(throughput(servers, body, options))
        rows = [row(*each, (rates[0], times[0])) for each in zip(flags, rates, times, strict=True)]
    report("What records cost", rows, options.json and options.json / "records.json")


if __name__ == "__main__":
    main()
