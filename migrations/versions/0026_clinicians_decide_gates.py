"""Keys of clinicians go on deciding gates, which takes a scope of its own now; those of a front desk do not.

Revises: 0025
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_DECIDE = "gates:decide"

#: What a gate took before, and what only a clinician's key has beside it: to let what a clinical hold stopped go on.
_CLINICAL = {"courses:write", "holds:release"}

_keys = sa.table(
    "api_keys",
    sa.column("organization_id", sa.Uuid()),
    sa.column("id", sa.Uuid()),
    sa.column("scopes", Document),
)


def upgrade() -> None:
    _each(lambda scopes: scopes | {_DECIDE} if scopes >= _CLINICAL else scopes)


def downgrade() -> None:
    _each(lambda scopes: scopes - {_DECIDE})


def _each(change: Callable[[set[str]], set[str]]) -> None:
    connection = op.get_bind()
    for organization, key, scopes in connection.execute(sa.select(_keys)).all():
        changed = change(set(scopes))
        if changed != set(scopes):
            row = _keys.c.organization_id == organization, _keys.c.id == key
            connection.execute(_keys.update().where(*row).values(scopes=sorted(changed)))
