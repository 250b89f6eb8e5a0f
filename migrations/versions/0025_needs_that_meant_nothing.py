"""Stored visit types without what is refused now: it meant nothing, or made a visit that nobody could book.

Revises: 0024
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from scheduler.models.base import Document

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_visit_types = sa.table(
    "visit_types",
    sa.column("organization_id", sa.Uuid()),
    sa.column("id", sa.Uuid()),
    sa.column("definition", Document),
)
_NAMES = ("role", "room_type", "device_type")


def upgrade() -> None:
    connection = op.get_bind()
    for organization, key, definition in connection.execute(sa.select(_visit_types)).all():
        mended = {**definition, "segments": _mended(definition["segments"])}
        if mended != definition:
            row = _visit_types.c.organization_id == organization, _visit_types.c.id == key
            connection.execute(_visit_types.update().where(*row).values(definition=mended))


def downgrade() -> None:
    """Nothing: what was taken out had no effect."""


def _mended(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    taking: dict[str, set[tuple[Any, ...]]] = {}
    done = []
    for segment in segments:
        needs = [_need(need, taking) for need in segment.get("needs", [])]
        whole = {_named(need) for need in needs if need["mode"] == "exclusive"}
        needs = [need for need in needs if need["mode"] != "shared" or _named(need) not in whole]
        taking[segment["name"]] = {_named(need) for need in needs if need["mode"] != "present"}
        done.append({**segment, "needs": needs} if "needs" in segment else segment)
    return done


def _need(need: dict[str, Any], taking: dict[str, set[tuple[Any, ...]]]) -> dict[str, Any]:
    """The need without `count` and `same_as` where nobody is taken up, or without the same person as nobody."""
    vain = {"count", "same_as"} if need["mode"] == "present" else set()
    if need.get("same_as") is not None and _named(need) not in taking.get(need["same_as"], set()):
        vain.add("same_as")
    return {key: value for key, value in need.items() if key not in vain}


def _named(need: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(need.get(name) for name in _NAMES)
