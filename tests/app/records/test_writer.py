"""The thread that writes: in groups, through failures, and never in anybody's way."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Connection, Engine, event, text

from app.errors import RecordsUnavailableError
from app.records import queries, writer
from app.records.database import open_database
from app.records.filter import Filter
from app.records.images import Images
from app.records.inspection import Origin
from app.records.writer import Entry, Writer
from tests.app.records.inspections import inspection
from tests.support.process import PATIENCE


@pytest.fixture
def counts() -> Counter:
    return Counter("records_total", "Of records.", ["result"], registry=CollectorRegistry())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(str(tmp_path), "normal")
    yield engine
    engine.dispose()


@pytest.fixture
def held(tmp_path: Path, engine: Engine, counts: Counter) -> Iterator[Writer]:
    held = Writer(engine, Images(tmp_path / "images"), counts)
    yield held
    held.close()
    if held.thread.ident:
        held.thread.join(PATIENCE)
    assert not held.thread.is_alive()


def count(counts: Counter, result: str) -> int:
    return int(counts.labels(result)._value.get())


def wait(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def break_database(engine: Engine) -> threading.Event:
    """From now on nothing can be written, until the event is set."""
    mended = threading.Event()

    @event.listens_for(engine, "before_cursor_execute")
    def fail(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        if not mended.is_set() and statement.startswith(("INSERT", "SELECT")):
            raise sqlite3.OperationalError("database or disk is full")

    return mended


def test_what_waits_is_one_transaction(held: Writer, engine: Engine, counts: Counter) -> None:
    commits: list[Connection] = []
    event.listen(engine, "commit", commits.append)
    entries = [Entry(inspection(number)) for number in range(50)]
    for entry in entries:
        held.put(entry)
    held.thread.start()
    assert all(entry.done.result(PATIENCE) for entry in entries)
    assert len(commits) == 2  # the tables, and these
    with engine.connect() as connection:
        page = queries.page(connection, Filter(), 100)
    assert [each.inspection.inference_id for each in page] == [each.inspection.inference_id for each in entries[::-1]]
    assert count(counts, "written") == 50


def test_an_inspection_comes_back_as_it_was(held: Writer, engine: Engine) -> None:
    sent = inspection(3, part_id="Stück 1", key="k", station="s", line="l", idempotency_key="i")
    held.put(entry := Entry(sent))
    held.thread.start()
    assert entry.done.result(PATIENCE)
    with engine.connect() as connection:
        found = queries.find(connection, sent.inference_id)
    assert found is not None
    np.testing.assert_array_equal(found.inspection.evidence, sent.evidence)
    assert replace(found.inspection, evidence=sent.evidence) == sent
    assert found.inspection.heatmap().tobytes() == sent.heatmap().tobytes()


def test_what_cannot_be_written_waits_and_is_written_then(
    held: Writer, engine: Engine, counts: Counter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.02)
    held.thread.start()
    wait(lambda: held.available)
    mended = break_database(engine)
    entries = [Entry(inspection(number), b"\x89PNG") for number in range(3)]
    for entry in entries:
        held.put(entry)
    wait(lambda: not held.available)
    assert "disk is full" in held.error
    with pytest.raises(RecordsUnavailableError, match="disk is full"):
        held.change(lambda _: None).result(PATIENCE)
    durable = held.change(lambda connection: connection.execute(text("SELECT 1")).scalar(), durable=True)
    assert not any(entry.done.done() for entry in entries)
    mended.set()
    assert all(entry.done.result(PATIENCE) for entry in entries)
    assert durable.result(PATIENCE) == 1
    wait(lambda: held.available)
    assert len([record for record in caplog.records if "can't be written" in record.message]) == 1
    assert len([record for record in caplog.records if "written again" in record.message]) == 1
    assert (count(counts, "written"), count(counts, "lost")) == (3, 0)


def test_what_finds_no_room_is_lost_and_counted(
    held: Writer, counts: Counter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING", 2)
    entries = [Entry(inspection(number)) for number in range(5)]
    for entry in entries:
        held.put(entry)
    assert [entry.done.done() for entry in entries] == [False, False, True, True, True]
    assert not entries[-1].done.result()
    assert count(counts, "lost") == 3
    assert len([record for record in caplog.records if "are lost" in record.message]) == 1
    held.thread.start()
    assert entries[0].done.result(PATIENCE)


def test_images_that_wait_are_bounded_in_bytes(held: Writer, counts: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING_BYTES", 250)
    entries = [Entry(inspection(number), bytes(100)) for number in range(3)]
    for entry in entries:
        held.put(entry)
    assert count(counts, "lost") == 1
    held.thread.start()
    assert entries[1].done.result(PATIENCE)
    wait(lambda: held._bytes == 0)
    held.put(large := Entry(inspection(9), bytes(1000)))
    assert large.done.result(PATIENCE)  # alone, any size has room


def test_one_that_cannot_be_recorded_takes_no_other_with_it(held: Writer, counts: Counter) -> None:
    """A bug, which doesn't stop the thread either."""
    good, bad = [Entry(inspection(number)) for number in range(3)], Entry(inspection(5))
    bad.inspection = replace(bad.inspection, origin=Origin(None, 1))  # type: ignore[arg-type]
    for entry in (good[0], bad, good[1]):
        held.put(entry)
    held.thread.start()
    assert [entry.done.result(PATIENCE) for entry in (good[0], bad, good[1])] == [True, False, True]
    held.put(good[2])
    assert good[2].done.result(PATIENCE)
    assert (count(counts, "written"), count(counts, "lost")) == (3, 1)


def test_a_image_that_cannot_be_written_is_lost_and_the_record_is_not(
    held: Writer, tmp_path: Path, engine: Engine, counts: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "images").write_bytes(b"a file, where a folder should be")
    held.put(entry := Entry(inspection(), b"\x89PNG"))
    held.thread.start()
    assert entry.done.result(PATIENCE)
    with engine.connect() as connection:
        found = queries.find(connection, entry.inspection.inference_id)
    assert found is not None
    assert found.image_path is None
    assert count(counts, "image-lost") == 1
    assert "images are lost" in caplog.text


def test_a_transaction_that_stalls_keeps_nobody_waiting(held: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "STALLED_SECONDS", 0.02)
    held.thread.start()
    wait(lambda: held.available)
    release = threading.Event()
    stalled = held.change(lambda _: release.wait(PATIENCE))
    wait(lambda: not held.available)
    release.set()
    stalled.result(PATIENCE)
    wait(lambda: held.available)


def test_written_twice_it_is_there_once(held: Writer, engine: Engine) -> None:
    """As where a connection broke at COMMIT, and the group is tried again."""
    held.thread.start()
    once = inspection()
    for _ in range(2):
        held.put(entry := Entry(once))
        assert entry.done.result(PATIENCE)
    with engine.connect() as connection:
        assert len(queries.page(connection, Filter(), 10)) == 1


def test_a_change_that_nobody_waits_for_any_more_is_no_failure(held: Writer, counts: Counter) -> None:
    """Its client has left, or had no more time."""
    assert held.change(lambda _: 6).cancel()
    assert held.change(lambda _: 1 / 0).cancel()
    held.thread.start()
    held.put(entry := Entry(inspection()))
    assert entry.done.result(PATIENCE)
    assert held.change(lambda _: 7).result(PATIENCE) == 7
    assert (held.available, count(counts, "written")) == (True, 1)


def test_stopping_writes_what_waits(held: Writer, engine: Engine) -> None:
    for number in range(300):  # more than a group
        held.put(Entry(inspection(number)))
    held.thread.start()
    held.close()
    held.thread.join(PATIENCE)
    with engine.connect() as connection:
        assert len(queries.page(connection, Filter(), 1000)) == 300
    held.put(late := Entry(inspection()))
    assert late.done.result(0) is False


def test_tables_newer_than_the_service(tmp_path: Path, held: Writer, engine: Engine) -> None:
    held.thread.start()
    wait(lambda: held.available)
    held.change(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))).result()
    other = Writer(engine, None, held._counts)
    other.thread.start()
    wait(lambda: other.error.startswith("the records are of a newer release"))
    other.close()
    other.thread.join(PATIENCE)
