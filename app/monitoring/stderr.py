"""Non-blocking sys.stderr: a thread writes, and what its reader doesn't take is dropped beyond a bound."""

import io
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

MOST_BYTES: Final = 8_000_000
"""Bytes of waiting lines, at most: some 25,000 requests' lines."""
RETRY_SECONDS: Final = 0.2
DRAIN_SECONDS: Final = 1.0


class Backlog(Collector):
    """Metrics of the process's waiting and lost log lines.

    Plain numbers: a signal's handler may log while its thread is here, and prometheus-client's own have locks that
    can't be taken twice.
    """

    waiting = 0
    dropped = 0

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "camspector_log_lines_waiting", "Lines of the log that stderr has not taken yet.", self.waiting
        )
        yield CounterMetricFamily("camspector_log_lines_dropped", "Lines of the log that were lost.", self.dropped)


backlog: Final = Backlog()


class BoundedStderr(io.TextIOBase):
    """Takes a line at once, or drops it; a thread writes them.

    A stalled pipe, a full disk and a closed file are one case: what stderr doesn't take waits, up to MOST_BYTES. From
    the first line that finds no room every line is dropped until those before it are written: so there is one gap, and
    a notice stands in its place.
    """

    def __init__(self, descriptor: int, notice: Callable[[int, float], str]) -> None:
        """`notice` is the line that tells how many were lost since when (time.time); it must not log."""
        self._descriptor = descriptor
        self._notice = notice
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._lost = 0
        self._lost_since = 0.0
        self._changed = threading.Condition()  # its lock is reentrant, which a signal's handler needs
        threading.Thread(target=self._run, name="stderr", daemon=True).start()

    def fileno(self) -> int:
        """File descriptor to which faulthandler and child processes write."""
        return self._descriptor

    def write(self, text: str, /) -> int:
        line = text.encode(errors="backslashreplace")
        with self._changed:
            if self._lost or self._size + len(line) > MOST_BYTES:
                if not self._lost:
                    self._lost_since = time.time()
                self._lost += 1
                backlog.dropped += 1
            else:
                self._put(line)
            self._changed.notify_all()
        return len(text)

    def drain(self) -> None:
        """Wait until all is written, for DRAIN_SECONDS at most."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._lost), DRAIN_SECONDS)

    def _put(self, line: bytes) -> None:
        self._waiting.append(line)
        self._size += len(line)
        backlog.waiting = len(self._waiting)

    def _run(self) -> None:
        while True:
            line = self._next()
            self._write(line)
            with self._changed:
                self._waiting.popleft()
                self._size -= len(line)
                backlog.waiting = len(self._waiting)
                self._changed.notify_all()

    def _next(self) -> bytes:
        """The oldest line, left in its place until it is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._lost)
            if not self._waiting:
                self._put(self._notice(self._lost, self._lost_since).encode())
                self._lost = 0
            return self._waiting[0]

    def _write(self, line: bytes) -> None:
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except OSError:
                time.sleep(RETRY_SECONDS)
