"""Tasks of the staff, and clinical holds of patients.

Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clinical_holds",
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("note", sa.String(length=2000), nullable=False),
        sa.Column("placed_by", sa.String(length=200), nullable=False),
        sa.Column("deadline", UtcDateTime(), nullable=False),
        sa.Column("lapsed_at", UtcDateTime(), nullable=True),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.Column("released_by", sa.String(length=200), nullable=True),
        sa.Column("release_note", sa.String(length=2000), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "released_at IS NULL OR (released_by IS NOT NULL AND release_note IS NOT NULL)",
            name=op.f("ck__clinical_holds__released_by_a_named_prescriber"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__clinical_holds__organization_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__clinical_holds__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__clinical_holds")),
    )
    with op.batch_alter_table("clinical_holds", schema=None) as batch_op:
        batch_op.create_index(
            "ix__clinical_holds__deadline",
            ["organization_id", "deadline"],
            unique=False,
            postgresql_where=sa.text("released_at IS NULL AND lapsed_at IS NULL"),
            sqlite_where=sa.text("released_at IS NULL AND lapsed_at IS NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix__clinical_holds__organization_id_patient_id_id"),
            ["organization_id", "patient_id", "id"],
            unique=False,
        )
        batch_op.create_index(
            "uq__clinical_holds__active",
            ["organization_id", "patient_id", "reason"],
            unique=True,
            postgresql_where=sa.text("released_at IS NULL"),
            sqlite_where=sa.text("released_at IS NULL"),
        )

    op.create_table(
        "tasks",
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("detail", sa.String(length=2000), nullable=False),
        sa.Column("item", sa.String(length=60), nullable=True),
        sa.Column("patient_id", sa.Uuid(), nullable=True),
        sa.Column("appointment_id", sa.Uuid(), nullable=True),
        sa.Column("course_id", sa.Uuid(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("location_id", sa.Uuid(), nullable=True),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("steps", Document, nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("next_step_at", UtcDateTime(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("closed_by", sa.String(length=200), nullable=True),
        sa.Column("note", sa.String(length=2000), nullable=True),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status = 'open' OR (closed_at IS NOT NULL AND closed_by IS NOT NULL)",
            name=op.f("ck__tasks__closed_by_whom"),
        ),
        sa.CheckConstraint("status IN ('open', 'done', 'dismissed')", name=op.f("ck__tasks__status")),
        sa.ForeignKeyConstraint(
            ["organization_id", "appointment_id"],
            ["appointments.organization_id", "appointments.id"],
            name=op.f("fk__tasks__organization_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "course_id"],
            ["courses.organization_id", "courses.id"],
            name=op.f("fk__tasks__organization_id_course_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "location_id"],
            ["locations.organization_id", "locations.id"],
            name=op.f("fk__tasks__organization_id_location_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "message_id"],
            ["messages.organization_id", "messages.id"],
            name=op.f("fk__tasks__organization_id_message_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "patient_id"],
            ["patients.organization_id", "patients.id"],
            name=op.f("fk__tasks__organization_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__tasks__organization_id")),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__tasks")),
        sa.UniqueConstraint("organization_id", "kind", "key", name=op.f("uq__tasks__organization_id_kind_key")),
    )
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix__tasks__organization_id_appointment_id"), ["organization_id", "appointment_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix__tasks__organization_id_due_at_id"), ["organization_id", "due_at", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix__tasks__organization_id_patient_id"), ["organization_id", "patient_id"], unique=False
        )
        batch_op.create_index(
            "ix__tasks__stepping",
            ["organization_id", "next_step_at"],
            unique=False,
            postgresql_where=sa.text("status = 'open' AND next_step_at IS NOT NULL"),
            sqlite_where=sa.text("status = 'open' AND next_step_at IS NOT NULL"),
        )


def downgrade() -> None:
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_index(
            "ix__tasks__stepping",
            postgresql_where=sa.text("status = 'open' AND next_step_at IS NOT NULL"),
            sqlite_where=sa.text("status = 'open' AND next_step_at IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix__tasks__organization_id_patient_id"))
        batch_op.drop_index(batch_op.f("ix__tasks__organization_id_due_at_id"))
        batch_op.drop_index(batch_op.f("ix__tasks__organization_id_appointment_id"))

    op.drop_table("tasks")
    with op.batch_alter_table("clinical_holds", schema=None) as batch_op:
        batch_op.drop_index(
            "uq__clinical_holds__active",
            postgresql_where=sa.text("released_at IS NULL"),
            sqlite_where=sa.text("released_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix__clinical_holds__organization_id_patient_id_id"))
        batch_op.drop_index(
            "ix__clinical_holds__deadline",
            postgresql_where=sa.text("released_at IS NULL AND lapsed_at IS NULL"),
            sqlite_where=sa.text("released_at IS NULL AND lapsed_at IS NULL"),
        )

    op.drop_table("clinical_holds")
