"""Services that are measured side by side: each a process of its own on this machine, started, watched and ended."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Final

from tests.support.process import ROOT

START_SECONDS: Final = 120.0
_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Contender:
    """One way to serve the same model."""

    name: str
    command: tuple[str, ...]
    """{port} stands for the port that it is to listen on."""
    ready: str
    """Path that answers 200 when it serves."""
    path: str
    """Where images are posted."""
    environment: tuple[tuple[str, str], ...] = ()
    field: str = "file"
    """Of the form, with the image."""


class Running:
    """A contender's process with all its children."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.port = free_port()
        command = [part.format(port=self.port) for part in contender.command]
        began = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **dict(contender.environment)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not self._answers():
            if self._process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                self.stop()
                raise RuntimeError(f"{contender.name} does not start: {' '.join(command)}")
            time.sleep(0.02)
        self.start_seconds = time.perf_counter() - began

    def __enter__(self) -> "Running":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    def stop(self) -> None:
        """The whole process group, at once."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def cpu_seconds(self) -> float:
        """User and system time of the living processes so far."""
        return sum(_cpu_seconds(pid) for pid in self._pids())

    def megabytes(self, what: str = "VmRSS") -> float:
        """Resident memory of all processes, shared pages counted in each; "VmHWM": each one's peak."""
        return sum(_kilobytes(pid, what) for pid in self._pids()) / 1000

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", self.contender.ready)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _pids(self) -> list[int]:
        """The group's."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                try:
                    if os.getpgid(int(folder.name)) == self._process.pid:
                        found.append(int(folder.name))
                except ProcessLookupError:
                    continue
        return found


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _cpu_seconds(pid: int) -> float:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(after_name[11]) + int(after_name[12])) / _TICK


def _kilobytes(pid: int, what: str) -> int:
    """0 for one that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(what)), 0)
