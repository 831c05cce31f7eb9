"""A real service process on this machine, started and ended."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks.client import Client

ROOT = Path(__file__).parent.parent
START_SECONDS = 120.0
SLOW = """
import sys, time
from model.engines import pytorch
evidence = pytorch.TorchEngine.evidence
def slow(self, pixels, **how):
    maps = evidence(self, pixels, **how)
    time.sleep({seconds} * len(pixels))
    return maps
pytorch.TorchEngine.evidence = slow
from app.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""A device that is slow, but takes no CPU meanwhile."""


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def resident_megabytes(pid: int) -> float:
    """Of one living process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1000


class Service:
    """`python -m app serve`; its log goes into a file."""

    def __init__(self, store: Path, log: Path, *flags: str, port: int = 0, slow_seconds: float = 0.0) -> None:
        """`slow_seconds`: added to each image's time in the network (torch alone)."""
        self.log = log
        self.reading = threading.Event()
        """Cleared, nobody reads the log, and its pipe fills."""
        self.reading.set()
        program = ["-c", SLOW.format(seconds=slow_seconds)] if slow_seconds else ["-m", "app"]
        command = [sys.executable, *program, "serve", "--store", str(store), "--port", str(port), *flags]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        line = self.process.stderr.readline()
        found = re.search(r"listening on http://[^:]+:(\d+)", line)
        assert found, line + self.process.stderr.read()
        self.port = int(found[1])
        threading.Thread(target=self._keep_log, daemon=True).start()

    async def wait_until_ready(self, client: Client) -> None:
        give_up = time.monotonic() + START_SECONDS
        while (await client.get("/readyz")).status != 200:
            assert time.monotonic() < give_up, "not ready"
            await asyncio.sleep(0.1)

    def resident_megabytes(self) -> float:
        return resident_megabytes(self.process.pid)

    def stop(self) -> int:
        """Its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _keep_log(self) -> None:
        assert self.process.stderr
        with self.log.open("a") as file:
            for line in self.process.stderr:
                self.reading.wait()
                file.write(line)
                file.flush()
