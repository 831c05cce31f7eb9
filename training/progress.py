"""What a person sees while training runs: bars with the time left on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Advance(Protocol):
    """Called after each step of a task, with a remark on it where there is one."""

    def __call__(self, remark: str = "") -> None: ...


def no_progress(remark: str = "") -> None:
    """An `Advance` that shows nothing."""


class Reporter:
    """Writes to standard output, and keeps the seconds that each task took."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
        self.seconds: dict[str, float] = {}

    def line(self, text: str = "") -> None:
        self._console.print(text)

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Advance]:
        """A stretch of work of `total` steps; gives what to call after each of them."""
        start = time.monotonic()
        with self.timed(name):
            if self._console.is_terminal:
                with self._bar(name, total) as advance:
                    yield advance
            else:
                yield self._remark
        self.line(f"{name}: {time.monotonic() - start:.1f} s")

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Work whose seconds are kept; a part of a task, say, whose own they then aren't."""
        start, before = time.monotonic(), sum(self.seconds.values())
        yield
        inside = sum(self.seconds.values()) - before
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start - inside

    @contextmanager
    def _bar(self, name: str, total: int) -> Iterator[Advance]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True) as progress:
            bar = progress.add_task(name, total=total)

            def advance(remark: str = "") -> None:
                progress.update(bar, advance=1, description=f"{name}: {remark}" if remark else name)

            yield advance

    def _remark(self, remark: str = "") -> None:
        if remark:
            self.line(f"  {remark}")
