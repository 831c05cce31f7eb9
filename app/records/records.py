"""The records as the service uses them: opened, written, read, stopped."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Literal, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.errors import ImageNotKeptError, RecordsUnavailableError, UnknownInspectionError
from app.monitoring.metrics import Metrics
from app.monitoring.request_record import Retained
from app.records import audit, queries
from app.records.audit import Change, What
from app.records.database import is_url, open_database
from app.records.filter import Filter
from app.records.image_rules import ImageRules
from app.records.images import Images
from app.records.inspection import Basis, Inspection, Origin, Recorded, Target
from app.records.labelling import set_target
from app.records.retention import Retention
from app.records.writer import Entry, Writer
from app.settings import Settings

log = logging.getLogger(__name__)
T = TypeVar("T")

Kept = Literal["true", "false", "pending"]
READERS: Final = 2
READ_SECONDS: Final = 10.0
"""After so long whoever asked gets an error."""
SHARE: Final = 0.25
"""Of the time that a request has left: so long, at most, it waits for the database."""
MOST_SECONDS: Final = 1.0
"""The same, however long its deadline."""

SAME_SECONDS: Final = 86_400.0
"""So long the same part isn't inspected again, and an idempotency key means the same request."""


class Records:
    """For the event loop's thread, but for `audit_change`, which any thread may call."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Raises ConfigurationError."""
        records = settings.records
        assert records is not None
        self._wait = settings.records_wait
        self._rules = ImageRules.of(settings.records_images)
        self._counts = metrics.records
        self._engine = open_database(records, settings.records_sync)
        folder = settings.records_folder or (None if is_url(records) else Path(records) / "images")
        self.images = Images(folder) if folder else None
        self._writer = Writer(self._engine, self.images, metrics.records)
        self._retention = Retention(
            self._engine,
            self._writer,
            self.images,
            settings.records_max_bytes,
            settings.records_image_days,
            settings.records_days,
        )
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="records' reader")
        self._busy: dict[object, tuple[asyncio.Lock, int]] = {}
        """How many are, or wait to be, in the block of a name."""
        metrics.records_waiting.set_function(lambda: self._writer.waiting)
        metrics.records_unavailable.set_function(lambda: not self._writer.available)

    def start(self) -> None:
        self._writer.thread.start()
        self._retention.thread.start()

    def stop(self, seconds: float) -> None:
        """Write what waits, in so many seconds at most."""
        until = time.monotonic() + seconds
        self._retention.stop()
        self._writer.close()
        self._readers.shutdown(wait=False, cancel_futures=True)
        for thread in (self._writer.thread, self._retention.thread):
            if thread.ident:
                thread.join(max(0.0, until - time.monotonic()))
        self._engine.dispose()

    def unready(self) -> list[str]:
        """Why no inspections should come yet, in words. Empty: they are recorded, or can't be."""
        return [] if self._writer.opened else ["the records are being opened"]

    async def keep(
        self, inspections: Sequence[Inspection], images: Sequence[bytes], seconds: float
    ) -> tuple[Kept, list[Retained | None]]:
        """Have inspections written, and wait until they are, for a share of `seconds` at most.

        true: they are committed. false: not yet, or not at all. pending: nobody waits, by --records-wait. And what
        is, or is just being, retained of each.
        """
        entries = [
            Entry(inspection, image if self._keeps(inspection, image) else None)
            for inspection, image in zip(inspections, images, strict=True)
        ]
        available = self._writer.available
        for entry in entries:
            self._writer.put(entry)
        if not self._wait:
            return "pending", [entry.retained for entry in entries]
        if available and await self._written(entries, min(SHARE * seconds, MOST_SECONDS)):
            return "true", [entry.retained for entry in entries]
        self._counts.labels("unconfirmed").inc(len(entries))
        return "false", [None] * len(entries)

    async def page(self, wanted: Filter, limit: int, cursor: str | None = None) -> list[Recorded]:
        """The newest `limit` inspections, of those before the one whose id is `cursor`. Raises
        RecordsUnavailableError."""
        return await self._read(lambda connection: queries.page(connection, wanted, limit, cursor))

    async def find(self, inference_id: str) -> Recorded:
        """Raises UnknownInspectionError or RecordsUnavailableError."""
        found = await self._read(lambda connection: queries.find(connection, inference_id))
        if found is None:
            raise UnknownInspectionError(f"no inspection {inference_id} is in the records")
        return found

    async def image(self, recorded: Recorded) -> bytes:
        """The image as it was sent. Raises ImageNotKeptError."""
        path, images = recorded.image_path, self.images
        if path is None or images is None:
            raise ImageNotKeptError("the image of this inspection is not kept: --records-images says which are")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: images.read(path))
        except OSError as error:
            raise ImageNotKeptError(f"the image of this inspection can't be read: {error.strerror}") from None

    async def recall(self, origin: Origin, basis: Basis, sha256: str, seconds: float) -> Inspection | None:
        """The inspection that answers a request too: of the same idempotency key, else of the same bytes of the same
        part by the same version. None also where the database doesn't answer within a share of `seconds`."""
        since = round(1000 * (time.time() - SAME_SECONDS))

        def query(connection: Connection) -> Recorded | None:
            if origin.idempotency_key:
                return queries.find_keyed(connection, origin.idempotency_key, origin.key, since)
            return queries.find_same(connection, origin.part_id or "", sha256, basis, since)

        found = None
        if self._writer.available:
            with suppress(RecordsUnavailableError):
                found = await self._read(query, min(SHARE * seconds, MOST_SECONDS))
        return found.inspection if found else None

    async def audited(self, limit: int, before: int | None) -> list[tuple[int, Change]]:
        """The newest rows of the audit with their ids, of those before an id. Raises RecordsUnavailableError."""
        return await self._read(lambda connection: audit.page(connection, limit, before))

    async def label(self, inference_id: str, target: Target | None, key: str | None) -> Recorded:
        """Label an inspection, or take its label back. Raises UnknownInspectionError or RecordsUnavailableError."""
        change = self._writer.change(lambda connection: set_target(connection, inference_id, target, key))
        try:
            labelled = await asyncio.wait_for(asyncio.wrap_future(change), READ_SECONDS)
        except TimeoutError:
            raise RecordsUnavailableError(f"the records can't be written within {READ_SECONDS:g} s") from None
        if labelled is None:
            raise UnknownInspectionError(f"no inspection {inference_id} is in the records")
        return labelled

    def audit_change(self, what: What, subject: str, after: str, by: str | None) -> None:
        """Add to the audit, unless its last row has the same content."""
        self._writer.change(lambda connection: audit.add_if_changed(connection, what, subject, after, by), durable=True)

    async def audit_written(self) -> bool:
        """Whether the changes so far are in the audit, once they are, or can't be for now; waits as `keep` does."""
        if not self._writer.available:
            return False
        try:
            await asyncio.wait_for(asyncio.wrap_future(self._writer.change(lambda _: None)), MOST_SECONDS)
        except (TimeoutError, RecordsUnavailableError):
            return False
        return True

    @asynccontextmanager
    async def one_at_a_time(self, name: object) -> AsyncIterator[None]:
        """Of those that come with the same name, one is in the block."""
        lock, users = self._busy.get(name, (asyncio.Lock(), 0))
        self._busy[name] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._busy.pop(name)
            if users > 1:
                self._busy[name] = lock, users - 1

    def _keeps(self, inspection: Inspection, image: bytes) -> bool:
        if self.images is None or not image:
            return False
        return self._rules.keeps(inspection.basis.model, inspection.verdict.decision)

    async def _written(self, entries: list[Entry], seconds: float) -> bool:
        try:
            done = asyncio.gather(*(asyncio.wrap_future(entry.done) for entry in entries))
            return all(await asyncio.wait_for(done, seconds))
        except TimeoutError:
            return False

    async def _read(self, query: Callable[[Connection], T], seconds: float = READ_SECONDS) -> T:
        def read() -> T:
            with self._engine.connect() as connection:
                return query(connection)

        try:
            return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._readers, read), seconds)
        except TimeoutError:
            raise RecordsUnavailableError(f"the records didn't answer within {seconds:g} s") from None
        except SQLAlchemyError as error:
            log.warning("the records can't be read: %s", error)
            raise RecordsUnavailableError("the records can't be read now; the service's log has the details") from None
