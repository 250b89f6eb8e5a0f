"""What providers report of messages that are still being handed over.

Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "early_receipts",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.String(length=200), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.String(length=100), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("outcome IN ('delivered', 'failed')", name=op.f("ck__early_receipts__outcome")),
        sa.ForeignKeyConstraint(
            ["organization_id", "message_id"],
            ["messages.organization_id", "messages.id"],
            name=op.f("fk__early_receipts__organization_id_message_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__early_receipts__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__early_receipts")),
    )


def downgrade() -> None:
    op.drop_table("early_receipts")
