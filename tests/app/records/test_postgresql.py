"""The same records in a real PostgreSQL server."""

import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.application import create_app
from app.records import audit, queries
from app.records.database import migrate, open_database
from app.records.filter import Filter
from app.records.images import Images
from app.records.inspection import Target
from app.records.labelling import set_target
from app.records.retention import Retention
from app.records.tables import metadata
from app.records.writer import Entry, Writer
from app.settings import Settings
from tests.app.conftest import running, until
from tests.app.records.inspections import inspection
from tests.support.images import encoded
from tests.support.postgresql import PATIENCE, PostgreSQL, binaries, running_postgresql

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(binaries() is None, reason="needs PostgreSQL's server (Debian package postgresql)"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        Path(folder).chmod(0o755)
        with running_postgresql(Path(folder, "s")) as server:
            yield server


@pytest.fixture
def engine(server: PostgreSQL) -> Iterator[Engine]:
    """Of an empty database."""
    engine = open_database(server.url, "normal")
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    yield engine
    engine.dispose()


def test_migrations_make_the_tables_once(server: PostgreSQL, engine: Engine) -> None:
    """Though several replicas begin together."""
    engines = [open_database(server.url, "normal") for _ in range(3)]
    threads = [threading.Thread(target=migrate, args=[each]) for each in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["0004"]
    for each in engines:
        each.dispose()


def test_an_inspection_comes_back_as_it_was(writer: Writer, engine: Engine) -> None:
    sent = inspection(3, part_id="Stück 🔩", key="k", station="s", line="l", idempotency_key="i")
    entries = [Entry(sent), *(Entry(inspection(number)) for number in range(4, 60)), Entry(sent)]
    for entry in entries:
        writer.put(entry)
    assert all(entry.done.result(PATIENCE) for entry in entries)
    with engine.connect() as connection:
        found = queries.find(connection, sent.inference_id)
        assert len(queries.page(connection, Filter(), 100)) == 57
        assert queries.find_keyed(connection, "i", "k", 0) is not None
        assert queries.find_same(connection, "Stück 🔩", "a" * 64, sent.basis, 0) is not None
    assert found is not None
    np.testing.assert_array_equal(found.inspection.evidence, sent.evidence)
    assert replace(found.inspection, evidence=sent.evidence) == sent


def test_audit_can_only_grow(writer: Writer, engine: Engine) -> None:
    writer.put(entry := Entry(inspection()))
    assert entry.done.result(PATIENCE)
    target = Target("good", "me", 1, None)
    writer.change(lambda connection: set_target(connection, entry.inspection.inference_id, target, "k")).result(
        PATIENCE
    )
    writer.change(lambda connection: audit.add_if_changed(connection, "serving", "w", "{}", "k")).result(PATIENCE)
    for change in ("UPDATE audit SET by = 'nobody'", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(SQLAlchemyError, match="append-only"), engine.begin() as connection:
            connection.execute(text(change))
    with engine.connect() as connection:
        assert [change.what for _, change in audit.page(connection, 10, None)] == ["serving", "label"]


def test_retention(writer: Writer, engine: Engine, tmp_path: Path) -> None:
    entries = [Entry(inspection(at=time.time() - 86_400 * days), bytes(100)) for days in (5, 3, 1)]
    for entry in entries:
        writer.put(entry)
    assert all(entry.done.result(PATIENCE) for entry in entries)
    Retention(engine, writer, Images(tmp_path / "images"), 100, None, 4).round()
    with engine.connect() as connection:
        page = queries.page(connection, Filter(), 10)
        assert queries.kept_bytes(connection) == 100
    assert [bool(each.image_path) for each in page] == [True, False]


async def test_server_that_goes_and_comes_back(server: PostgreSQL, engine: Engine, store: Path) -> None:
    """Inspections go on all the while; what was inspected meanwhile is recorded then."""
    settings = Settings(store=store, device="cpu", default_model="widget", deadline_ms=60_000, records=server.url)
    app = create_app(settings)
    async with running(app) as client:
        await until(lambda: not app.state.service.unready())
        await until(lambda: app.state.service.records._writer.available)

        async def inspected() -> httpx.Response:
            reply = await client.post("/predict?heatmap=none", content=encoded())
            assert reply.status_code == 200
            return reply

        ids = [(reply := await inspected()).json()["inference_id"]]
        assert reply.headers["x-camspector-recorded"] == "true"
        server.stop()
        for _ in range(3):
            reply = await inspected()
            assert reply.headers["x-camspector-recorded"] == "false"
            ids.append(reply.json()["inference_id"])
        refused = await client.get("/v1/inspections")
        assert (refused.status_code, refused.json()["error"]) == (503, "records-unavailable")
        server.start()
        await until(lambda: app.state.service.records._writer.available)
        ids.append((reply := await inspected()).json()["inference_id"])
        assert reply.headers["x-camspector-recorded"] == "true"
        page = (await client.get("/v1/inspections")).json()
        assert [each["inference_id"] for each in page["inspections"]] == ids[::-1]
        wrong = await client.get("/v1/inspections", params={"part_id": "\ud83d".encode("utf-8", "surrogatepass")})
        assert wrong.status_code in (200, 400)


async def test_service_starts_without_its_database(store: Path) -> None:
    settings = Settings(
        store=store, device="cpu", default_model="widget", deadline_ms=60_000,
        records="postgresql://nobody@127.0.0.1:9/none",
    )  # fmt: skip
    app = create_app(settings)
    async with running(app) as client:
        await until(lambda: not app.state.service.unready())
        reply = await client.post("/predict?heatmap=none", content=encoded(), headers={"X-Part-ID": "1"})
        assert (reply.status_code, reply.headers["x-camspector-recorded"]) == (200, "false")
        refused = await client.put(f"/v1/inspections/{'0' * 32}/label", json={"label": "good"})
        assert (refused.status_code, refused.json()["error"]) == (503, "records-unavailable")
    assert app.state.service.metrics.records.labels("lost")._value.get() == 1
