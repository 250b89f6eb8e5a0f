"""Moving several visits of a series at once: all looked at with all of them out of the way, and written together.

Which visits those are, and where they go, `series` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core import lifecycle
from scheduler.core.availability import Calendar, occupied
from scheduler.core.call import Call
from scheduler.core.errors import Reason, Refused
from scheduler.core.policies import Initiator
from scheduler.models import Appointment
from scheduler.services import groups, openings, outbox, overrides
from scheduler.services.appointments import AppointmentView, row_of, views
from scheduler.services.booking import place, snapshot, tell_moved
from scheduler.services.catalog import visit_kind
from scheduler.services.finding import Found, Search, Wanted
from scheduler.services.locks import lock_resources
from scheduler.services.occupying import resources_of, served
from scheduler.services.pins import pins_of
from scheduler.services.settling import settle


@dataclass(frozen=True)
class Why:
    """Who wants a move, and for what reason, with its class."""

    by: Initiator
    reason: str | None = None
    category: str | None = None


BY_STAFF = Why("staff")


def move_all(session: Session, call: Call, targets: Mapping[UUID, datetime], why: Why) -> list[AppointmentView]:
    """Move each of these visits, of one series, to its instant; all or none, whichever way they pass each other.

    The location is locked by the caller. Raises IllegalTransition, Refused with the reasons of the first that cannot
    move, LostRace.
    """
    rows = [row_of(session, call, key, lock=True) for key in sorted(targets)]
    lifted = {}
    groups.lock_to_move(session, call, rows, set(targets.values()))
    for row in rows:
        row.status = lifecycle.after("reschedule", row.status)
        groups.leave(session, call, row)
        lifted[row.id] = overrides.permit(
            session, call, row, "reschedule", why.by, start=targets[row.id], category=why.category, override=None
        )
    rows.sort(key=lambda row: targets[row.id])
    found = _found(session, call, rows, targets, why.by)
    before: dict[UUID, dict[str, Any]] = {}
    freed: set[UUID] = set()
    moved = {row.id for row in rows if targets[row.id] != row.starts_at}
    for row in rows:
        before[row.id] = snapshot(row) | {"served": served(session, call, row.id)}
        freed |= resources_of(session, call, row.id)
        moves = int(row.id in moved)
        if moves:
            openings.note(session, call, row.location_id, row.starts_at, row.ends_at)
        place(row, _wanted(row, targets[row.id], why.by), found[row.id])
        row.sequence += moves
        row.moves = {**row.moves, why.by: row.moves.get(why.by, 0) + moves}
        overrides.record(session, call, row, None, lifted[row.id])
    settle(session, call, [(row, found[row.id]) for row in rows], freed=freed)
    for row in rows:
        tell_moved(session, call, row, before[row.id], moves=row.id in moved, tell=False, **vars(why))
    changes = [outbox.Changed(row, before[row.id]["start"]) for row in rows if row.id in moved]
    outbox.owe_for_course_change(session, call, changes)
    return views(session, call, rows)


def _wanted(row: Appointment, start: datetime, by: Initiator) -> Wanted:
    return Wanted(
        row.patient_id,
        row.visit_type,
        row.location_id,
        start,
        pins=pins_of(row),
        by=by,
        patient_region=row.patient_region,
    )


def _found(
    session: Session, call: Call, rows: list[Appointment], targets: Mapping[UUID, datetime], by: Initiator
) -> dict[UUID, Found]:
    """The places of all of them: each sees those before it as taken, and none of the old ones."""
    kind = visit_kind(session, call, rows[0].visit_type)
    starts = [targets[row.id] for row in rows]
    ids = tuple(row.id for row in rows)
    search = Search(session, call, kind, _wanted(rows[0], starts[0], by), together=ids)
    loaded = search.load(min(starts), max(starts))
    if call.last_try:
        lock_resources(session, call, list(loaded.rows))
        loaded = search.load(min(starts), max(starts))
    joinable = search.joinable(loaded)
    calendars: Mapping[UUID, Calendar] | None = None
    found: dict[UUID, Found] = {}
    until = None
    for row in rows:
        here = replace(search, wanted=_wanted(row, targets[row.id], by))
        seen = here.clinic(loaded)
        clinic = seen if calendars is None else replace(seen, calendars=calendars)
        slot = loaded.site.timeline.slot(targets[row.id])
        one = here.place(loaded, clinic, slot, joinable)
        if one is None or (until is not None and one.starts_at < until):
            loaded.require_whole(call)
            raise Refused([_dated(row, reason) for reason in here.why_not(loaded, clinic, slot) or (_TWICE,)])
        calendars = occupied(clinic, one.takings).calendars
        found[row.id], until = one, one.ends_at
    return found


_TWICE = Reason("patient_busy", "Two visits of the series would come at the same time.")


def _dated(row: Appointment, reason: Reason) -> Reason:
    return replace(reason, detail=f"{row.occurrence}: {reason.detail}")
