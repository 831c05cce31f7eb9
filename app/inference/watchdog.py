"""Calls that don't come back, into a device or a file system: none can be broken off, only seen."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

PATIENCE: Final = 10.0
"""A batch may take so many times as long as the slowest so far."""
STEP_SECONDS: Final = 1.0
"""How much one call of `Watchdog.stalled` counts at most: a process that was paused as a whole has not stalled."""
FILE_SYSTEM_SECONDS: Final = 60.0
"""After so long somebody should look at the file system (NFS?)."""


class Watched(Protocol):
    """What a watchdog needs of a worker."""

    @property
    def current(self) -> object | None:
        """The batch in the network."""

    @property
    def slowest(self) -> float:
        """Seconds of the slowest batch."""


class Watchdog:
    """Watches the engine's workers. Every batch has `floor` seconds, however quick others were."""

    def __init__(self, workers: Sequence[Watched], floor: float) -> None:
        self._workers = workers
        self._floor = floor
        self._batches: list[object | None] = [None] * len(workers)
        self._busy = [0.0] * len(workers)
        self._checked_at = 0.0

    def stalled(self, now: float) -> str:
        """Which worker has stalled, in words; empty: none. To be called some times a second, `now` never jumps."""
        step = min(now - self._checked_at, STEP_SECONDS)
        self._checked_at = now
        for number, worker in enumerate(self._workers):
            same = worker.current is not None and worker.current is self._batches[number]
            self._batches[number] = worker.current
            self._busy[number] = self._busy[number] + step if same else 0.0
            if self._busy[number] > max(self._floor, PATIENCE * worker.slowest):
                return f"engine worker {number + 1} has been stalled in a batch for {self._busy[number]:.0f} s"
        return ""


@contextmanager
def logged_stall(what: str, log: logging.Logger) -> Iterator[None]:
    """Log an error, once, where the block takes very long, and when it has come back after all."""
    began, stalled = time.monotonic(), threading.Event()

    def tell() -> None:
        stalled.set()
        log.error("%s has been stalled for %.0f s", what, time.monotonic() - began)

    timer = threading.Timer(FILE_SYSTEM_SECONDS, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if stalled.is_set():
            log.info("resolved: %s came back after %.0f s", what, time.monotonic() - began)
