"""Which files were inspected, and what is still to be done about them: in SQLite, so that it survives any end.

An entry is committed before its line is written and its file is sorted, and knows where its line begins: who is ended
in between does what is missing after a restart, and nothing twice. (After a power cut the last entries may be missing:
their files are inspected again.)
"""

import os
import sqlite3
from collections.abc import Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from app.score.errors import UsageError
from app.watch.folder import Signature

_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS files (
        id INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        line BLOB NOT NULL, line_at INTEGER, destination BLOB, is_written INTEGER NOT NULL, is_sorted INTEGER NOT NULL
    )
"""


@dataclass(frozen=True)
class Entry:
    """One file that was inspected."""

    path: str
    signature: Signature
    line: bytes
    destination: str | None
    """Where the file goes; None: it stays."""
    id: int = 0
    line_at: int | None = None
    """Offset at which the line was begun; None: it wasn't."""
    is_written: bool = False
    is_sorted: bool = False

    @property
    def is_done(self) -> bool:
        return self.is_written and self.is_sorted


class Ledger:
    """For one process and one thread. Its methods raise sqlite3.Error where it can't be written."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError."""
        try:
            self._database = sqlite3.connect(path, isolation_level=None, timeout=0)
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(_TABLE)
            self._database.execute("DELETE FROM files WHERE id < 0")  # takes the lock
        except sqlite3.Error as error:
            raise UsageError(f"the ledger {path} can't be used, or another process does: {error}") from None
        newest = self._entries("ORDER BY id")
        self.known = {entry.path: entry.signature for entry in newest}
        """Signatures of the files that were inspected, by path."""
        self.pending = {entry.id: entry for entry in newest if not entry.is_done}
        """What is still to be done, in order."""

    def close(self) -> None:
        self._database.close()

    def add(self, entry: Entry) -> Entry:
        """From now on its file is known, and what is to be done about it is pending. Returns it with its number."""
        destination = os.fsencode(entry.destination) if entry.destination else None
        added = self._database.execute(
            "INSERT INTO files (path, size, mtime_ns, line, destination, is_written, is_sorted)"
            " VALUES (?, ?, ?, ?, ?, 0, ?)",
            (os.fsencode(entry.path), *entry.signature, entry.line, destination, entry.is_sorted),
        )
        entry = replace(entry, id=added.lastrowid or 0)
        self.known[entry.path] = entry.signature
        self.pending[entry.id] = entry
        return entry

    def update(self, entry: Entry) -> Entry:
        """One that is pending, with another line_at, is_written or is_sorted."""
        self._database.execute(
            "UPDATE files SET line_at = ?, is_written = ?, is_sorted = ? WHERE id = ?",
            (entry.line_at, entry.is_written, entry.is_sorted, entry.id),
        )
        self.pending[entry.id] = entry
        if entry.is_done:
            del self.pending[entry.id]
            if Signature.of(entry.path) != entry.signature:  # it was sorted away: another may come under its name
                self._forget(entry.path, entry.signature)
        return entry

    def forget(self, there: Set[str], before_ns: int) -> None:
        """What is known of files from before that time (their own, in ns since 1970) that aren't there any more.

        Younger ones may be on a disk that is not mounted now.
        """
        pending = {entry.path for entry in self.pending.values()}
        gone = [path for path, seen in self.known.items() if seen.mtime_ns < before_ns and path not in there]
        for path in gone:
            if path not in pending:
                self._forget(path, self.known[path])

    def _forget(self, path: str, signature: Signature) -> None:
        self._database.execute(
            "DELETE FROM files WHERE path = ? AND size = ? AND mtime_ns = ? AND is_written AND is_sorted",
            (os.fsencode(path), *signature),
        )
        if self.known.get(path) == signature:
            del self.known[path]

    def _entries(self, order: str) -> list[Entry]:
        names = "path, size, mtime_ns, line, destination, id, line_at, is_written, is_sorted"
        return [
            Entry(
                os.fsdecode(path), Signature(size, mtime_ns), line, os.fsdecode(destination) if destination else None,
                number, line_at, bool(is_written), bool(is_sorted),
            )
            for path, size, mtime_ns, line, destination, number, line_at, is_written, is_sorted
            in self._database.execute(f"SELECT {names} FROM files {order}")
        ]  # fmt: skip
