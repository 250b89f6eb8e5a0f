"""The moves of a visit's day: what each demands, and what it writes. Locks and legality are `opening`'s."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import Fault, IllegalTransition, Invalid, Reason, Refused
from scheduler.core.lifecycle import LIVE, NOT_DOSED
from scheduler.core.reminders import CALL
from scheduler.core.visit_day import too_early, watch, why_not_undosed
from scheduler.models import Task
from scheduler.services import consequences, course_rules, late_doses, outbox, policies, tasks, visit_tasks
from scheduler.services.appointments import times_of
from scheduler.services.finding import by_the_clock
from scheduler.services.licences import receive
from scheduler.services.occupying import served
from scheduler.services.visit_day.opening import (
    Answers,
    Hindrances,
    Opened,
    Waiver,
    closed,
    happened,
    noted,
    opened,
    refuse_ungated,
    settle_checklist,
)
from scheduler.services.visit_day.releasing import cut_short, give_back, keep_rooms
from scheduler.services.visit_day.viewing import DayView, shown

_NOTHING: Mapping[str, Any] = {}
#: Under this word somebody answers for a patient who is received before the visit's day.
_DAY = "visit_day"


def confirm(session: Session, call: Call, appointment_id: UUID, *, revision: int | None = None) -> DayView:
    """A pencilled visit becomes a booked one; of a booked one it is written down that the patient means to come.

    It holds its people and rooms already, so nothing else is looked at. Raises NotFound, StaleRevision,
    IllegalTransition; Refused (`gate_not_passed`) for a gate of its course that has not been passed or a clearance that
    is not valid on the day.
    """
    move = opened(session, call, appointment_id, "confirm", revision)
    row = move.row
    if row.status == "booked":
        row.confirmed_at = row.confirmed_at or call.now
        outbox.answered(session, call, row)
        tasks.withdraw(session, call, "The visit is confirmed.", Task.kind == CALL, Task.appointment_id == row.id)
        return closed(session, call, move, "confirm")
    link = course_rules.link(session, call, row.course_session_id, row.patient_id, row.visit_type, moving=True)
    refuse_ungated(session, call, row, rules=link)
    row.status, row.pencilled_until, row.confirmed_at = move.status, None, call.now
    session.flush()
    outbox.owe_for_appointment(session, call, row)
    return closed(session, call, move, "confirm")


def arrive(
    session: Session, call: Call, appointment_id: UUID, *, at: datetime | None = None, revision: int | None = None
) -> DayView:
    """The patient is here, and not yet checked in: on the visit's local day, not before.

    Raises NotFound, StaleRevision, IllegalTransition, Invalid.
    """
    move = opened(session, call, appointment_id, "arrive", revision)
    here_at = happened(call, at, "/at")
    early = too_early(move.row.starts_at, move.row.time_zone, here_at, None)
    if early is not None:
        raise IllegalTransition(early)
    move.row.status, move.row.arrived_at = move.status, here_at
    return closed(session, call, move, "arrive")


def check_in(
    session: Session,
    call: Call,
    appointment_id: UUID,
    *,
    at: datetime | None = None,
    checklist: Answers = _NOTHING,
    waiver: Waiver | None = None,
    patient_region: str | None = None,
    revision: int | None = None,
) -> DayView:
    """Receive the patient: the checklist is settled, clearances still hold, and from now on the room is theirs.

    Before the visit's local day, or the window that the organization sets, only if somebody answers for it: the item
    `visit_day` of the waiver. By video, `patient_region` is where the patient is now: who serves must be licensed
    there.

    Raises NotFound, StaleRevision, IllegalTransition, Invalid, ScopeMissing; Refused with all that keeps the patient
    away at once (`gate_not_passed`, `not_qualified`, and `checklist_incomplete` for every item).
    """
    move = opened(session, call, appointment_id, "check-in", revision)
    row = move.row
    hindrances, said = Hindrances(), _NOTHING
    with hindrances.gathered():
        _refuse_dose(session, call, move)
    with hindrances.gathered():
        receive(session, call, row, move.kind, patient_region)
    received_at = happened(call, at, "/at")
    early = too_early(row.starts_at, row.time_zone, received_at, policies.current(session, call).check_in_minutes)
    further = {} if early is None else {_DAY: early}
    with hindrances.gathered():
        said = settle_checklist(call, move, "check_in", checklist, waiver, further=further)
    hindrances.refuse()
    row.status, row.checked_in_at = move.status, received_at
    keep_rooms(session, call, row, taken=True)
    visit_tasks.settle(session, call, row)
    return closed(session, call, move, "check-in", reason=_why(waiver), after=said)


def start(
    session: Session,
    call: Call,
    appointment_id: UUID,
    *,
    at: datetime | None = None,
    last_device_at: datetime | None = None,
    checklist: Answers = _NOTHING,
    waiver: Waiver | None = None,
    revision: int | None = None,
) -> DayView:
    """The (first) dose is given at `at`; the status stays. May be said again, to add when the last device was given.

    Raises as `check_in` does; Invalid for a last device before the first.
    """
    move = opened(session, call, appointment_id, "start", revision)
    row = move.row
    again = row.dosed_at is not None
    hindrances, said = Hindrances(), _NOTHING
    with hindrances.gathered():
        if not again:
            _refuse_dose(session, call, move)
    with hindrances.gathered():
        said = {} if again and not checklist else settle_checklist(call, move, "start", checklist, waiver)
    hindrances.refuse()
    if not again or at is not None:
        row.dosed_at = happened(call, at, "/at", to=row)
    if last_device_at is not None:
        row.last_device_at = happened(call, last_device_at, "/last_device_at", to=row)
    if row.last_device_at is not None and row.dosed_at is not None and row.last_device_at < row.dosed_at:
        raise Invalid([Fault("/last_device_at", "before_the_dose", "The last device cannot come before the first.")])
    late_doses.settle(session, call, row)
    return closed(session, call, move, "start", reason=_why(waiver), after=said)


def fulfill(
    session: Session,
    call: Call,
    appointment_id: UUID,
    *,
    at: datetime | None = None,
    checklist: Answers = _NOTHING,
    waiver: Waiver | None = None,
    revision: int | None = None,
) -> DayView:
    """The patient goes home. No waiver shortens the observation that the visit type demands.

    Raises as `check_in` does; Refused (`observation_not_over`) with the end of the watch.
    """
    move = opened(session, call, appointment_id, "fulfill", revision)
    row = move.row
    left_at = happened(call, at, "/at", to=row)
    if row.dosed_at is not None and left_at < row.dosed_at:
        raise Invalid([Fault("/at", "before_the_dose", "Nobody goes home before the dose was given.")])
    hindrances, said = Hindrances(), _NOTHING
    with hindrances.gathered():
        _keep_watch(move, left_at)
    with hindrances.gathered():
        said = settle_checklist(call, move, "discharge", checklist, waiver)
    hindrances.refuse()
    row.status, row.fulfilled_at = move.status, left_at
    if move.kind.kind == "dosing" and row.dosed_at is not None:
        row.outcome = "dosed"
    session.flush()
    visit_tasks.settle(session, call, row)
    return closed(session, call, move, "fulfill", reason=_why(waiver), after=said)


def not_dosed(
    session: Session, call: Call, appointment_id: UUID, *, reason: str, revision: int | None = None
) -> DayView:
    """The patient came and gets no dose: the visit is over, does not count in its series, and its time left is free.

    Raises NotFound, StaleRevision, IllegalTransition (also once a dose was recorded, and before the visit's local day
    unless the patient has been received all the same).
    """
    move = opened(session, call, appointment_id, "not-dosed", revision)
    row = move.row
    why_not = why_not_undosed(times_of(row), row.time_zone, call.now)
    if why_not is not None:
        raise IllegalTransition(why_not)
    before = {"served": served(session, call, row.id)}
    row.status, row.outcome, row.outcome_reason, row.fulfilled_at = move.status, NOT_DOSED, reason, call.now
    cut_short(session, call, row, move.kind, call.now)
    visit_tasks.settle(session, call, row)
    return closed(session, call, move, "not-dosed", reason=reason, before=before)


def no_show(session: Session, call: Call, appointment_id: UUID, *, revision: int | None = None) -> DayView:
    """Nobody came: the time is free, and nothing more is sent. Raises NotFound, StaleRevision, IllegalTransition."""
    move = opened(session, call, appointment_id, "no-show", revision)
    if call.now < move.row.starts_at:
        raise IllegalTransition("The visit has not begun yet: until then it can only be cancelled.")
    gone(session, call, move)
    return shown(session, call, move.row)


def gone(session: Session, call: Call, move: Opened, *, reason: str | None = None) -> None:
    """Nobody came, it has been decided: free the time, call the messages off, write it down."""
    row = move.row
    before = {"served": served(session, call, row.id)}
    row.status = move.status
    give_back(session, call, row)
    session.flush()
    outbox.call_off(session, call, row, why="noshow")
    visit_tasks.settle(session, call, row)
    noted(session, call, move, "no-show", reason=reason, before=before)


def enter_in_error(
    session: Session, call: Call, appointment_id: UUID, *, reason: str, revision: int | None = None
) -> DayView:
    """The visit was booked by mistake, for the wrong patient say: it takes up and counts for nothing.

    Only who has heard of it is told that it does not take place. Raises NotFound, StaleRevision, IllegalTransition
    (also once a dose was recorded: that was given, whoever's the mistake).
    """
    move = opened(session, call, appointment_id, "entered-in-error", revision)
    row = move.row
    if row.dosed_at is not None:
        raise IllegalTransition("A dose was given in this visit: whatever else is wrong with it, it took place.")
    before = {"served": served(session, call, row.id)}
    row.status, row.cancel_reason, row.sequence = move.status, reason, row.sequence + 1
    if move.before["status"] in LIVE:
        give_back(session, call, row)
    session.flush()
    consequences.settled(session, call, row.id, "The visit was booked by mistake.")
    outbox.call_off(session, call, row, why=move.status)
    outbox.owe_change(session, call, row, kind="cancelled", only_heard=True)
    visit_tasks.settle(session, call, row)
    return closed(session, call, move, "entered-in-error", reason=reason, before=before)


def _refuse_dose(session: Session, call: Call, move: Opened) -> None:
    """Raises Refused for what keeps the patient away now, even if it did not when the visit was booked."""
    rules = course_rules.before_dose(session, call, move.row, move.kind)
    refuse_ungated(session, call, move.row, rules=rules, received=True)


def _keep_watch(move: Opened, left_at: datetime) -> None:
    """Raises Refused unless the demanded watch is over; a dose that nobody recorded was not watched."""
    observation = move.kind.observation
    if observation is None:
        return
    found = watch(move.kind, times_of(move.row))
    if found is None:
        detail = "No dose was recorded, so no observation has begun; start the visit, or say that it was not dosed."
        raise Refused([Reason("observation_not_over", detail, segment=observation.segment)])
    if left_at < found.over_at:
        local = to_local(found.over_at, move.row.time_zone)
        detail = f"{observation.minutes} minutes of observation are demanded; they are over at {local:%Y-%m-%d %H:%M}."
        code, segment = "observation_not_over", found.segment
        reason = Reason(code, detail, segment=segment, start=found.since, end=found.over_at)
        raise Refused(by_the_clock([reason], move.row.time_zone))


def _why(waiver: Waiver | None) -> str | None:
    return waiver.reason if waiver is not None else None
