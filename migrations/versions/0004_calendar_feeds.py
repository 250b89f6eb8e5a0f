"""Calendar feeds.

Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calendar_feeds",
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("titles", sa.String(length=20), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("read_at", UtcDateTime(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("titles IN ('neutral', 'visit_type')", name=op.f("ck__calendar_feeds__titles")),
        sa.ForeignKeyConstraint(
            ["organization_id", "resource_id"],
            ["resources.organization_id", "resources.id"],
            name=op.f("fk__calendar_feeds__organization_id_resource_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__calendar_feeds__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__calendar_feeds")),
    )
    with op.batch_alter_table("calendar_feeds", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__calendar_feeds__organization_id_resource_id"),
            ["organization_id", "resource_id"],
            unique=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("calendar_feeds", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__calendar_feeds__organization_id_resource_id"))
    op.drop_table("calendar_feeds")
