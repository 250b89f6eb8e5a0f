"""Rules and texts of messages in versions, messages about a series, and who has confirmed a visit.

Revises: 0006
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ABOUT = "ck__messages__about_something"
_OLD = sa.table(
    "message_rules",
    sa.column("organization_id", sa.Uuid()),
    sa.column("id", sa.Uuid()),
    sa.column("key", sa.String()),
    sa.column("definition", Document),
    sa.column("enabled", sa.Boolean()),
    sa.column("revision", sa.Integer()),
    sa.column("created_at", UtcDateTime()),
)
_NEW = sa.table(
    "message_rule_sets",
    sa.column("organization_id", sa.Uuid()),
    sa.column("id", sa.Uuid()),
    sa.column("version", sa.Integer()),
    sa.column("rules", Document),
    sa.column("created_at", UtcDateTime()),
    sa.column("created_by", sa.String()),
)
_MESSAGES = sa.table("messages", sa.column("rule", sa.String()), sa.column("kind", sa.String()))


def upgrade() -> None:
    op.create_table(
        "message_rule_sets",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rules", Document, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__message_rule_sets__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__message_rule_sets")),
        sa.UniqueConstraint("organization_id", "version", name=op.f("uq__message_rule_sets__organization_id_version")),
    )
    op.create_table(
        "message_templates",
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("locale", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("sms", sa.String(length=500), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__message_templates__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__message_templates")),
        sa.UniqueConstraint(
            "organization_id",
            "kind",
            "locale",
            "version",
            name=op.f("uq__message_templates__organization_id_kind_locale_version"),
        ),
    )
    op.create_table(
        "message_reviews",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("after_start", UtcDateTime(), nullable=True),
        sa.Column("after_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__message_reviews__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk__message_reviews")),
    )
    op.add_column("appointments", sa.Column("confirmed_at", UtcDateTime(), nullable=True))
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("series_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("merged_into", sa.Uuid(), nullable=True))
        batch_op.drop_constraint(op.f(_ABOUT), type_="check")
        batch_op.create_check_constraint(
            op.f(_ABOUT), "appointment_id IS NOT NULL OR course_id IS NOT NULL OR series_id IS NOT NULL"
        )
        batch_op.create_foreign_key(
            op.f("fk__messages__organization_id_series_id"),
            "series",
            ["organization_id", "series_id"],
            ["organization_id", "id"],
        )
        batch_op.create_foreign_key(
            op.f("fk__messages__organization_id_merged_into"),
            "messages",
            ["organization_id", "merged_into"],
            ["organization_id", "id"],
        )
        batch_op.create_index(
            "ix__messages__merged",
            ["organization_id", "merged_into"],
            unique=False,
            postgresql_where=sa.text("merged_into IS NOT NULL"),
            sqlite_where=sa.text("merged_into IS NOT NULL"),
        )
        batch_op.create_index(
            "uq__messages__series",
            ["organization_id", "series_id", "rule", "recipient", "channel", "sequence"],
            unique=True,
            postgresql_where=sa.text("series_id IS NOT NULL"),
            sqlite_where=sa.text("series_id IS NOT NULL"),
        )
    _rename("post_session", "evening_check")
    _gather(op.get_bind())
    op.drop_table("message_rules")


def downgrade() -> None:
    op.create_table(
        "message_rules",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("definition", Document, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk__message_rules__organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk__message_rules")),
        sa.UniqueConstraint("organization_id", "key", name=op.f("uq__message_rules__organization_id_key")),
    )
    _scatter(op.get_bind())
    _rename("evening_check", "post_session")
    op.execute("DELETE FROM messages WHERE appointment_id IS NULL AND course_id IS NULL")
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index("uq__messages__series")
        batch_op.drop_index("ix__messages__merged")
        batch_op.drop_constraint(op.f("fk__messages__organization_id_merged_into"), type_="foreignkey")
        batch_op.drop_constraint(op.f("fk__messages__organization_id_series_id"), type_="foreignkey")
        batch_op.drop_constraint(op.f(_ABOUT), type_="check")
        batch_op.create_check_constraint(op.f(_ABOUT), "appointment_id IS NOT NULL OR course_id IS NOT NULL")
        batch_op.drop_column("merged_into")
        batch_op.drop_column("series_id")
    op.drop_column("appointments", "confirmed_at")
    op.drop_table("message_reviews")
    op.drop_table("message_templates")
    op.drop_table("message_rule_sets")


def _rename(old: str, new: str) -> None:
    op.execute(sa.update(_MESSAGES).where(_MESSAGES.c.rule == old).values(rule=new))
    op.execute(sa.update(_MESSAGES).where(_MESSAGES.c.kind == old).values(kind=new))


def _gather(bind: sa.Connection) -> None:
    """The rules of each organization as its first version, in the order in which they were made."""
    held: dict[UUID, tuple[datetime, list[dict[str, object]]]] = {}
    for row in bind.execute(sa.select(_OLD).order_by(_OLD.c.organization_id, _OLD.c.id)):
        rule = dict(row.definition)
        if rule["kind"] == "post_session":
            rule |= {"key": "evening_check", "kind": "evening_check"}
        if not row.enabled:
            rule["enabled"] = False
        held.setdefault(row.organization_id, (row.created_at, []))[1].append(rule)
    for organization_id, (made, rules) in held.items():
        bind.execute(
            sa.insert(_NEW).values(
                organization_id=organization_id, id=uuid4(), version=1, rules=rules, created_at=made, created_by="setup"
            )
        )


def _scatter(bind: sa.Connection) -> None:
    """The rules in force as rows; what the old ones did not know is left out."""
    newest: dict[UUID, sa.Row[tuple[object, ...]]] = {}
    for row in bind.execute(sa.select(_NEW).order_by(_NEW.c.organization_id, _NEW.c.version)):
        newest[row.organization_id] = row
    for organization_id, row in newest.items():
        for rule in row.rules:
            if rule["kind"] == "evening_check":
                rule = rule | {"key": "post_session", "kind": "post_session"}  # noqa: PLW2901
            bind.execute(
                sa.insert(_OLD).values(
                    organization_id=organization_id,
                    id=uuid4(),
                    key=rule["key"],
                    definition={key: value for key, value in rule.items() if key != "enabled"},
                    enabled=rule.get("enabled", True),
                    revision=1,
                    created_at=row.created_at,
                )
            )
