"""What came of each try to tell a webhook.

Revises: 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_deliveries", sa.Column("tried", Document, server_default="[]", nullable=False))


def downgrade() -> None:
    op.drop_column("webhook_deliveries", "tried")
