"""`python -m app serve` in a process of its own."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 120
"""Seconds. Nothing takes so long, but on a machine that has other things to do."""


@dataclass(frozen=True)
class Server:
    """A running process and its address."""

    process: subprocess.Popen[Any]
    url: str
    lines: list[str]
    """Of its log so far."""
    reading: threading.Event = field(default_factory=threading.Event)
    """Cleared, nobody reads its log, and the pipe fills."""

    @property
    def port(self) -> int:
        port = httpx.URL(self.url).port
        assert port
        return port

    def log(self) -> str:
        """Whole once the process has ended and `served` is left."""
        return "".join(self.lines)

    def resident_megabytes(self) -> float:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found
        return int(found[1]) / 1000

    def stop(self, signal_number: signal.Signals = signal.SIGINT) -> int:
        """Its exit status."""
        self.process.send_signal(signal_number)
        return self.process.wait(PATIENCE)

    def wait_until_ready(self) -> None:
        self._wait_until(lambda: self._answers("/readyz"))

    def wait_until_loaded(self, model: str, version: int, **headers: str) -> None:
        """The older versions come after the newest."""
        address = f"{self.url}/v1/models/{model}"

        def versions() -> list[int]:
            reply = httpx.get(address, headers=headers, timeout=PATIENCE)
            return [each["version"] for each in reply.json()["versions"]]

        self._wait_until(lambda: version in versions())

    def wait_until_closed(self) -> None:
        """Until the socket takes no more connections."""
        self._wait_until(lambda: not self._answers())

    def wait_until_logged(self, text: str) -> str:
        """The line."""
        self._wait_until(lambda: any(text in line for line in self.lines))
        return next(line for line in self.lines if text in line)

    def _answers(self, path: str = "/livez") -> bool:
        try:
            return httpx.get(f"{self.url}{path}", timeout=PATIENCE).is_success
        except httpx.TransportError:
            return False

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        give_up = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < give_up
            time.sleep(0.05)


@contextmanager
def served(
    store: Path, *flags: str, port: int = 0, program: Sequence[str] = ("-m", "app"), may_write: bool = False
) -> Iterator[Server]:
    """A server that can't write a single byte to any file, neither a spooled upload nor anything else.

    But for its records, where it keeps any, or where it may.
    """
    command = [sys.executable, *program, "serve", "--store", str(store), "--port", str(port), "--device", "cpu", *flags]
    with started(command, None, may_write=may_write or "--records" in flags) as server:
        yield server


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str] | None, *, may_write: bool) -> Iterator[Server]:
    """The server that a command starts; it can't write to any file unless it may. `environment`: None: this one's."""
    limit = "unlimited" if may_write else "0"
    process = subprocess.Popen(
        ["sh", "-c", f'ulimit -f {limit}; exec "$@"', "sh", *command],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    lines: list[str] = []
    reading = threading.Event()
    reading.set()
    reader = threading.Thread(target=_read_log, args=[process.stderr, lines, reading], daemon=True)
    try:
        while not (found := re.search(r"listening on (https?://\S+),", line := process.stderr.readline())):
            assert line, "".join(lines)
            lines.append(line)  # serving.json may be in force before
        reader.start()
        yield Server(process, found[1], lines, reading)
    finally:
        process.kill()
        process.wait()
        reading.set()
        if reader.ident:
            reader.join()
        process.stderr.close()


def _read_log(log: Iterable[str], lines: list[str], reading: threading.Event) -> None:
    for line in log:
        reading.wait()
        lines.append(line)
