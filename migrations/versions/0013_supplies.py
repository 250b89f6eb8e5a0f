"""When something came that is for one patient and one session alone, and the last day on which it may be given.

Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nullable and without a default: on PostgreSQL no row is rewritten, on SQLite no table is copied.
    op.add_column("course_sessions", sa.Column("supply_received_on", sa.Date(), nullable=True))
    op.add_column("course_sessions", sa.Column("use_by", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("course_sessions", "use_by")
    op.drop_column("course_sessions", "supply_received_on")
