"""Carrying out a plan by its token: a course's first, or one that was made around changes, with these, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core import lifecycle
from scheduler.core.call import Call
from scheduler.core.errors import PlanStale
from scheduler.core.policies import Initiator
from scheduler.models import Appointment, StoredPlan
from scheduler.services import (
    allowances,
    audit,
    consequences,
    courses,
    groups,
    openings,
    outbox,
    overrides,
    plans,
)
from scheduler.services.appointments import AppointmentView, row_of, views
from scheduler.services.booking import snapshot
from scheduler.services.catalog import visit_kind
from scheduler.services.course_changes import Action, Case, Change, check, read
from scheduler.services.finding import Found
from scheduler.services.occupying import resources_of, served
from scheduler.services.plan_places import look
from scheduler.services.planning import Desk, set_up
from scheduler.services.records import Revision
from scheduler.services.replanning import asked_by
from scheduler.services.settling import settle
from scheduler.services.visit_day import cut_short, left_of, shorten

_EVENTS: Mapping[Action, str] = {"cancel": "cancel", "noshow": "no-show", "not_dosed": "not-dosed"}


@dataclass(frozen=True)
class _Ending:
    """A visit that ends, as it was before."""

    row: Appointment
    action: Action
    before: Mapping[str, Any]


def accept(
    session: Session, call: Call, course_id: UUID, token: str, *, revision: Revision | None = None
) -> list[AppointmentView]:
    """Book the plan behind a token, whichever kind it is. Raises as `plans.book` does, and what its changes raise."""
    course = plans.taken(session, call, course_id, revision)
    stored = plans.opened(session, call, course_id, token)
    if stored.body.get("kind") != "replan":
        return plans.book_opened(session, call, course, stored)
    return _rebook(session, call, course_id, stored)


def changes_in(stored: Mapping[str, Any]) -> list[Change]:
    """The changes that a stored plan answers."""
    return [
        Change(
            UUID(each["appointment_id"]),
            each["action"],
            datetime.fromisoformat(each["start"]) if each["start"] else None,
        )
        for each in stored.get("changes", ())
    ]


def _rebook(session: Session, call: Call, course_id: UUID, stored: StoredPlan) -> list[AppointmentView]:
    """The changes and the visits that follow from them, in one transaction and under the locks of all of them."""
    changes, by = changes_in(stored.body), cast("Initiator", stored.body["by"])
    case = read(session, call, course_id, changes)
    _expect_as_it_was(case.rows, stored)
    moving = {
        UUID(each["session_id"]): case.view.booked[UUID(each["session_id"])].id
        for each in stored.body["sessions"]
        if UUID(each["session_id"]) in case.view.booked and case.position_of[UUID(each["session_id"])] not in case.gone
    }
    concerned = sorted({*moving.values(), *(change.appointment_id for change in changes)})
    rows = [row_of(session, call, key, lock=True) for key in concerned]
    freed = set().union(*(resources_of(session, call, key) for key in concerned))
    starts = plans.group_starts(stored.body)
    joining = groups.lock_at_starts(session, call, case.view.row.location_id, starts, rows)
    groups.lock_to_move(session, call, rows, ())
    for row in rows:  # before new places are looked for: what one of them carries goes to whoever stays in the group
        groups.leave(session, call, row)
    ending = _ended(session, call, case, by)
    ignoring = [*moving.values(), *(each.row.id for each in ending)]
    undosed = [each.row for each in ending if each.action == "not_dosed"]
    course_now = courses.get(session, call, course_id)
    beyond = allowances.read(stored.body)  # what had to be exceeded, as whoever accepts this was shown

    def desk() -> Desk:
        span = plans.span_of(stored.body)
        left = left_of(session, call, undosed, call.now)
        around = set_up(session, call, course_now, ignoring=ignoring, left=left, span=span, look="standing")
        return asked_by(allowances.widened(around, beyond), call, by)

    _, places = look(session, call, stored, desk, freed=freed, agreed=_agreed(case, stored), joining=joining)
    placed, was = _in_place(session, call, places, moving, by)
    for row in undosed:  # what is left of it is free for who comes instead, once all is made ready
        kind = visit_kind(session, call, row.visit_type).visit
        (shorten if placed else cut_short)(session, call, row, kind, call.now)
    if placed:
        away = [each.row.id for each in ending if each.row not in undosed]
        settle(session, call, placed, freed=freed, ending=away)
    _close(session, call, ending)
    _tell(session, call, [row for row, _ in placed], was, ending)
    audit.note_booked(session, call, {row.id: snapshot(row) for row, _ in placed if row.id not in was})
    after = {"changes": stored.body["changes"], "appointments": [str(row.id) for row, _ in placed]}
    audit.note(session, call, "course.replan", "course", course_id, after=after)
    session.delete(stored)
    session.flush()
    return views(session, call, [row for row, _ in placed])


def _agreed(case: Case, stored: StoredPlan) -> set[UUID]:
    """The sessions that stay at their time, or were asked to come at the time that they get."""
    asked = {change.appointment_id for change in case.changes if change.action == "move"}
    found = set()
    for each in stored.body["sessions"]:
        row = case.view.booked.get(UUID(each["session_id"]))
        if row is not None and (row.id in asked or row.starts_at == datetime.fromisoformat(each["start"])):
            found.add(UUID(each["session_id"]))
    return found


def _expect_as_it_was(rows: Mapping[UUID, Appointment], stored: StoredPlan) -> None:
    """Raises PlanStale when a visit of the course has changed since the plan was made."""
    stands = {str(row.id): [row.status, row.sequence] for row in rows.values() if row.status in lifecycle.LIVE}
    if stands != stored.body["stands"]:
        detail = "A visit of the course has changed since the plan was made."
        raise PlanStale(detail)


def _ended(session: Session, call: Call, case: Case, by: Initiator) -> list[_Ending]:
    """End the visits that end: their status now, since a session has one living visit at most; their time follows."""
    found = []
    for change in case.changes:
        row = case.rows[change.appointment_id]
        if change.action == "move" or not check(call, row, change.action):
            continue
        before = snapshot(row) | {"served": served(session, call, row.id)}
        if change.action == "cancel":
            overrides.permit(session, call, row, "cancel", by)
            row.status = lifecycle.after("cancel", row.status)
            row.cancelled_by, row.cancel_reason = by, "The course was planned anew."
            row.sequence += 1
        elif change.action == "noshow":
            row.status = lifecycle.after("no-show", row.status)
        else:
            row.status, row.outcome = lifecycle.after("not-dosed", row.status), lifecycle.NOT_DOSED
            row.outcome_reason, row.fulfilled_at = "The course was planned anew.", call.now
        consequences.settled(session, call, row.id, "The visit does not take place.")
        openings.note(session, call, row.location_id, row.starts_at, row.ends_at)
        found.append(_Ending(row, change.action, before))
    session.flush()
    return found


def _in_place(
    session: Session,
    call: Call,
    places: Sequence[tuple[Appointment, Found]],
    moving: Mapping[UUID, UUID],
    by: Initiator,
) -> tuple[list[tuple[Appointment, Found]], dict[UUID, Mapping[str, Any]]]:
    """The places with those appointments moved that exist already, and how these were before."""
    placed: list[tuple[Appointment, Found]] = []
    was: dict[UUID, Mapping[str, Any]] = {}
    for drafted, found in places:
        key = moving.get(drafted.course_session_id) if drafted.course_session_id else None
        if key is None:
            placed.append((drafted, found))
            continue
        row = row_of(session, call, key)
        row.status = lifecycle.after("reschedule", row.status)
        consequences.settled(session, call, row.id, "The visit was booked anew.")
        overrides.permit(session, call, row, "reschedule", by, start=found.starts_at)
        was[key] = snapshot(row) | {"served": served(session, call, key)}
        openings.note(session, call, row.location_id, row.starts_at, row.ends_at)
        for name in ("local_start", "time_zone", "starts_at", "ends_at", "tzdata", "segments"):
            setattr(row, name, getattr(drafted, name))
        people = {taking.resource_id for taking in found.takings if not taking.pool}
        row.pins = [pin for pin in row.pins if UUID(pin["resource_id"]) in people]
        if row.status == "pending":
            row.pencilled_until = drafted.pencilled_until
        row.override = None
        row.sequence += 1
        row.moves = {**row.moves, by: row.moves.get(by, 0) + 1}
        placed.append((row, found))
    return placed, was


def _close(session: Session, call: Call, ending: Sequence[_Ending]) -> None:
    """Write each ending down."""
    session.flush()
    for each in ending:
        action = f"appointment.{_EVENTS[each.action]}"
        after = snapshot(each.row)
        audit.note(session, call, action, "appointment", each.row.id, before=each.before, after=after)


def _tell(
    session: Session,
    call: Call,
    rows: Sequence[Appointment],
    was: Mapping[UUID, Mapping[str, Any]],
    ending: Sequence[_Ending],
) -> None:
    """Call off what was owed, owe each visit's reminders anew, and one message for the whole change."""
    changes = []
    for each in ending:
        outbox.call_off(session, call, each.row, why="noshow" if each.action == "noshow" else "cancelled")
        if each.action == "cancel":
            changes.append(outbox.Changed.since(each.row, each.before))
    for row in rows:
        if row.id in was:
            outbox.call_off(session, call, row, why="rescheduled")
            audit.note(
                session, call, "appointment.reschedule", "appointment", row.id, before=was[row.id], after=snapshot(row)
            )
        changes.append(outbox.Changed.since(row, was[row.id]) if row.id in was else outbox.Changed(row, None))
    if changes:
        outbox.owe_for_course_change(session, call, changes)
