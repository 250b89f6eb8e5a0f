"""Minutes that a practitioner, room or device needs for itself before and after each visit.

Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_COLUMNS = ("buffer_before_minutes", "buffer_after_minutes")


def upgrade() -> None:
    # With a constant default: on PostgreSQL no row is rewritten, on SQLite no table is copied.
    for name in _COLUMNS:
        op.add_column("resources", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))


def downgrade() -> None:
    for name in reversed(_COLUMNS):
        op.drop_column("resources", name)
