"""The audit: who changed what decides, when, from what to what. Rows are added, and never changed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, insert, select

from app.records.tables import audit

What = Literal["serving", "recipes", "label", "keys"]


@dataclass(frozen=True)
class Change:
    """One row."""

    at: int
    """Milliseconds since 1970, UTC."""
    by: str | None
    """Name of the API key, or the file that was changed; None: nobody needs a key."""
    what: What
    subject: str
    """The model, the inference id, or the file."""
    before: str | None
    after: str | None


def add(
    connection: Connection, what: What, subject: str, before: str | None, after: str | None, by: str | None
) -> None:
    values = {"at": round(1000 * time.time()), "by": by, "what": what, "subject": subject}
    connection.execute(insert(audit).values(**values, before=before, after=after))


def add_if_changed(connection: Connection, what: What, subject: str, after: str, by: str | None) -> None:
    """Add a row, unless the last one has the same content: another replica, or this service before, has seen it."""
    last = _last(connection, what, subject)
    if last != after:
        add(connection, what, subject, last, after, by)


def page(connection: Connection, limit: int, before: int | None) -> list[tuple[int, Change]]:
    """The newest rows with their ids, of those before an id."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    rows: Sequence[dict[str, object]] = [dict(row) for row in connection.execute(query).mappings()]
    return [(int(str(row.pop("id"))), Change(**row)) for row in rows]  # type: ignore[arg-type]


def _last(connection: Connection, what: What, subject: str) -> str | None:
    query = select(audit.c.after).where(audit.c.what == what, audit.c.subject == subject)
    last: str | None = connection.execute(query.order_by(audit.c.id.desc()).limit(1)).scalar()
    return last
