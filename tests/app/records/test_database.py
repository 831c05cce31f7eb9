"""Opening the database, and its tables."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from app.records.database import migrate, open_database
from app.records.tables import metadata
from app.settings import ConfigurationError, Sync


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
