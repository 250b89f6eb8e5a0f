"""A short name of each organization for links in texts, and opt-outs of e-mail addresses beside numbers.

Revises: 0014
"""

from __future__ import annotations

import secrets
import string

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ALPHABET = string.ascii_letters + string.digits
_organizations = sa.table("organizations", sa.column("id", sa.Uuid()), sa.column("code", sa.String()))


def upgrade() -> None:
    # A constant default: on PostgreSQL no row is rewritten, on SQLite no table is copied.
    op.add_column("organizations", sa.Column("code", sa.String(length=8), nullable=False, server_default=""))
    connection = op.get_bind()
    for (key,) in connection.execute(sa.select(_organizations.c.id)).all():
        code = "".join(secrets.choice(_ALPHABET) for _ in range(5))
        connection.execute(_organizations.update().where(_organizations.c.id == key).values(code=code))
    op.create_index("uq__organizations__code", "organizations", ["code"], unique=True)
    _let_numbers_be(320)


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM opt_outs WHERE length(number) > 20"))
    _let_numbers_be(20)
    op.drop_index("uq__organizations__code", "organizations")
    op.drop_column("organizations", "code")


def _let_numbers_be(length: int) -> None:
    # On PostgreSQL a longer varchar is a word in the catalog; SQLite copies the table, which is a small one.
    with op.batch_alter_table("opt_outs") as table:
        table.alter_column("number", type_=sa.String(length=length), existing_nullable=False)
