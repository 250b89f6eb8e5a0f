"""Groups of patients in one visit, and their places.

Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _within(table: str, column: str, home: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk__{home}__organization_id_{column}")
    return sa.ForeignKeyConstraint(["organization_id", column], [f"{table}.organization_id", f"{table}.id"], name=name)


def upgrade() -> None:
    op.create_table(
        "groups",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("visit_type_id", sa.Uuid(), nullable=False),
        sa.Column("visit_type", sa.String(length=60), nullable=False),
        sa.Column("location_id", sa.Uuid(), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("minimum", sa.Integer(), nullable=False),
        sa.Column("maximum", sa.Integer(), nullable=False),
        sa.Column("below_minimum", sa.String(length=10), nullable=False),
        sa.Column("decide_at", UtcDateTime(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck__groups__starts_before_it_ends")),
        sa.CheckConstraint("1 <= minimum AND minimum <= maximum AND maximum <= 100", name=op.f("ck__groups__size")),
        sa.CheckConstraint("below_minimum IN ('task', 'cancel')", name=op.f("ck__groups__below_minimum")),
        sa.CheckConstraint("status IN ('open', 'cancelled')", name=op.f("ck__groups__status")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk__groups__organization_id")),
        _within("visit_types", "visit_type_id", "groups"),
        _within("locations", "location_id", "groups"),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__groups")),
        sa.UniqueConstraint("organization_id", "id", "maximum", name=op.f("uq__groups__organization_id_id_maximum")),
    )
    op.create_index(
        op.f("ix__groups__organization_id_location_id_starts_at"),
        "groups",
        ["organization_id", "location_id", "starts_at"],
    )
    op.create_table(
        "group_places",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("maximum", sa.Integer(), nullable=False),
        sa.Column("appointment_id", sa.Uuid(), nullable=True),
        sa.Column("hold_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("appointment_id IS NULL OR hold_id IS NULL", name=op.f("ck__group_places__one_owner")),
        sa.ForeignKeyConstraint(
            ["organization_id", "group_id", "maximum"],
            ["groups.organization_id", "groups.id", "groups.maximum"],
            name=op.f("fk__group_places__group"),
        ),
        sa.CheckConstraint("0 <= place AND place < maximum", name=op.f("ck__group_places__within_the_group")),
        _within("appointments", "appointment_id", "group_places"),
        _within("holds", "hold_id", "group_places"),
        sa.PrimaryKeyConstraint("organization_id", "group_id", "place", name=op.f("pk__group_places")),
        sa.UniqueConstraint(
            "organization_id", "appointment_id", name=op.f("uq__group_places__organization_id_appointment_id")
        ),
        sa.UniqueConstraint("organization_id", "hold_id", name=op.f("uq__group_places__organization_id_hold_id")),
    )
    # What counts is the place; this says where to look for it. A foreign key would copy the table on SQLite.
    op.add_column("appointments", sa.Column("group_id", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("appointments", "group_id")
    op.drop_table("group_places")
    op.drop_index(op.f("ix__groups__organization_id_location_id_starts_at"), table_name="groups")
    op.drop_table("groups")
