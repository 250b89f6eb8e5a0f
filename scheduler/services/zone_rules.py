"""What new zone rules do to the visits ahead: the wall time stays as it was meant, and the instant follows it.

A chore, for one organization and some visits at a time. A visit that cannot follow stays where it is, is owed to the
staff as a task, and is tried again. Nothing moves without its audit event. Which rules are in force: core/civil.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from scheduler.core import civil
from scheduler.core.call import Call
from scheduler.core.civil import to_instant, to_local
from scheduler.core.errors import LocalTimeFault, LostRace
from scheduler.models import Appointment, Organization, Task
from scheduler.services import audit, course_rules, groups, outbox, patient_links, tasks
from scheduler.services.appointments import row_of
from scheduler.services.booking import snapshot
from scheduler.services.locks import bump_calendars, lock_locations, lock_resources
from scheduler.services.occupying import resources_of, void_expired_holds
from scheduler.services.shifting import InTheWay, shift

#: As many visits in one transaction, so that nobody waits long for their locks.
BATCH = 50

TASK: Final = "zone_rules"
#: By then somebody has looked at a visit that could not follow; before it begins, if that is sooner.
_TO_BE_SEEN_IN = timedelta(days=1)


@dataclass(frozen=True)
class Lag:
    """The visits ahead of one organization that stand by the rules of one older release."""

    organization_id: UUID
    release: str
    visits: int


def organizations_behind(session: Session, now: datetime) -> list[UUID]:
    """The organizations with visits ahead under older rules, or with tasks about such: a plain look, without locks."""
    stale = exists().where(Appointment.organization_id == Organization.id, *_stale(now))
    owed = exists().where(Task.organization_id == Organization.id, Task.kind == TASK, Task.status == "open")
    return list(session.scalars(select(Organization.id).where(or_(stale, owed)).order_by(Organization.id)))


def follow(session: Session, call: Call) -> bool:
    """Let the organization's next visits follow the rules in force; True when others are left.

    Raises LostRace when a visit changed hands meanwhile: the transaction is to be tried again.
    """
    _forget_tasks(session, call)
    flagged = select(Task.appointment_id).where(Task.organization_id == call.organization_id, Task.kind == TASK)
    fresh = Appointment.id.not_in(flagged.where(Task.appointment_id.is_not(None)))
    ids = _next(session, call, fresh) or _next(session, call)
    rows = _locked(session, call, ids)
    groups.lock_of(session, call, rows)
    concerned = _concerned(session, call, rows)
    lock_resources(session, call, concerned)
    if _concerned(session, call, rows) != concerned:
        raise LostRace("A visit was given another room at the same moment.")
    void_expired_holds(session, call, concerned)
    waiting, reasons = _in_order(rows), dict[UUID, str]()
    while waiting:  # one that goes may make room for another
        left = [row for row in waiting if not _follows(session, call, row, reasons)]
        if len(left) == len(waiting):
            break
        waiting = left
    for row in waiting:
        _flag(session, call, row, reasons[row.id])
    return bool(_next(session, call, fresh))


def lags(session: Session, call: Call) -> list[Lag]:
    """How many of the organization's visits ahead do not stand by the rules in force, by the release they stand by."""
    wanted = select(Appointment.tzdata).where(Appointment.organization_id == call.organization_id, *_stale(call.now))
    found: dict[str, int] = {}
    for release in session.scalars(wanted):
        found[release] = found.get(release, 0) + 1
    return [Lag(call.organization_id, release, found[release]) for release in sorted(found)]


def _stale(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Visits ahead that nobody has come to, under rules older than ours. A worker left behind turns nothing back."""
    ahead = Appointment.status.in_(("pending", "booked")), Appointment.starts_at > now
    return *ahead, Appointment.tzdata < civil.TZDATA_VERSION


def _next(session: Session, call: Call, *conditions: ColumnElement[bool]) -> list[UUID]:
    wanted = select(Appointment.id).where(
        Appointment.organization_id == call.organization_id,
        *_stale(call.now),
        *conditions,
    )
    return list(session.scalars(wanted.order_by(Appointment.starts_at, Appointment.id).limit(BATCH)))


def _locked(session: Session, call: Call, ids: Sequence[UUID]) -> list[Appointment]:
    """The appointments under their locks, each kind in the order of its ids; those that are still behind."""
    seen = [row_of(session, call, appointment_id) for appointment_id in ids]
    lock_locations(session, call, {row.location_id for row in seen}, share=True)
    for course_id in sorted({row.course_id for row in seen if row.course_id is not None}):
        course_rules.lock(session, call, course_id)
    rows = [row_of(session, call, appointment_id, lock=True) for appointment_id in sorted(ids)]
    return [
        row
        for row in rows
        if row.status in {"pending", "booked"} and row.starts_at > call.now and row.tzdata < civil.TZDATA_VERSION
    ]


def _concerned(session: Session, call: Call, rows: Sequence[Appointment]) -> set[UUID]:
    return set[UUID]().union(*(resources_of(session, call, row.id) for row in rows))


def meant(row: Appointment) -> datetime | None:
    """The instant at which the visit's wall time comes by the rules in force; None when the clocks skip it now.

    Of a wall time that comes twice, the reading nearer to the one that was meant.
    """
    local = datetime.fromisoformat(row.local_start)
    try:
        return to_instant(local, row.time_zone)
    except LocalTimeFault as fault:
        if fault.code == "nonexistent_time":
            return None
    readings = [to_instant(local, row.time_zone, "earlier"), to_instant(local, row.time_zone, "later")]
    return min(readings, key=lambda reading: abs(reading - row.starts_at))


def _in_order(rows: Sequence[Appointment]) -> list[Appointment]:
    """Who moves back first to last, who moves forward last to first: a visit follows into the time just left."""
    shifts = {row.id: (meant(row) or row.starts_at) - row.starts_at for row in rows}
    back = sorted((row for row in rows if shifts[row.id] <= timedelta(0)), key=lambda row: row.starts_at)
    forward = sorted((row for row in rows if shifts[row.id] > timedelta(0)), key=lambda row: row.starts_at)
    return back + forward[::-1]


def _follows(session: Session, call: Call, row: Appointment, reasons: dict[UUID, str]) -> bool:
    """Let one visit follow. False with the reason when it cannot, and nothing has changed then."""
    instant, release = meant(row), row.tzdata
    if instant is None:
        reasons[row.id] = "The clocks skip that time now."
        return False
    if instant == row.starts_at:
        row.tzdata = civil.TZDATA_VERSION
        session.flush()
        return True
    before, was, delta = snapshot(row), row.starts_at, instant - row.starts_at
    try:
        with session.begin_nested():
            shift(session, call, row.id, delta)
    except InTheWay as error:
        reasons[row.id] = error.detail
        return False
    row.starts_at, row.ends_at = row.starts_at + delta, row.ends_at + delta
    row.tzdata = civil.TZDATA_VERSION
    row.sequence += 1
    groups.follow(session, call, row)
    patient_links.follow(session, row, was)
    session.flush()
    bump_calendars(session, call, resources_of(session, call, row.id), locked=True)
    outbox.owe_anew(session, call, row, why=TASK)
    reason = f"Zone rules: {release} to {row.tzdata}."
    audit.note(
        session, call, "appointment.zone-rules", "appointment", row.id,
        before=before, after=snapshot(row), reason=reason,
    )  # fmt: skip
    return True


def _flag(session: Session, call: Call, row: Appointment, why: str) -> None:
    shown = to_local(row.starts_at, row.time_zone).strftime("%H:%M")
    tasks.owe(
        session,
        call,
        kind=TASK,
        key=f"{row.id}/{civil.TZDATA_VERSION}",
        title="The clocks were changed by law, and a visit could not follow",
        detail=f"It was meant for {row.local_start[11:]}, by the zone rules of {row.tzdata}. {why} By those of"
        f" {civil.TZDATA_VERSION} it would begin at {shown} now: move it, or tell the patient.",
        due_at=max(call.now, min(row.starts_at, call.now + _TO_BE_SEEN_IN)),
        appointment_id=row.id,
        patient_id=row.patient_id,
        location_id=row.location_id,
    )


def _forget_tasks(session: Session, call: Call) -> None:
    """Withdraw tasks about visits that have been moved, have begun or will not be."""
    behind = select(Appointment.id).where(Appointment.organization_id == call.organization_id, *_stale(call.now))
    tasks.withdraw(session, call, "It is not behind any more.", Task.kind == TASK, Task.appointment_id.not_in(behind))
