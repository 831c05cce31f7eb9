"""Image files that no record names: a kill left them behind, before their record was written, or after it changed."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Engine

from app.records import queries
from app.records.images import Images

log = logging.getLogger(__name__)

LEFT_SECONDS: Final = 600.0
"""So old a file is that is taken for left behind. What waits for the database is touched meanwhile (Writer)."""
STEP: Final = 100
"""Files that are looked for in one query."""


class Leftovers:
    """Looks through one hour's folder at a time, and begins anew after the last: any number of files is gone through
    without haste."""

    def __init__(self, engine: Engine, images: Images) -> None:
        self._engine = engine
        self._images = images
        self._hours: list[str] = []

    def sweep(self, pause: Callable[[], object]) -> None:
        """Remove those of the next hour; `pause` is called between two steps. Raises SQLAlchemyError or OSError."""
        if not self._hours:
            self._hours = self._images.hours()
        if not self._hours:
            return
        paths = self._images.older(self._hours.pop(), time.time() - LEFT_SECONDS)
        removed = 0
        for start in range(0, len(paths), STEP):
            removed += self._remove(paths[start : start + STEP])
            pause()
        if removed:
            log.warning("%d image files that no record names were removed: a kill had left them behind", removed)

    def _remove(self, paths: Sequence[str]) -> int:
        with self._engine.connect() as connection:
            left = set(paths) - queries.named_images(connection, paths)
        for path in left:
            self._images.remove(path)
        return len(left)
