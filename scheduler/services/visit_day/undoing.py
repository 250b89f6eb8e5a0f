"""Undoing the last move of a visit: its state as it was, and its people and rooms only if the law gives them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import IllegalTransition, Refused
from scheduler.core.intervals import Span
from scheduler.core.lifecycle import LIVE, MOVES, REAL_TIMES
from scheduler.core.visit_day import unwaived
from scheduler.models import Appointment, AuditEvent
from scheduler.services import absences, audit, course_rules, gates, groups, late_doses, outbox, visit_tasks
from scheduler.services.booking import place, snapshot
from scheduler.services.catalog import visit_kind
from scheduler.services.finding import Found, Search, Wanted
from scheduler.services.locks import lock_resources
from scheduler.services.occupying import resources_of
from scheduler.services.pencilling import pencilled_until
from scheduler.services.pins import Pin, read
from scheduler.services.settling import settle
from scheduler.services.visit_day.opening import locked
from scheduler.services.visit_day.releasing import keep_rooms
from scheduler.services.visit_day.viewing import DayView, shown

#: Moves that gave time back, or took another: their undoing goes through the law of booking.
_PLACED = frozenset({"reschedule", "cancel", "not-dosed", "no-show", "entered-in-error"})
#: Moves that told the patient, or stopped telling: their undoing owes the messages anew.
_TOLD = frozenset({"confirm", "reschedule", "cancel", "no-show", "entered-in-error"})
_POINTS = {"check-in": "check_in", "start": "start", "fulfill": "discharge"}


@dataclass(frozen=True)
class _Last:
    """The move to be undone."""

    event_id: UUID
    action: str
    actor: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def undo(
    session: Session, call: Call, appointment_id: UUID, *, reason: str | None = None, revision: int | None = None
) -> DayView:
    """Take back the last move that was not taken back yet; its author, and whoever undoes it, are in the audit.

    What the move gave away is taken again, from the same people, through the law and the locks of booking (only that
    it may begin in the past). Raises NotFound, StaleRevision, IllegalTransition when there is nothing to undo, Refused
    with every reason, AlreadyExists when the session of the course has another visit by now, LostRace.
    """
    row = locked(session, call, appointment_id, revision)
    last = _last_move(session, call, row)
    before = snapshot(row)
    moves = last.action == "reschedule" and datetime.fromisoformat(last.before["start"]) != row.starts_at
    is_news = last.action in _TOLD and (moves or last.action != "reschedule")  # whoever serves is none to the patient
    if last.action == "reschedule":
        groups.leave(session, call, row, towards=datetime.fromisoformat(last.before["start"]))
    found = _found_again(session, call, row, last)
    _restore(session, call, row, last)
    row.sequence += int(is_news)
    if found is not None:
        place(row, replace(found.wanted, pins=found.pins), found.found)
        settle(session, call, [(row, found.found)], freed=resources_of(session, call, row.id))
        row.pencilled_until = pencilled_until(session, call, row) if row.status == "pending" else row.pencilled_until
    if last.action == "check-in" or (found is not None and row.checked_in_at is not None):
        keep_rooms(session, call, row, taken=row.checked_in_at is not None)
    session.flush()
    if last.action == "fulfill":  # nobody who went away meanwhile was missed
        absences.missed(session, call, {row.id}, Span(row.starts_at, row.ends_at))
    if is_news:
        _tell_anew(session, call, row, last)
    visit_tasks.settle(session, call, row, moved=moves)
    gates.not_reached(session, call, row)
    late_doses.settle(session, call, row)
    audit.note(
        session,
        call,
        "appointment.undo",
        "appointment",
        row.id,
        before=before,
        after={**snapshot(row), "undone": {"event_id": last.event_id, "action": last.action, "by": last.actor}},
        reason=reason,
    )
    return shown(session, call, row)


def _last_move(session: Session, call: Call, row: Appointment) -> _Last:
    """The last move of the visit that stands. Raises IllegalTransition."""
    wanted = [f"appointment.{action}" for action in (*MOVES, "undo")]
    events = session.scalars(
        select(AuditEvent).where(
            AuditEvent.organization_id == call.organization_id,
            AuditEvent.subject_id == row.id,
            AuditEvent.action.in_(wanted),
        )
    )
    # By the revision that each found, not by the clock: the clocks of two servers may differ.
    ordered = sorted(events, key=lambda each: ((each.before or {}).get("revision", 0), each.id), reverse=True)
    last = _standing(ordered)
    if last is None or "revision" not in last.before:
        raise IllegalTransition("There is no move to undo.")
    if last.after.get("status") != row.status:
        raise IllegalTransition("The visit has changed since its last move.")
    return last


def _standing(events: Sequence[AuditEvent]) -> _Last | None:
    """The newest move that no later undo took back."""
    undone: set[str] = set()
    for event in events:
        action = event.action.removeprefix("appointment.")
        after = event.after or {}
        if action == "undo":
            undone.add(after.get("undone", {}).get("event_id", ""))
        elif str(event.id) not in undone:
            return _Last(event.id, action, event.actor, event.before or {}, after)
    return None


@dataclass(frozen=True)
class _Again:
    """The place that the visit had, found anew. `pins` are those it was booked with."""

    wanted: Wanted
    pins: tuple[Pin, ...]
    found: Found


def _found_again(session: Session, call: Call, row: Appointment, last: _Last) -> _Again | None:
    """The time and place that the move gave up, by the law of booking, with the same people; None for other moves.

    Whoever sits in a room gets that very room. Raises as `undo` says.
    """
    was = last.before
    if last.action not in _PLACED or was["status"] not in LIVE:
        return None
    kept = ("role:", "room:", "device:") if was["checked_in_at"] else ("role:",)
    original = read(was["pins"])
    same = read(each for each in was.get("served", ()) if each["selector"].startswith(kept))
    start = datetime.fromisoformat(was["start"])
    wanted = Wanted(
        row.patient_id,
        row.visit_type,
        row.location_id,
        start,
        pins=(*original, *same),
        patient_region=row.patient_region,
        pencilled=was["status"] == "pending",
    )
    moving = last.action == "reschedule"
    place_in_course = row.course_session_id, row.patient_id, row.visit_type
    over = datetime.fromisoformat(was["end"]) <= call.now
    link = course_rules.link(session, call, *place_in_course, moving=moving, pencilled=wanted.pencilled, over=over)
    kind = visit_kind(session, call, row.visit_type)
    search = Search(session, call, kind, wanted, link, row.id)
    if call.last_try:
        lock_resources(session, call, list(search.load(start, start).rows))
    loaded = search.load(start, start)
    site = search.site(loaded)
    # It was booked in time once: only who and what is free, and the other rules of the clinic, are asked again.
    site = replace(site, earliest=min(site.earliest, start), latest=max(site.latest, start))
    clinic = site.clinic(kind.visit, kind.demand, cleared=not wanted.pencilled)
    slot = site.timeline.slot(start)
    found = search.place(loaded, clinic, slot, search.joinable(loaded))
    if found is None:
        loaded.require_whole(call)
        raise Refused(search.why_not(loaded, clinic, slot), alternatives=search.nearest(start))
    return _Again(wanted, original, replace(found, group=found.group or groups.own(session, call, row)))


def _restore(session: Session, call: Call, row: Appointment, last: _Last) -> None:
    """The state that the move found; time and place are another matter. A waiver goes with the move it allowed."""
    kind = visit_kind(session, call, row.visit_type).visit
    items = [item for item in kind.checklist if item.at == _POINTS.get(last.action)]
    row.checklist = unwaived(row.checklist, items)
    row.status, row.outcome = last.before["status"], last.before["outcome"]
    for name in REAL_TIMES:
        value = last.before[name]
        setattr(row, name, datetime.fromisoformat(value) if value else None)
    row.outcome_reason = row.cancelled_by = row.cancel_reason = row.cancel_category = None


def _tell_anew(session: Session, call: Call, row: Appointment, last: _Last) -> None:
    """Nothing of what the move set going may leave any more; what the visit calls for is owed again.

    Who was told of the move before it was undone is told of this too.
    """
    outbox.call_off(session, call, row, why="undone")
    outbox.owe_for_appointment(session, call, row)
    if last.action in {"reschedule", "cancel", "entered-in-error"} and row.status in LIVE:
        outbox.owe_change(session, call, row, kind="rescheduled")
