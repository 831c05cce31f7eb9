"""Labels: what people say that recorded parts are."""

import json
from dataclasses import asdict

from sqlalchemy import Connection, update

from app.records import audit
from app.records.inspection import Recorded, Target
from app.records.queries import find
from app.records.tables import inspections


def set_target(connection: Connection, inference_id: str, target: Target | None, key: str | None) -> Recorded | None:
    """Set, change or take back a label; the inspection then, or None where there is none of that id."""
    values = asdict(target) if target else dict.fromkeys(["label", "by", "at", "note"])
    changed = (
        update(inspections)
        .where(inspections.c.inference_id == inference_id)
        .values(target=values["label"], target_by=values["by"], target_at=values["at"], target_note=values["note"])
    )
    before = find(connection, inference_id)
    if before is None:
        return None
    connection.execute(changed)
    audit.add(connection, "label", inference_id, _text(before.target), _text(target), key)
    return find(connection, inference_id)


def _text(target: Target | None) -> str | None:
    return json.dumps(asdict(target), ensure_ascii=False) if target else None
