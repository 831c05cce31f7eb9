"""How far a run is, on standard error: a line that is written over on a terminal, else one a minute."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, TextIO

from app.score.errors import StoppedError

_TERMINAL_SECONDS: Final = 0.5
_LOG_SECONDS: Final = 60.0


class Progress:
    """Of files that are done; `skipped` were done by an earlier run."""

    def __init__(self, skipped: int, total: "Total", stream: TextIO | None = None) -> None:
        self._began = self._shown = time.monotonic()
        self._skipped = skipped
        self._done = 0
        self._total = total
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if now - self._shown >= (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS):
            self._shown = now
            text = progress_text(self._skipped, self._done, now - self._began, self._total.files)
            self._stream.write(f"\r\033[K{text}" if self._terminal else f"{text}\n")
            self._stream.flush()

    def end(self) -> float:
        """Seconds since the beginning. The line on a terminal is gone."""
        if self._terminal:
            self._stream.write("\r\033[K")
        return time.monotonic() - self._began


class Total:
    """How many files there are, counted beside the work; None until that is known."""

    def __init__(self, files: Iterator[str] | None) -> None:
        """None: they can't be counted beforehand."""
        self.files: int | None = None
        if files is not None:
            threading.Thread(target=self._count, args=[files], daemon=True).start()

    def _count(self, files: Iterator[str]) -> None:
        with suppress(StoppedError):  # who works on them is told the same
            self.files = sum(1 for _ in files)


def progress_text(skipped: int, done: int, seconds: float, total: int | None) -> str:
    rate = done / seconds if seconds > 0 else 0.0
    text = f"{skipped + done:,}" + (f" of {total:,}" if total is not None else "") + f" files, {rate:.1f} a second"
    if total is None or rate == 0:
        return text
    left = max(0, total - skipped - done) / rate
    return f"{text}, {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
