"""A rare version's inspections are found without looking through all of its model's."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_index("ix_inspections_version", "inspections", ["model", "version", "inference_id", "decision"])
