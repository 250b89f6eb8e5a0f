"""A patient's link knows of which start it speaks: it lives on while that is the visit's, however its sequence has risen.

A link from before does not, and is over, as it was, when the visit's sequence is another.

Revises: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import UtcDateTime

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("patient_links", sa.Column("starts_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("patient_links", "starts_at")
