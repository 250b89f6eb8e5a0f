"""Attempts at delivering messages, what workers have counted, and indexes for queues that are long.

Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_OPEN = sa.text("status IN ('pending', 'sending')")
_DEAD = sa.text("status IN ('failed', 'expired_unsent')")


def upgrade() -> None:
    op.create_table(
        "message_attempts",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=20), nullable=False),
        sa.Column("began_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("provider_id", sa.String(length=200), nullable=True),
        sa.Column("error", sa.String(length=300), nullable=True),
        sa.CheckConstraint("outcome IN ('accepted', 'refused', 'failed')", name=op.f("ck__message_attempts__outcome")),
        sa.ForeignKeyConstraint(
            ["organization_id", "message_id"],
            ["messages.organization_id", "messages.id"],
            name=op.f("fk__message_attempts__organization_id_message_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__message_attempts__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "message_id", "number", name=op.f("pk__message_attempts")),
    )
    with op.batch_alter_table("worker_heartbeats", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tallies", Document, nullable=True))
    op.drop_index("ix__messages__due", table_name="messages")
    _index("ix__messages__due", ["organization_id", "due_at", "id"], _OPEN)
    _index("ix__messages__dead", ["organization_id", "due_at", "id"], _DEAD)


def downgrade() -> None:
    op.drop_index("ix__messages__dead", table_name="messages")
    op.drop_index("ix__messages__due", table_name="messages")
    _index("ix__messages__due", ["organization_id", "due_at"], _OPEN)
    with op.batch_alter_table("worker_heartbeats", schema=None) as batch_op:
        batch_op.drop_column("tallies")
    op.drop_table("message_attempts")


def _index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "messages", columns, postgresql_where=where, sqlite_where=where)
