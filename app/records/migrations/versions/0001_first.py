"""The first form of the records."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NEVER = "the audit is append-only"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=True),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_subject", "audit", ["what", "subject", "id"], unique=False)
    op.create_table(
        "inspections",
        sa.Column("inference_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("part_id", sa.Text(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("station", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("threshold_review", sa.Double(), nullable=False),
        sa.Column("threshold_label", sa.Double(), nullable=False),
        sa.Column("threshold_reject", sa.Double(), nullable=False),
        sa.Column("defect_rate", sa.Double(), nullable=False),
        sa.Column("serving_sha256", sa.Text(), nullable=False),
        sa.Column("input_size", sa.Integer(), nullable=False),
        sa.Column("full_scale", sa.Integer(), nullable=True),
        sa.Column("good_median", sa.Double(), nullable=False),
        sa.Column("region_threshold", sa.Double(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("log_odds", sa.Double(), nullable=False),
        sa.Column("inspectable", sa.Boolean(), nullable=False),
        sa.Column("odd", sa.Text(), nullable=False),
        sa.Column("typicality", sa.Double(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("image_sha256", sa.Text(), nullable=True),
        sa.Column("image_bytes", sa.BigInteger(), nullable=False),
        sa.Column("image_path", sa.Text(), nullable=True),
        sa.Column("regions", sa.Text(), nullable=True),
        sa.Column("decode_ms", sa.Double(), nullable=False),
        sa.Column("queue_ms", sa.Double(), nullable=False),
        sa.Column("predict_ms", sa.Double(), nullable=False),
        sa.Column("render_ms", sa.Double(), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("target_by", sa.Text(), nullable=True),
        sa.Column("target_at", sa.BigInteger(), nullable=True),
        sa.Column("target_note", sa.Text(), nullable=True),
        sa.Column("map_height", sa.Integer(), nullable=False),
        sa.Column("map_width", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("inference_id"),
    )
    op.create_index("ix_inspections_decision", "inspections", ["decision", "inference_id", "model"], unique=False)
    op.create_index(
        "ix_inspections_idempotency_key",
        "inspections",
        ["idempotency_key", "inference_id"],
        unique=False,
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index(
        "ix_inspections_model", "inspections", ["model", "inference_id", "version", "decision"], unique=False
    )
    op.create_index("ix_inspections_part_id", "inspections", ["part_id", "inference_id"], unique=False)
    op.create_index(
        "ix_inspections_image",
        "inspections",
        ["inference_id", "image_bytes", "target"],
        unique=False,
        sqlite_where=sa.text("image_path IS NOT NULL"),
        postgresql_where=sa.text("image_path IS NOT NULL"),
    )
    op.create_index(
        "ix_inspections_target",
        "inspections",
        ["target", "inference_id"],
        unique=False,
        sqlite_where=sa.text("target IS NOT NULL"),
        postgresql_where=sa.text("target IS NOT NULL"),
    )
    _append_only("audit")


def _append_only(table: str) -> None:
    """Let the database itself refuse to change or delete a row."""
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{_NEVER}'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_NEVER}'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
    )
