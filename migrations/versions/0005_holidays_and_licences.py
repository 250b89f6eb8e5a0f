"""Public holidays that a location keeps, and where a patient is while a visit takes place by video.

Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nullable and without a default: on PostgreSQL no row is rewritten, on SQLite no table is copied.
    op.add_column("locations", sa.Column("holidays", Document, nullable=True))
    op.add_column("appointments", sa.Column("patient_region", sa.String(length=10), nullable=True))
    op.add_column("waitlist_entries", sa.Column("patient_region", sa.String(length=10), nullable=True))


def downgrade() -> None:
    op.drop_column("waitlist_entries", "patient_region")
    op.drop_column("appointments", "patient_region")
    op.drop_column("locations", "holidays")
