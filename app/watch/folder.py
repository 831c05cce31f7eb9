"""Files that are whole: their size and time have stood still.

By looking again and again, on every file system alike: of what other machines write to a share, inotify tells nothing,
and who writes in pieces closes a file more than once.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from app.score.files import walk


class Signature(NamedTuple):
    """A file's content is taken to be the same while this is."""

    size: int
    mtime_ns: int

    @staticmethod
    def of(path: str) -> "Signature | None":
        """None: there is no such file, or it can't be looked at."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        return Signature(status.st_size, status.st_mtime_ns)


@dataclass
class WatchedFolder:
    """What lies in `root`, but for the folders and files that are `excluded`."""

    root: Path
    settle_seconds: float
    excluded: frozenset[str] = frozenset()
    """Their real paths."""
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[Signature, float]] = field(default_factory=dict)
    """Files that may still grow, and since when they have been so."""

    def whole(self, known: Mapping[str, Signature]) -> tuple[list[tuple[str, Signature]], set[str]]:
        """Files that are whole and aren't `known` so, the oldest first; and all that are there.

        Raises OSError where the folder has vanished.
        """
        os.scandir(self.root).close()
        now, ready, there = self.clock(), list[tuple[str, Signature]](), set[str]()
        seen, self._seen = self._seen, {}
        for path in self._paths():
            signature = Signature.of(path)
            if signature is None:
                continue
            there.add(path)
            if known.get(path) == signature:
                continue
            before, since = seen.get(path, (signature, now))
            if before != signature:
                since = now
            self._seen[path] = signature, since
            if now - since >= self.settle_seconds:
                ready.append((path, signature))
        return sorted(ready, key=lambda each: (each[1].mtime_ns, each[0])), there

    def _paths(self) -> Iterable[str]:
        return walk(os.path.realpath(self.root), self.excluded)
