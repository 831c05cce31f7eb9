"""Tells of work on a file system that doesn't come back: a call that hangs there (NFS) can't be broken off."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

OVERDUE_SECONDS: Final = 60.0
"""After so long somebody should look."""


class Overdue:
    """For one thread's work, a piece at a time; each is complained of once, and when it has come back."""

    def __init__(self, what: str, log: logging.Logger) -> None:
        self._what = what
        self._log = log

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The piece of work in this context may be the one that hangs."""
        began, said = time.monotonic(), threading.Event()

        def say() -> None:
            said.set()
            self._log.error("%s has not come back for %.0f s", self._what, time.monotonic() - began)

        timer = threading.Timer(OVERDUE_SECONDS, say)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if said.is_set():
                self._log.info("no longer so: %s came back after %.0f s", self._what, time.monotonic() - began)
