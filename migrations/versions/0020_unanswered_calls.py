"""Calls that nobody took are reported too.

Revises: 0019
"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_NAME = "ck__early_receipts__outcome"


def upgrade() -> None:
    _allow("'delivered', 'failed', 'unanswered'")


def downgrade() -> None:
    op.execute("DELETE FROM early_receipts WHERE outcome = 'unanswered'")
    _allow("'delivered', 'failed'")


def _allow(outcomes: str) -> None:
    with op.batch_alter_table("early_receipts", schema=None) as batch_op:
        batch_op.drop_constraint(op.f(_NAME), type_="check")
        batch_op.create_check_constraint(op.f(_NAME), f"outcome IN ({outcomes})")
