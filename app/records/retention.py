"""What is too old, or too much, goes: a thread that asks the writer for small steps."""

import logging
import threading
import time
from concurrent.futures import CancelledError
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, delete, update
from sqlalchemy.exc import SQLAlchemyError

from app.monitoring.log_once import LogOnce
from app.records import queries
from app.records.images import Images
from app.records.leftovers import Leftovers
from app.records.tables import inspections
from app.records.writer import Writer
from model.errors import CamspectorError

log = logging.getLogger(__name__)
T = TypeVar("T")

ROUND_SECONDS: Final = 30.0
STEP: Final = 100
"""Inspections or images that go in one transaction."""
PAUSE_SECONDS: Final = 0.05
"""Between two steps, for those who wait for their record."""
DAY_MS: Final = 86_400_000


class Retention:
    """Images: the oldest first, and labelled ones only where nothing else is left to go. Then whole records."""

    def __init__(
        self,
        engine: Engine,
        writer: Writer,
        images: Images | None,
        max_bytes: int,
        image_days: int | None,
        days: int | None,
    ) -> None:
        self._engine = engine
        self._writer = writer
        self._images = images
        self._leftovers = Leftovers(engine, images) if images else None
        self._max_bytes = max_bytes
        self._image_days = image_days
        self._days = days
        self._warnings = LogOnce(log)
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name="records' retention", daemon=True)

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(ROUND_SECONDS):
            try:
                self.round()
            except (SQLAlchemyError, CamspectorError, OSError, CancelledError) as error:
                self._warnings.update({f"old records and images can't be removed: {error}"})
            else:
                self._warnings.update(set())

    def round(self) -> None:
        """Remove all that must go now. Raises SQLAlchemyError, CamspectorError or OSError."""
        now = round(1000 * time.time())
        if self._days is not None:
            while self._remove_records(now - self._days * DAY_MS):
                self._pause()
        if self._leftovers is None:
            return
        if self._image_days is not None:
            until = now - self._image_days * DAY_MS
            while self._remove_images(STEP, until=until, labelled=False):
                self._pause()
        with self._engine.connect() as connection:
            over = queries.kept_bytes(connection) - self._max_bytes
        for labelled in (False, True):
            while over > 0 and (freed := self._remove_images(over, labelled=labelled)):
                over -= freed
                self._pause()
        self._leftovers.sweep(self._pause)

    def _remove_records(self, until: int) -> int:
        """How many."""
        with self._engine.connect() as connection:
            oldest = queries.oldest(connection, STEP, until)
        for _, path in oldest:
            if path and self._images:
                self._images.remove(path)
        ids = [inference_id for inference_id, _ in oldest]
        if ids:
            self._write(delete(inspections).where(inspections.c.inference_id.in_(ids)))
        return len(ids)

    def _remove_images(self, size: int, *, until: int | None = None, labelled: bool) -> int:
        """Bytes that are free then: at least `size`, unless a step has fewer. The row first: it never names a image
        that isn't there."""
        with self._engine.connect() as connection:
            oldest = queries.oldest_kept(connection, STEP, until=until, labelled=labelled)
        freed, going = 0, []
        for inference_id, path, kept in oldest:
            if until is None and freed >= size:
                break
            going.append((inference_id, path))
            freed += kept
        if going:
            ids = [inference_id for inference_id, _ in going]
            self._write(update(inspections).where(inspections.c.inference_id.in_(ids)).values(image_path=None))
        for _, path in going:
            assert self._images
            self._images.remove(path)
        return freed

    def _write(self, statement: object) -> None:
        def work(connection: Connection) -> None:
            connection.execute(statement)  # type: ignore[call-overload]

        self._writer.change(work).result()

    def _pause(self) -> None:
        if self._stopped.wait(PAUSE_SECONDS):
            raise CancelledError
