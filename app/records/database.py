"""The database of the records: SQLite in a folder, or PostgreSQL by its URL."""

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from app.settings import ConfigurationError, Sync

log = logging.getLogger(__name__)

FILE: Final = "records.sqlite"
BUSY_SECONDS: Final = 1.0
"""How long a statement waits for another process's lock (SQLite)."""
CONNECT_SECONDS: Final = 2
STATEMENT_MS: Final = 10_000
"""Of PostgreSQL; after so long a statement has failed."""
_MIGRATION_LOCK: Final = 7_205_759_403
"""Of PostgreSQL: one of several replicas that start together migrates, the others wait."""


def is_url(records: str) -> bool:
    return "://" in records


def open_database(records: str, sync: Sync) -> Engine:
    """`records`: a folder, which is made, or a URL that begins with postgresql://. Nothing is connected yet.

    `sync`, for SQLite: what is committed survives the end of the process in any case, and with full also that of the
    machine's power.

    Raises ConfigurationError.
    """
    return _postgresql(records) if is_url(records) else _sqlite(Path(records), sync)


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest form, in one transaction. Raises ConfigurationError where they are newer than this
    service, or SQLAlchemyError."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise ConfigurationError(f"the records are of a newer release than this service: {error}") from error


def _sqlite(folder: Path, sync: Sync) -> Engine:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the folder of records {folder} can't be made: {error.strerror}") from error
    url = URL.create("sqlite", database=str(folder / FILE))
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def connected(connection: object, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # transactions begin below, those of DDL too
        for pragma in ("journal_mode=WAL", f"synchronous={sync}"):
            connection.execute(f"PRAGMA {pragma}").close()  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _postgresql(records: str) -> Engine:
    try:
        url = make_url(records)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(f"the URL of the records can't be read: {error}") from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError(
            f"the records are a folder or a URL that begins with postgresql://, not {url.drivername}://"
        )
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": 1000 * CONNECT_SECONDS,
            "keepalives_idle": CONNECT_SECONDS,
            "keepalives_interval": 1,
            "keepalives_count": 3,
            "options": f"-c statement_timeout={STATEMENT_MS}",
            "application_name": "camspector",
        },
    )
