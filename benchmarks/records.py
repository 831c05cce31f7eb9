"""What records cost: throughput of 8 clients, and the time of one alone, with and without, interleaved.

    python -m benchmarks.records --version run/store/carpet/1 --seconds 10 --rounds 10
    python -m benchmarks.records --records postgresql://…

Two services run; while one is asked the other idles. Throughput alternates round by round, the single client's
requests one by one. Every image that isn't accepted is kept.
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
from tests.support.artifacts import publish
from tests.support.images import encoded
from tests.support.process import Server, served

PATH = "/predict"
HEADERS: dict[str, object] = {"X_Deadline_Ms": 60000}


async def throughput(servers: Sequence[Server], body: bytes, options: argparse.Namespace) -> None:
    """Print images a second, and the median over rounds of the ratio."""
    ratios = []
    for number in range(options.rounds):
        order = [0, 1] if number % 2 else [1, 0]
        rates = [0.0, 0.0]
        for index in order:
            load = await closed(servers[index].port, PATH, body, HEADERS, options.clients, options.seconds)
            assert not load.failed
            rates[index] = load.rate
        ratios.append(rates[1] / rates[0])
        print(f"round {number + 1}: without {rates[0]:.1f}/s, with {rates[1]:.1f}/s, {ratios[-1]:.1%}", flush=True)
    print(f"throughput with records: median {statistics.median(ratios):.1%}, mean {statistics.mean(ratios):.1%}")


async def idle(servers: Sequence[Server], body: bytes, requests: int) -> None:
    """Print milliseconds of one client alone."""
    clients = [Client(server.port) for server in servers]
    times: list[list[float]] = [[], []]
    for number in range(requests):
        for index in [0, 1] if number % 2 else [1, 0]:
            reply = await clients[index].post(PATH, body, **HEADERS)
            assert reply.status == 200
            times[index].append(1000 * reply.seconds)
    for client in clients:
        client.close()
    for percent in (50, 90, 99):
        without, with_records = (percentile(each, percent) for each in times)
        print(
            f"idle p{percent}: without {without:.2f} ms, with {with_records:.2f} ms, {with_records - without:+.2f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, help="a version's folder (default: a random network of 64 pixels)")
    parser.add_argument("--records", help="URL of a PostgreSQL database (default: SQLite in a new folder)")
    parser.add_argument("--image", type=Path, help="(default: a PNG of 512 pixels)")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=300, help="of the single client, to each")
    options = parser.parse_args()
    body = options.image.read_bytes() if options.image else encoded(size=512)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        store = options.version or publish(Path(folder) / "store", onnx=True).parent
        records = ["--records", options.records or f"{folder}/records", "--records-folder", f"{folder}/images"]
        servers = [running.enter_context(served(store, *flags)) for flags in ([], records)]
        for server in servers:
            server.wait_until_ready()
        asyncio.run(idle(servers, body, options.requests))
        asyncio.run(throughput(servers, body, options))


if __name__ == "__main__":
    main()
