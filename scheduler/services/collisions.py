"""Whom the database's guard refused to double book, and when they are taken. `database.transact` acts on it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from scheduler.core.civil import zone
from scheduler.core.errors import Reason, SlotTaken
from scheduler.models import Occupancy

_ROWS = cast("Table", Occupancy.__table__)
#: A key of the guard's index, as PostgreSQL tells it in any language: organization, resource, unit, time.
_KEY = re.compile(r'=\([^,()]+, ([^,()]+), \d+, \["([^"]+)","([^"]+)"\)\)')


class _Taken(NamedTuple):
    """Who is taken, and when."""

    resource_id: UUID
    start: datetime
    end: datetime


def collision(
    session: Session, error: IntegrityError, wanted: Sequence[Mapping[str, Any]], time_zone: str
) -> SlotTaken:
    """The refusal, by the rows of occupancies that were to be written; its times are in that zone.

    PostgreSQL says which row is in the way, and answers nothing more in such a transaction. SQLite does not say, and
    can be asked.
    """
    said = getattr(getattr(error.orig, "diag", None), "message_detail", None)
    taken = _asked(session, wanted) if said is None else _told(said)
    if taken is None:
        return SlotTaken()
    mine = (each["role"] for each in wanted if each["resource_id"] == taken.resource_id and _meet(each, taken))
    role = next(mine, None)
    if role is None:
        return SlotTaken()
    return SlotTaken(why_taken(role, taken.resource_id, taken.start, taken.end, time_zone))


def why_taken(role: str, resource_id: UUID | None, start: datetime, end: datetime, time_zone: str) -> Reason:
    """The reason that somebody or something which was found for a visit is not to be had, in times of that zone.

    Nothing is named of rooms any of which would do.
    """
    where = zone(time_zone)
    start, end = start.astimezone(where), end.astimezone(where)
    if role == "patient":
        detail = "The patient is taken at this time by another visit."
        return Reason("patient_busy", detail, start=start, end=end)
    code = role.partition(":")[2]
    detail = f"The {code.replace('_', ' ')} that was found for the visit is taken at this time."
    return Reason("resource_busy", detail, role=code, resource_id=resource_id, start=start, end=end)


def _told(said: str) -> _Taken | None:
    keys = _KEY.findall(said)
    if not keys:
        return None
    who, start, end = keys[-1]  # after the one that was to be written
    return _Taken(UUID(who), datetime.fromisoformat(start), datetime.fromisoformat(end))


def _asked(session: Session, wanted: Sequence[Mapping[str, Any]]) -> _Taken | None:
    if not wanted:
        return None
    there = select(_ROWS.c.id, _ROWS.c.resource_id, _ROWS.c.unit, _ROWS.c.starts_at, _ROWS.c.ends_at).where(
        _ROWS.c.organization_id == wanted[0]["organization_id"],
        _ROWS.c.resource_id.in_({each["resource_id"] for each in wanted}),
        _ROWS.c.blocking,
        _ROWS.c.starts_at < max(each["ends_at"] for each in wanted),
        _ROWS.c.ends_at > min(each["starts_at"] for each in wanted),
    )
    rows = session.execute(there).all()
    for each in wanted:
        for row in rows:
            taken = _Taken(row.resource_id, row.starts_at, row.ends_at)
            same = (each["resource_id"], each["unit"]) == (row.resource_id, row.unit)
            if same and each["id"] != row.id and _meet(each, taken):
                return taken
    return None


def _meet(wanted: Mapping[str, Any], taken: _Taken) -> bool:
    return bool(wanted["starts_at"] < taken.end and taken.start < wanted["ends_at"])
