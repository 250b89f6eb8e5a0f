"""Booking, moving and cancelling a visit: look, decide by the core's law, lock, make sure, write. Never commits.

The law of locks is in `locks`, the law of what fits in `core/availability`; a course is booked by the same steps, for
all its visits at once.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core import lifecycle
from scheduler.core.call import Call
from scheduler.core.civil import TZDATA_VERSION, Disambiguation
from scheduler.core.errors import whole
from scheduler.core.lifecycle import REAL_TIMES
from scheduler.core.overriding import Override
from scheduler.core.policies import Initiator
from scheduler.core.visit_day import of_any_time
from scheduler.models import Appointment, Hold, new_id
from scheduler.services import (
    audit,
    consequences,
    course_rules,
    events,
    groups,
    openings,
    outbox,
    overrides,
    visit_tasks,
)
from scheduler.services.appointments import AppointmentView, row_of, view
from scheduler.services.finding import Found, Wanted, find, premises_of
from scheduler.services.locks import bump_calendars, lock_locations, lock_resources
from scheduler.services.objecting import objections
from scheduler.services.occupying import (
    release,
    resources_of,
    served,
)
from scheduler.services.pencilling import pencilled_until
from scheduler.services.pins import Pin, pins_of, stored, visit_keeps
from scheduler.services.records import expect
from scheduler.services.settling import settle
from scheduler.services.sheet import Sheet, unwritten


def book(
    session: Session, call: Call, wanted: Wanted, *, hold: Hold | None = None, news: bool = True
) -> AppointmentView:
    """Book one visit: its appointment, occupancies, messages and audit event. A `hold` is used up by it.

    One that is no `news` its patient knows of: they are reminded, and not told that it is booked.

    Raises NotFound, Invalid, LocalTimeFault, ScopeMissing for an override without its scope, Refused (with every reason
    and up to five alternatives) or LostRace.
    """
    overrides.may(call, wanted.override)
    against = partial(objections, session, call, wanted)
    at = whole(lambda: premises_of(session, call, wanted, share=True), against)
    told, listening = at.addressee, at.listening
    named = wanted.course_session_id, wanted.patient_id, wanted.visit_type
    link = whole(lambda: course_rules.link(session, call, *named), against)
    # While the course was waited for, much may have changed.
    at = premises_of(session, call, wanted) if link is not None else at
    found = find(session, call, wanted, rules=link, own_hold=hold, at=at)
    appointment = draft(call, wanted, found)
    if link is not None:
        appointment.course_id, appointment.course_session_id = link.course_id, link.session_id
    if found.lifted is not None:
        overrides.record(session, call, appointment, wanted.override, found.lifted.rules)
    sheet = Sheet()
    serving = settle(session, call, [(appointment, found)], hold=hold, sheet=sheet)
    outbox.owe_for_appointment(session, call, appointment, alone=news, kind=found.kind, to=told, sheet=sheet)
    sheet.add(*audit.event(call, "appointment.book", "appointment", appointment.id, after=snapshot(appointment)))
    sheet.put_down(session)
    if listening:
        events.publish(session, call, "appointment.book", appointment.id)
    return view(session, call, appointment, served=serving)


def reschedule(
    session: Session,
    call: Call,
    appointment_id: UUID,
    start: datetime,
    *,
    pins: tuple[Pin, ...] | None = None,
    disambiguation: Disambiguation | None = None,
    by: Initiator = "staff",
    reason: str | None = None,
    category: str | None = None,
    override: Override | None = None,
    patient_region: str | None = None,
    revision: int | None = None,
) -> AppointmentView:
    """Move a visit in place: the same appointment, its own occupancies ignored; the original stays when it fails.

    `pins` None keeps the old ones; `by` is who wants it, `category` the class of the `reason`. Raises as `book` does,
    and IllegalTransition, StaleRevision; Refused by policy too (`cutoff`, `too_many_changes`).
    """
    overrides.may(call, override)
    row = _locked(session, call, appointment_id, revision)
    row.status = lifecycle.after("reschedule", row.status)
    groups.leave(session, call, row, towards=start)
    wanted = Wanted(
        patient_id=row.patient_id,
        visit_type=row.visit_type,
        location_id=row.location_id,
        start=start,
        disambiguation=disambiguation,
        pins=pins_of(row) if pins is None else pins,
        pins_kept_by=visit_keeps("/pins") if pins is None else None,
        by=by,
        override=override,
        patient_region=patient_region or row.patient_region,
        pencilled=row.status == "pending",
    )
    lifted = whole(
        lambda: overrides.permit(
            session, call, row, "reschedule", by, start=start, category=category, override=override
        ),
        partial(objections, session, call, wanted),
    )
    link = course_rules.link(
        session, call, row.course_session_id, row.patient_id, row.visit_type, moving=True, pencilled=wanted.pencilled
    )
    found = find(session, call, wanted, rules=link, moving=row.id)
    before = snapshot(row) | {"served": served(session, call, row.id)}
    moves = found.starts_at != row.starts_at
    if moves:
        openings.note(session, call, row.location_id, row.starts_at, row.ends_at)
    place(row, wanted, found)
    row.sequence += int(moves)
    row.moves = {**row.moves, by: row.moves.get(by, 0) + int(moves)}
    overrides.record(session, call, row, override, lifted | (found.lifted.rules if found.lifted else frozenset()))
    serving = settle(session, call, [(row, found)], freed=resources_of(session, call, row.id))
    if wanted.pencilled:
        row.pencilled_until = pencilled_until(session, call, row)
    tell_moved(session, call, row, before, moves=moves, reason=reason, by=by, category=category)
    return view(session, call, row, served=serving)


def cancel(
    session: Session,
    call: Call,
    appointment_id: UUID,
    *,
    reason: str,
    by: Initiator,
    category: str | None = None,
    revision: int | None = None,
    tell: bool = True,
) -> AppointmentView:
    """Cancel a visit: its time is free again, its messages are called off.

    `by` is who wants it, `category` the class of the `reason`; without `tell` the caller owes the
    news with that of other changes. Raises IllegalTransition, StaleRevision, and Refused
    (`cutoff`) when it comes too late for who wants it.
    """
    row = _locked(session, call, appointment_id, revision)
    before = snapshot(row) | {"served": served(session, call, row.id)}
    row.status = lifecycle.after("cancel", row.status)
    overrides.permit(session, call, row, "cancel", by, category=category)
    row.cancelled_by, row.cancel_reason, row.cancel_category = by, reason, category
    row.sequence += 1
    groups.leave(session, call, row)
    freed = resources_of(session, call, row.id)
    lock_resources(session, call, freed)
    release(session, call, row.id, freed)
    openings.note(session, call, row.location_id, row.starts_at, row.ends_at)
    bump_calendars(session, call, freed, locked=True)
    session.flush()
    consequences.settled(session, call, row.id, "The visit does not take place.")
    outbox.call_off(session, call, row, why="cancelled")
    if tell:
        outbox.owe_change(session, call, row, kind="cancelled")
    visit_tasks.settle(session, call, row)
    audit.note(
        session, call, "appointment.cancel", "appointment", row.id, before=before, after=snapshot(row), reason=reason
    )
    return view(session, call, row)


def tell_moved(
    session: Session,
    call: Call,
    row: Appointment,
    before: dict[str, Any],
    *,
    moves: bool,
    reason: str | None = None,
    tell: bool = True,
    **more: Any,
) -> None:
    """What a visit that has its new place owes: its messages when it `moves`, its history, the end of its troubles.

    Without `tell` the caller owes the messages, with those of other changes.
    """
    consequences.settled(session, call, row.id, "The visit was booked anew.")
    if moves:  # whoever serves is no news to the patient
        outbox.call_off(session, call, row, why="rescheduled")
    if moves and tell:
        outbox.owe_for_appointment(session, call, row)
        outbox.owe_change(session, call, row, kind="rescheduled")
    if moves:
        visit_tasks.settle(session, call, row, moved=True)
    after = snapshot(row) | more
    audit.note(
        session, call, "appointment.reschedule", "appointment", row.id, before=before, after=after, reason=reason
    )


def draft(call: Call, wanted: Wanted, found: Found, *, status: str = "booked") -> Appointment:
    """A new appointment at the place found, not yet in the session."""
    return unwritten(
        Appointment,
        organization_id=call.organization_id,
        id=new_id(),
        patient_id=wanted.patient_id,
        visit_type_id=found.kind.id,
        visit_type=found.kind.visit.code,
        location_id=wanted.location_id,
        status=status,
        sequence=0,
        note=wanted.note,
        created_at=call.now,
        **_at(wanted, found),
    )


def place(appointment: Appointment, wanted: Wanted, found: Found) -> None:
    """Set when and how the visit takes place."""
    if appointment.starts_at != found.starts_at:
        appointment.confirmed_at = None
        appointment.checklist = of_any_time(appointment.checklist)
    for name, value in _at(wanted, found).items():
        setattr(appointment, name, value)


def _at(wanted: Wanted, found: Found) -> dict[str, Any]:
    """When and how a visit takes place: the intent in wall time, and what follows from it."""
    return {
        "local_start": found.local.isoformat(timespec="minutes"),
        "time_zone": found.loaded.site.time_zone,
        "starts_at": found.starts_at,
        "ends_at": found.ends_at,
        "tzdata": TZDATA_VERSION,
        "segments": found.kind.visit.outline(),
        "patient_region": wanted.patient_region,
        "pins": stored(wanted.pins),
    }


def snapshot(row: Appointment) -> dict[str, Any]:
    """What the audit keeps of an appointment, enough to undo a move: no personal data, only ids, times and states."""
    return {
        "status": row.status,
        "outcome": row.outcome,
        "visit_type": row.visit_type,
        "location_id": row.location_id,
        "start": row.starts_at,
        "end": row.ends_at,
        "local_start": row.local_start,
        "time_zone": row.time_zone,
        "pins": row.pins,
        "sequence": row.sequence,
        "revision": row.revision,
        **{name: getattr(row, name) for name in REAL_TIMES},
    }


def _locked(session: Session, call: Call, appointment_id: UUID, revision: int | None) -> Appointment:
    """The appointment under a change's locks: location, course, appointment. Raises NotFound, StaleRevision."""
    row = row_of(session, call, appointment_id)
    lock_locations(session, call, [row.location_id], share=True)
    course_rules.lock(session, call, row.course_id)
    row = row_of(session, call, appointment_id, lock=True)
    expect(row, revision)
    return row
