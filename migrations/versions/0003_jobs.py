"""Jobs that a worker carries out, and repairs that were offered when somebody or something falls away.

Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=60), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("request", Document, nullable=False),
        sa.Column("result", Document, nullable=True),
        sa.Column("code", sa.String(length=60), nullable=True),
        sa.Column("detail", sa.String(length=2000), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck__jobs__status")
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 1000", name=op.f("ck__jobs__progress")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__jobs__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__jobs")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__jobs__organization_id_created_at_id"), ["organization_id", "created_at", "id"], unique=False
        )
        batch_op.create_index(
            "ix__jobs__open",
            ["organization_id", "created_at"],
            unique=False,
            postgresql_where=sa.text("status IN ('queued', 'running')"),
            sqlite_where=sa.text("status IN ('queued', 'running')"),
        )

    op.create_table(
        "disruptions",
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("body", Document, nullable=False),
        sa.Column("absence_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck__disruptions__starts_before_it_ends")),
        sa.ForeignKeyConstraint(
            ["organization_id", "resource_id"],
            ["resources.organization_id", "resources.id"],
            name=op.f("fk__disruptions__organization_id_resource_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__disruptions__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__disruptions")),
    )
    with op.batch_alter_table("disruptions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__disruptions__organization_id_expires_at"), ["organization_id", "expires_at"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("disruptions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix__disruptions__organization_id_expires_at"))

    op.drop_table("disruptions")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(
            "ix__jobs__open",
            postgresql_where=sa.text("status IN ('queued', 'running')"),
            sqlite_where=sa.text("status IN ('queued', 'running')"),
        )
        batch_op.drop_index(batch_op.f("ix__jobs__organization_id_created_at_id"))

    op.drop_table("jobs")
