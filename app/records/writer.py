"""The thread that writes the records: whatever waits becomes one transaction (group commit)."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from prometheus_client import Counter
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from app.errors import RecordsUnavailableError
from app.monitoring.request_record import Retained
from app.records.database import migrate
from app.records.images import Images
from app.records.inspection import Inspection, Recorded
from app.records.rows import row_of
from app.records.tables import inspections

log = logging.getLogger(__name__)
T = TypeVar("T")

GROUP: Final = 200
"""Inspections in a transaction, at most."""
MOST_WAITING: Final = 2000
MOST_WAITING_BYTES: Final = 64_000_000
"""Of images. Inspections beyond these bounds are lost: while the database is gone, or slower than they come."""
RETRY_SECONDS: Final = 1.0
STALLED_SECONDS: Final = 0.5
"""A transaction that takes longer keeps nobody waiting who comes after."""
_LOG_SECONDS: Final = 60.0


@dataclass(eq=False)
class Entry:
    """One inspection to be written, with its image where that is to be kept. `done` is true once it is committed,
    and false where it is lost."""

    inspection: Inspection
    image: bytes | None = None
    """None: it isn't kept, or it is in its file."""
    image_path: str | None = None
    done: Future[bool] = field(default_factory=Future)

    @property
    def retained(self) -> Retained:
        """What there is of it once it is written."""
        return "evidence" if self.image is None and self.image_path is None else "image"


@dataclass(frozen=True, eq=False)
class _Job:
    """Another change, in a transaction of its own. `done` fails with what it raises."""

    work: Callable[[Connection], Any]
    durable: bool
    """Tried again where the database fails."""
    done: Future[Any] = field(default_factory=Future)


class Writer:
    """What can't be written waits, and is tried again, until there is no more room.

    Nobody waits for it in vain: `available` is false from the first failure until the next success, and while a
    transaction takes long.
    """

    def __init__(self, engine: Engine, images: Images | None, counts: Counter) -> None:
        """`counts`: by label `result`: written, lost, image-lost."""
        self._engine = engine
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        # Where a connection breaks at COMMIT, what is tried again may be there already.
        self._insert = dialect.insert(inspections).on_conflict_do_nothing(index_elements=["inference_id"])
        self._images = images
        self._counts = counts
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._connection: Connection | None = None
        self._busy_since: float | None = None
        self._failed = False
        """Whether the last transaction failed."""
        self._logged_at: dict[str, float] = {}
        self.error = "the records have not been opened yet"
        """Why nothing can be written, in words. Empty: it can."""
        self.opened = False
        """Whether opening them has been tried."""
        self.thread = threading.Thread(target=self._run, name="records", daemon=True)

    @property
    def available(self) -> bool:
        """Whether waiting for an entry is worth while (a circuit breaker)."""
        since = self._busy_since
        return not self.error and (since is None or time.monotonic() - since < STALLED_SECONDS)

    @property
    def waiting(self) -> int:
        """Inspections that are not written yet."""
        return len(self._entries)

    def put(self, entry: Entry) -> None:
        """Have it written, unless there is no room: then it is lost."""
        size = len(entry.image or b"")
        with self._changed:
            full = len(self._entries) >= MOST_WAITING or self._bytes + size > max(size, MOST_WAITING_BYTES)
            if not (full or self._closed):
                self._entries.append(entry)
                self._bytes += size
                self._changed.notify_all()
                return
        self._lose([entry], self.error or "they come faster than they can be written")

    def change(self, work: Callable[[Connection], T], *, durable: bool = False) -> "Future[T]":
        """Do something else to the database, and soon: what takes long keeps inspections waiting.

        Fails with what it raises; with RecordsUnavailableError where the database fails, unless it is `durable`: then
        it is tried again.
        """
        job = _Job(work, durable)
        with self._changed:
            if (self._failed and not durable) or self._closed:
                job.done.set_exception(self._unavailable())
            else:
                self._jobs.append(job)
                self._changed.notify_all()
        return job.done

    def close(self) -> None:
        """Write what waits, then end; what can't be written now is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while self._wait():
                self._busy_since = time.monotonic()
                try:
                    self._work()
                except Exception as error:  # noqa: BLE001  # whatever it is, the thread goes on, and tries again
                    self._fail(error)
                finally:
                    self._busy_since = None
        finally:
            self._disconnect()
            self._lose(list(self._entries), self.error or "the service has stopped")

    def _wait(self) -> bool:
        """Until there is something to do. False: the end."""
        with self._changed:
            if self._failed:
                self._changed.wait_for(lambda: self._closed, RETRY_SECONDS)
                return not self._closed
            self._changed.wait_for(lambda: self.error or self._entries or self._jobs or self._closed)
            return bool(self._entries or self._jobs) or not self._closed

    def _work(self) -> None:
        connection = self._connect()
        group = [self._entries[index] for index in range(min(GROUP, len(self._entries)))]
        if group:
            self._write(connection, group)
        while self._jobs:
            self._do(connection, self._jobs.popleft())
        if self._failed:
            log.info("resolved: the records are written again")
        self.error, self._failed, self.opened = "", False, True

    def _connect(self) -> Connection:
        """The connection; after a failure a new one."""
        if self._connection is None:
            if self.error:  # at the start, and after a failure: somebody may have put another database there
                migrate(self._engine)
            self._connection = self._engine.connect()
        return self._connection

    def _write(self, connection: Connection, group: list[Entry]) -> None:
        """Images first, so that a row names none that isn't there."""
        for entry in group:
            self._write_image(entry)
        try:
            with connection.begin():
                connection.execute(
                    self._insert, [row_of(Recorded(entry.inspection, entry.image_path)) for entry in group]
                )
        except Exception as error:
            if _is_the_databases(error):
                raise
            if len(group) > 1:  # so that one alone is lost
                for entry in group:
                    self._write(connection, [entry])
                return
            self._leave(group)
            self._lose(group, f"a bug: {error}")
        else:
            self._leave(group)
            self._counts.labels("written").inc(len(group))
            for entry in group:
                _resolve(entry.done, True)

    def _write_image(self, entry: Entry) -> None:
        if entry.image is None or self._images is None:
            return
        try:
            entry.image_path = self._images.write(entry.inspection.inference_id, entry.image)
        except OSError as error:
            self._counts.labels("image-lost").inc()
            self._say(f"images are lost (camspector_records_total counts them): {error}")
        with self._changed:
            self._bytes -= len(entry.image)
        entry.image = None

    def _leave(self, group: list[Entry]) -> None:
        """They are the first of those that wait."""
        with self._changed:
            for _ in group:
                self._entries.popleft()

    def _do(self, connection: Connection, job: _Job) -> None:
        try:
            with connection.begin():
                result = job.work(connection)
        except Exception as error:
            if _is_the_databases(error):
                with self._changed:
                    self._jobs.appendleft(job)
                raise
            _fail(job.done, error)
        else:
            _resolve(job.done, result)

    def _fail(self, error: Exception) -> None:
        """What waits goes on waiting; changes are refused."""
        self._disconnect()
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        if not self._failed:
            log.error("the records can't be written: %s; inspections go on, and wait to be recorded", reason)
        with self._changed:
            self.error, self._failed, self.opened = reason or type(error).__name__, True, True
            refused = [job for job in self._jobs if not job.durable]
            self._jobs = deque(job for job in self._jobs if job.durable)
        for job in refused:
            _fail(job.done, self._unavailable())
        self._touch_images()

    def _touch_images(self) -> None:
        """Of those that wait, or they would be taken for left behind (app.records.leftovers)."""
        for index in range(min(GROUP, len(self._entries))):
            if (path := self._entries[index].image_path) and self._images:
                with suppress(OSError):
                    self._images.touch(path)

    def _unavailable(self) -> RecordsUnavailableError:
        return RecordsUnavailableError(f"the records can't be written: {self.error or 'the service is stopping'}")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.invalidate()
            with suppress(SQLAlchemyError):
                connection.close()
        self._engine.dispose()

    def _lose(self, entries: list[Entry], reason: str) -> None:
        if not entries:
            return
        self._counts.labels("lost").inc(len(entries))
        self._say(f"inspections are lost to the records (camspector_records_total counts them): {reason}")
        for entry in entries:
            if entry.image_path and self._images:
                with suppress(OSError):
                    self._images.remove(entry.image_path)
            _resolve(entry.done, False)

    def _say(self, text: str) -> None:
        """Log an error, but the same at most once a minute."""
        now = time.monotonic()
        if now - self._logged_at.get(text, -_LOG_SECONDS) >= _LOG_SECONDS:
            self._logged_at[text] = now
            log.error("%s", text)


def _is_the_databases(error: Exception) -> bool:
    """Whether it is the database that failed, and not what was to be written."""
    return isinstance(error, SQLAlchemyError) and not isinstance(error, DataError | IntegrityError)


def _resolve(done: Future[T], result: T) -> None:
    with suppress(InvalidStateError):  # nobody waits any more
        done.set_result(result)


def _fail(done: Future[Any], error: Exception) -> None:
    with suppress(InvalidStateError):
        done.set_exception(error)
