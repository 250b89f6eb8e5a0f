"""An attempt belongs to its message, and so to its organization: one look-up for each instead of two.

Revises: 0020
"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_NAME = "fk__message_attempts__organization_id"


def upgrade() -> None:
    with op.batch_alter_table("message_attempts") as batch_op:
        batch_op.drop_constraint(op.f(_NAME), type_="foreignkey")


def downgrade() -> None:
    with op.batch_alter_table("message_attempts") as batch_op:
        batch_op.create_foreign_key(op.f(_NAME), "organizations", ["organization_id"], ["id"])
