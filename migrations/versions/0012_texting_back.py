"""What patients text back, and the numbers that get no more texts.

Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "inbound_texts",
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("provider_id", sa.String(length=200), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("intent", sa.String(length=20), nullable=False),
        sa.Column("appointment_id", sa.Uuid(), nullable=True),
        sa.Column("answer", sa.String(length=500), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "intent IN ('stop', 'start', 'help', 'yes', 'other')", name=op.f("ck__inbound_texts__intent")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "appointment_id"],
            ["appointments.organization_id", "appointments.id"],
            name=op.f("fk__inbound_texts__organization_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__inbound_texts__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__inbound_texts")),
        sa.UniqueConstraint(
            "organization_id",
            "provider",
            "provider_id",
            name=op.f("uq__inbound_texts__organization_id_provider_provider_id"),
        ),
    )
    op.create_table(
        "opt_outs",
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("message_class", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("end_source", sa.String(length=200), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__opt_outs__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__opt_outs")),
        sa.UniqueConstraint(
            "organization_id",
            "number",
            "message_class",
            name=op.f("uq__opt_outs__organization_id_number_message_class"),
        ),
    )


def downgrade() -> None:
    op.drop_table("opt_outs")
    op.drop_table("inbound_texts")
