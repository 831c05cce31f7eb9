"""What is asked of the records."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from sqlalchemy import Connection, Select, func, select

from app.records.filter import Filter
from app.records.inference_id import first_id_at
from app.records.inspection import Basis, Recorded
from app.records.rows import recorded_of
from app.records.tables import inspections

columns: Final = inspections.c


def page(connection: Connection, wanted: Filter, limit: int, cursor: str | None = None) -> list[Recorded]:
    """The newest `limit` inspections, of those before the one whose id is `cursor`."""
    query = _filtered(wanted)
    if cursor is not None:
        query = query.where(columns.inference_id < cursor)
    rows = connection.execute(query.order_by(columns.inference_id.desc()).limit(limit)).mappings()
    return [recorded_of(row) for row in rows]


def find(connection: Connection, inference_id: str) -> Recorded | None:
    row = connection.execute(select(inspections).where(columns.inference_id == inference_id)).mappings().first()
    return recorded_of(row) if row else None


def find_same(connection: Connection, part_id: str, sha256: str, basis: Basis, since: int) -> Recorded | None:
    """The newest inspection since then of the same bytes of the same part, by the same version under the same
    serving.json."""
    query = (
        select(inspections)
        .where(columns.part_id == part_id)
        .where(columns.inference_id >= first_id_at(since))
        .where(columns.image_sha256 == sha256, columns.challenge.is_(None))
        .where(columns.model == basis.model, columns.version == basis.version)
        .where(columns.serving_sha256 == basis.serving_sha256)
    )
    row = connection.execute(query.order_by(columns.inference_id.desc()).limit(1)).mappings().first()
    return recorded_of(row) if row else None


def find_keyed(connection: Connection, idempotency_key: str, api_key: str | None, since: int) -> Recorded | None:
    """The newest inspection since then that was sent under this idempotency key, by the same API key."""
    query = (
        select(inspections)
        .where(columns.idempotency_key == idempotency_key)
        .where(columns.key.is_not_distinct_from(api_key))
        .where(columns.inference_id >= first_id_at(since))
    )
    row = connection.execute(query.order_by(columns.inference_id.desc()).limit(1)).mappings().first()
    return recorded_of(row) if row else None


def kept_bytes(connection: Connection) -> int:
    """Bytes of all images that are kept."""
    query = select(func.coalesce(func.sum(columns.image_bytes), 0)).where(columns.image_path.is_not(None))
    return int(connection.execute(query).scalar_one())


def oldest_kept(
    connection: Connection, limit: int, *, until: int | None = None, labelled: bool = False
) -> list[tuple[str, str, int]]:
    """Id, path and bytes of the oldest images that are kept, received before `until`, labelled or not."""
    query = (
        select(columns.inference_id, columns.image_path, columns.image_bytes)
        .where(columns.image_path.is_not(None))
        .where(columns.target.is_not(None) if labelled else columns.target.is_(None))
    )
    if until is not None:
        query = query.where(columns.inference_id < first_id_at(until))
    rows = connection.execute(query.order_by(columns.inference_id).limit(limit))
    return [(inference_id, path, size) for inference_id, path, size in rows]


def named_images(connection: Connection, paths: Sequence[str]) -> set[str]:
    """Which of these images a record names."""
    ids = [PurePosixPath(path).stem for path in paths]
    rows = connection.execute(select(columns.image_path).where(columns.inference_id.in_(ids)))
    return {path for (path,) in rows if path}


def oldest(connection: Connection, limit: int, until: int) -> list[tuple[str, str | None]]:
    """Id and image's path of the oldest inspections received before `until`."""
    query = select(columns.inference_id, columns.image_path).where(columns.inference_id < first_id_at(until))
    rows = connection.execute(query.order_by(columns.inference_id).limit(limit))
    return [(inference_id, path) for inference_id, path in rows]


def _filtered(wanted: Filter) -> Select[tuple[object, ...]]:
    query = select(inspections)
    equal = {
        columns.part_id: wanted.part_id,
        columns.model: wanted.model,
        columns.version: wanted.version,
        columns.decision: wanted.decision,
        columns.target: wanted.label,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.labelled is not None:
        query = query.where(columns.target.is_not(None) if wanted.labelled else columns.target.is_(None))
    if wanted.since is not None:
        query = query.where(columns.inference_id >= first_id_at(wanted.since))
    if wanted.until is not None:
        query = query.where(columns.inference_id < first_id_at(wanted.until))
    return query
