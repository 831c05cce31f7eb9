"""Tables of the records. What is here is what the migrations make: a test compares them."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata: Final = MetaData()

inspections: Final = Table(
    "inspections",
    metadata,
    Column("inference_id", Text, primary_key=True, doc="A UUID of version 7: in the order of time."),
    Column("received_at", BigInteger, nullable=False, doc="Milliseconds since 1970, UTC."),
    Column("request_id", Text, nullable=False),
    Column("part_id", Text),
    Column("key", Text, doc="Name of the API key."),
    Column("station", Text),
    Column("line", Text, doc="Name of the production line."),
    Column("idempotency_key", Text),
    Column("model", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("variant", Text, nullable=False),
    Column("threshold_review", Double, nullable=False),
    Column("threshold_label", Double, nullable=False),
    Column("threshold_reject", Double, nullable=False),
    Column("defect_rate", Double, nullable=False),
    Column("serving_sha256", Text, nullable=False, doc="Of serving.json's content in force."),
    Column("input_size", Integer, nullable=False),
    Column("full_scale", Integer),
    Column("good_median", Double, nullable=False, doc="Of the heatmap's scale."),
    Column("region_threshold", Double, nullable=False, doc="Of the heatmap's scale."),
    Column("smoothing", Double, nullable=False, server_default="0", doc="Of the heatmap's scale."),
    Column("label", Text, nullable=False, doc="The verdict's."),
    Column("decision", Text, nullable=False),
    Column("probability", Double, nullable=False),
    Column("log_odds", Double, nullable=False),
    Column("inspectable", Boolean, nullable=False),
    Column("odd", Text, nullable=False, doc="JSON: the checks by which the gate stopped it."),
    Column("typicality", Double, nullable=False),
    Column("challenge", Text, doc="What a known test part is known to be; null: a part of production."),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("image_sha256", Text),
    Column("image_bytes", BigInteger, nullable=False),
    Column("image_path", Text, doc="Null: it is not kept."),
    Column("regions", Text, doc="JSON; null: nobody asked for them."),
    Column("decode_ms", Double, nullable=False),
    Column("queue_ms", Double, nullable=False),
    Column("predict_ms", Double, nullable=False),
    Column("render_ms", Double, nullable=False),
    Column("target", Text, doc="What a person says: good, or a kind of defect."),
    Column("target_by", Text),
    Column("target_at", BigInteger),
    Column("target_note", Text),
    Column("map_height", Integer, nullable=False),
    Column("map_width", Integer, nullable=False),
    Column("evidence", LargeBinary, nullable=False, doc="float32, little endian, map_height × map_width."),
)

_id: Final = inspections.c.inference_id
Index("ix_inspections_part_id", inspections.c.part_id, _id)
# What comes after the id is looked at before the row is: of a rare decision, no rows are read in vain.
Index("ix_inspections_model", inspections.c.model, _id, inspections.c.version, inspections.c.decision)
Index("ix_inspections_version", inspections.c.model, inspections.c.version, _id, inspections.c.decision)
Index("ix_inspections_decision", inspections.c.decision, _id, inspections.c.model)
_labelled: Final = inspections.c.target.is_not(None)
Index("ix_inspections_target", inspections.c.target, _id, sqlite_where=_labelled, postgresql_where=_labelled)
_keyed: Final = inspections.c.idempotency_key.is_not(None)
Index(
    "ix_inspections_idempotency_key",
    inspections.c.idempotency_key,
    _id,
    sqlite_where=_keyed,
    postgresql_where=_keyed,
)
_kept: Final = inspections.c.image_path.is_not(None)
Index(
    "ix_inspections_image",
    inspections.c.inference_id,
    inspections.c.image_bytes,
    inspections.c.target,
    sqlite_where=_kept,
    postgresql_where=_kept,
)

audit: Final = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", BigInteger, nullable=False, doc="Milliseconds since 1970, UTC."),
    Column("by", Text, doc="Name of the API key, or the file that was changed."),
    Column("what", Text, nullable=False, doc="serving, recipes, label or keys."),
    Column("subject", Text, nullable=False, doc="The model, the inference id, the file."),
    Column("before", Text),
    Column("after", Text),
)
"""Append-only: triggers refuse to change or delete a row."""
Index("ix_audit_subject", audit.c.what, audit.c.subject, audit.c.id)
