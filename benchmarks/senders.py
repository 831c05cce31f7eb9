"""What senders that want to cost much leave to others: the health check, and good requests one after the other.

    python -m benchmarks.senders --seconds 20

Each kind sends for a while from a process of its own, without a key, as fast as it is let but no more than `--rate`
bytes a second a connection; a connection that is closed is made again a moment later.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.middleware.keys import new_key
from benchmarks.client import Client
from benchmarks.load import percentile
from tests.support.artifacts import WHOLE, publish
from tests.support.images import encoded
from tests.support.process import ROOT, Server, served

HEAD: Final = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SIZED: Final = HEAD + b"Content-Length: 20000000\r\n\r\n"
SLICE: Final = 6000
EVERY_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Kind:
    """What a connection sends: a beginning, and then the same again and again."""

    begin: bytes
    again: bytes
    piece: int = SLICE
    """Bytes that go out in one segment."""


KINDS: Final = {
    "nobody": None,
    "chunks of 1 byte": Kind(CHUNKED, b"1\r\nx\r\n" * 1000),
    "chunks of 64 bytes": Kind(CHUNKED, (b"40\r\n" + b"x" * 64 + b"\r\n") * 100),
    "segments of 1 byte": Kind(SIZED, b"x" * SLICE, 1),
    "heads of many lines": Kind(b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 95 + b"\r\n"),
    "heads of too many lines": Kind(b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A:\r\n" * 4000 + b"\r\n"),
    "requests one behind the other": Kind(b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 200),
}


async def send(port: int, kind: Kind, rate: float) -> None:
    """One connection after the other, for ever."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            drain = asyncio.create_task(_discard(reader))
            writer.write(kind.begin)
            began, sent = time.monotonic(), 0
            while not drain.done():
                for start in range(0, len(kind.again), kind.piece):
                    writer.write(kind.again[start : start + kind.piece])
                    sent += kind.piece
                    if kind.piece == 1 and sent % 100 == 0:
                        await asyncio.sleep(0)
                await writer.drain()
                await asyncio.sleep(max(0.0, began + sent / rate - time.monotonic()))
            writer.close()
        await asyncio.sleep(EVERY_SECONDS)


async def _discard(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(1 << 16):
            pass


async def senders(port: int, name: str, count: int, rate: float) -> None:
    kind = KINDS[name]
    assert kind
    await asyncio.gather(*(send(port, kind, rate) for _ in range(count)))


async def ask(client: Client, request: bytes, until: float, pause: float) -> list[float]:
    """Milliseconds of each answer with 200; every other counts as a minute."""
    times = []
    while time.monotonic() < until:
        reply = await client.send(request)
        times.append(1000 * reply.seconds if reply.status == 200 else 60_000.0)
        await asyncio.sleep(pause)
    return times


def cpu_seconds(pid: int) -> float:
    """That a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(server: Server, key: str, options: argparse.Namespace) -> None:
    client = Client(server.port)
    body = encoded(size=options.image)
    head = f"POST /predict?heatmap=none HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nX-Deadline-Ms: 60000\r\n"
    good = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    health = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    await ask(client, good, time.monotonic() + 3, 0.0)
    print(
        f"{options.senders} senders, {options.rate:,.0f} bytes/s each; ms:  /livez p99   max      good p50   p99   max "
        "  answered  CPUs used"
    )
    for name in options.kinds:
        kind = KINDS[name]
        command = [sys.executable, "-m", "benchmarks.senders", "--send", name, "--port", str(server.port)]
        flags = ["--senders", str(options.senders), "--rate", str(options.rate)]
        sending = subprocess.Popen([*command, *flags], cwd=ROOT) if kind else None
        try:
            await asyncio.sleep(2)
            until, used = time.monotonic() + options.seconds, cpu_seconds(server.process.pid)
            alive, predicted = await asyncio.gather(ask(client, health, until, 0.05), ask(client, good, until, 0.0))
            used = (cpu_seconds(server.process.pid) - used) / options.seconds
        finally:
            if sending:
                sending.kill()
                sending.wait()
        print(
            f"{name:34} {percentile(alive, 99):18.0f} {max(alive):7.0f}   {percentile(predicted, 50):9.0f} "
            f"{percentile(predicted, 99):6.0f} {max(predicted):6.0f} {len(predicted):10} {used:10.2f}",
            flush=True,
        )
        await asyncio.sleep(1)
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="of the network's input")
    parser.add_argument("--image", type=int, default=256, help="side of the image that is sent")
    parser.add_argument("--seconds", type=float, default=20, help="for each kind")
    parser.add_argument("--senders", type=int, default=16)
    parser.add_argument("--rate", type=float, default=600_000, help="bytes a second, of each")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    parser.add_argument("--send", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        asyncio.run(senders(options.port, options.send, options.senders, options.rate))
        return
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder) / "store", "widget", size=options.size, onnx=True, hypercolumn=WHOLE)
        secret, key = new_key("predict", "line")
        (Path(folder) / "keys").write_text(key.line)
        with served(Path(folder) / "store", "--keys-file", f"{folder}/keys") as server:
            server.wait_until_ready()
            asyncio.run(measure(server, secret, options))


if __name__ == "__main__":
    main()
