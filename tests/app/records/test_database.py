"""Opening the database, and its tables."""

from pathlib import Path

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, Table, text

from app.records import queries
from app.records.database import migrate, open_database
from app.records.inspection import Recorded
from app.records.rows import row_of
from app.records.tables import metadata
from app.settings import ConfigurationError, Sync
from tests.app.records.inspections import inspection


def test_migrations_make_the_tables(tmp_path: Path) -> None:
    engine = open_database(str(tmp_path), "normal")
    migrate(engine)
    migrate(engine)  # there is nothing to do
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


@pytest.mark.parametrize(("sync", "level"), [("normal", 1), ("full", 2)])
def test_pragmas(tmp_path: Path, sync: Sync, level: int) -> None:
    engine = open_database(str(tmp_path / "new" / "folder"), sync)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == level
    engine.dispose()


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ("mysql://host/db", "begins with postgresql://, not mysql://"),
        ("postgresql://host:port/db", "can't be read"),
        ("{folder}/file/records", "can't be made: Not a directory"),
    ],
)
def test_what_cannot_be_opened_is_refused_at_the_start(tmp_path: Path, records: str, message: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=message):
        open_database(records.format(folder=tmp_path), "normal")


def test_rows_of_an_older_service_are_read_by_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first form of the tables to the newest."""
    engine, upgrade, expected = open_database(str(tmp_path), "normal"), command.upgrade, inspection(3, station="cell-7")
    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0001"))
        migrate(engine)
    with engine.begin() as connection:
        table = Table("inspections", MetaData(), autoload_with=connection)
        row = row_of(Recorded(expected, None))
        older = {name: value for name, value in row.items() if name in table.columns}
        assert older.keys() < row.keys()
        connection.execute(table.insert().values(older))
    migrate(engine)
    with engine.connect() as connection:
        found = queries.find(connection, expected.inference_id)
    assert found
    assert (found.inspection.verdict, found.inspection.origin) == (expected.verdict, expected.origin)
    assert np.array_equal(found.inspection.evidence, expected.evidence)
    engine.dispose()
