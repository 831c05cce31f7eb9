"""One round after the other: what is whole is inspected, logged and sorted; what fails is tried again in the next."""

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.monitoring.log_once import LogOnce
from app.score.row import Row
from app.score.run import RowMaker, rows
from app.watch.destinations import Destinations
from app.watch.folder import Signature, WatchedFolder
from app.watch.ledger import Entry, Ledger
from app.watch.log_file import line_begins, write_line

log = logging.getLogger(__name__)

_ROUND: Final = 64
"""Files that are inspected before the folder is looked at again."""
_REMEMBERED_NS: Final = 7 * 86_400 * 10**9
"""Of files that aren't there any more: for a week, a disk may be away."""


@dataclass
class Station:
    """What `watch` works with. Only the event loop's thread has the ledger."""

    folder: WatchedFolder
    ledger: Ledger
    destinations: Destinations
    out: Path
    header: bytes
    line: Callable[[Row, str, str | None], bytes]
    """A row's, the time and the destination's."""
    make: RowMaker
    executor: Executor
    jobs: int
    _problems: set[str] = field(default_factory=set)
    _warnings: LogOnce = field(default_factory=lambda: LogOnce(log))

    async def round(self) -> int:
        """Returns how many files were inspected. Raises StoppedError."""
        self._problems = set()
        try:
            self._write_lines()
            for entry in [*self.ledger.pending.values()]:
                self._sort(entry)
            ready, there = self.folder.whole(self.ledger.known)
            self.ledger.forget(there, time.time_ns() - _REMEMBERED_NS)
            return await self._inspect(ready[:_ROUND])
        except (OSError, sqlite3.Error) as error:
            self._problems.add(str(error))
            return 0
        finally:
            self._warnings.update(self._problems)

    async def _inspect(self, ready: list[tuple[str, Signature]]) -> int:
        count = 0
        made = rows(iter([path for path, _ in ready]), self.make, self.jobs, self.executor)
        async with aclosing(made):
            for path, signature in ready:
                row = await anext(made)
                if Signature.of(path) == signature:  # else it has changed meanwhile, or is gone
                    entry = self.ledger.add(self._entry(path, signature, row))
                    self._write_lines()
                    self._sort(self.ledger.pending.get(entry.id, entry))
                    count += 1
        return count

    def _entry(self, path: str, signature: Signature, row: Row) -> Entry:
        taken = {entry.destination for entry in self.ledger.pending.values() if entry.destination}
        relative = os.path.relpath(path, os.path.realpath(self.folder.root))
        destination = self.destinations.choose(row.decision, relative, taken)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return Entry(path, signature, self.line(row, now, destination), destination, is_sorted=destination is None)

    def _write_lines(self) -> None:
        """Those that are pending, in their order; where one can't be written, neither can those behind it."""
        try:
            for entry in [each for each in self.ledger.pending.values() if not each.is_written]:
                if entry.line_at is None:
                    entry = self.ledger.update(replace(entry, line_at=line_begins(self.out)))
                write_line(self.out, entry.line, entry.line_at or 0, self.header)
                self.ledger.update(replace(entry, is_written=True))
        except OSError as error:
            self._problems.add(f"{self.out} can't be written: {error.strerror}")

    def _sort(self, entry: Entry) -> None:
        """A file that has changed since is another one; one that is gone has been sorted before."""
        if entry.is_sorted or entry.destination is None:
            return
        try:
            if Signature.of(entry.path) == entry.signature:
                self.destinations.send(entry.path, entry.destination)
            self.ledger.update(replace(entry, is_sorted=True))
        except OSError as error:
            folder = os.path.dirname(entry.destination)
            self._problems.add(f"files can't go to {folder}: {error.strerror}")
