"""Heatmaps may be smoothed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("inspections", sa.Column("smoothing", sa.Double(), nullable=False, server_default="0"))
