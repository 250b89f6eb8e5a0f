"""Links for patients.

Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "patient_links",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("appointment_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("scopes", Document, nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "appointment_id"],
            ["appointments.organization_id", "appointments.id"],
            name=op.f("fk__patient_links__organization_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__patient_links__organization_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__patient_links__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__patient_links")),
        sa.UniqueConstraint(
            "organization_id", "secret_hash", name=op.f("uq__patient_links__organization_id_secret_hash")
        ),
    )
    with op.batch_alter_table("patient_links", schema=None) as batch_op:
        for column in ("appointment_id", "expires_at"):
            batch_op.create_index(
                batch_op.f(f"ix__patient_links__organization_id_{column}"), ["organization_id", column], unique=False
            )


def downgrade() -> None:
    op.drop_table("patient_links")
