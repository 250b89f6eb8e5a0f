"""PostgreSQL finds who is taken when by one index: the other was SQLite's, whose guard is a search.

Revises: 0021
"""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_NAME = "ix__occupancies__unit"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index(_NAME, table_name="occupancies")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(_NAME, "occupancies", ["organization_id", "resource_id", "unit", "starts_at"])
