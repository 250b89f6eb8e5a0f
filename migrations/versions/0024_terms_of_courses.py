"""What a running course has been granted: a cadence of its own, rules lifted, visits that no longer suit; a note.

Revises: 0023
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_DOCUMENTS = ("own_cadence", "relaxations", "unfit")


def upgrade() -> None:
    # With a constant default, or none: on PostgreSQL no row is rewritten, on SQLite no table is copied.
    op.add_column("courses", sa.Column("note", sa.String(length=2000), nullable=False, server_default=sa.text("''")))
    for name in _DOCUMENTS:
        op.add_column("courses", sa.Column(name, Document, nullable=True))


def downgrade() -> None:
    for name in reversed(_DOCUMENTS):
        op.drop_column("courses", name)
    op.drop_column("courses", "note")
