"""A repair is known by its id alone.

Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("disruptions", "secret")


def downgrade() -> None:
    op.add_column("disruptions", sa.Column("secret", sa.String(length=64), nullable=False, server_default=""))
