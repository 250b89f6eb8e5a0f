"""One message for several changes of a patient's visits, written in place of all news of changes that still waits.

Which changes make it necessary is decided in `digest` and `owing`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import TASK, Rule
from scheduler.models import Appointment, Course, Message, Series
from scheduler.services import message_rules
from scheduler.services.outbox import attempts
from scheduler.services.outbox.correcting import correct_by
from scheduler.services.outbox.parting import part
from scheduler.services.outbox.telling import DIGEST, about_owner, place_of, told_before
from scheduler.services.outbox.writing import Batch, write

#: What tells of a change of one visit.
_ALONE = ("rescheduled", "cancelled")


@dataclass(frozen=True)
class Changed:
    """A visit that has just been moved, cancelled or added. `was` is its start before (aware); None for a new one."""

    appointment: Appointment
    was: datetime | None

    @classmethod
    def since(cls, appointment: Appointment, before: Mapping[str, Any]) -> Changed:
        """By its snapshot before the change. Of a visit that was only pencilled its patient has never been told."""
        known = before["status"] not in {"proposed", "pending"}
        return cls(appointment, before["start"] if known else None)


def tell_together(session: Session, call: Call, changes: Sequence[Changed]) -> None:
    """Owe one patient one message for all of these, and for what else waits to be told of their visits."""
    rules = [rule for rule in message_rules.in_force(session, call) if rule.event == DIGEST]
    _tell(session, call, changes, _waiting(session, call, changes[0].appointment.patient_id), rules)


def tell_with_others(session: Session, call: Call, change: Changed) -> bool:
    """Whether news of other visits of the patient waits: then one message tells of all, by the way that it was to go.

    Not where no rule tells of several changes at once.
    """
    rules = [rule for rule in message_rules.in_force(session, call) if rule.event == DIGEST and rule.enabled]
    waiting = _waiting(session, call, change.appointment.patient_id) if rules else []
    if not waiting:
        return False
    channels = tuple(waiting[0].context["channels"])
    _tell(session, call, [change], waiting, [replace(rule, channels=channels) for rule in rules])
    return True


def _waiting(session: Session, call: Call, patient_id: UUID) -> Sequence[Message]:
    """The news of changes that waits for the patient, oldest first, locked; not what goes beside another message.

    Of several changes also what a worker has in hand and has not begun.
    """
    found = session.scalars(
        select(Message)
        .where(
            Message.organization_id == call.organization_id,
            Message.patient_id == patient_id,
            Message.kind.in_((*_ALONE, DIGEST)),
            (Message.status == "pending") | (Message.status == "sending") & (Message.kind == DIGEST),
            Message.called_off_at.is_(None),
            Message.channel != TASK,
            Message.rule.not_like("%+%"),
        )
        .order_by(Message.created_at, Message.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()
    begun = attempts.under_way(session, call, [each.id for each in found if each.status == "sending"])
    return [each for each in found if each.id not in begun]


def _tell(
    session: Session, call: Call, changes: Sequence[Changed], waiting: Sequence[Message], rules: Sequence[Rule]
) -> None:
    entries = {str(each.appointment.id): _entry(session, call, each.appointment, each.was) for each in changes}
    for message in waiting:
        # What it was to tell is told by the new one, from where the patient still believes the visits to be.
        for entry in _entries_of(session, call, message):
            new = entries.get(entry["id"], entry)
            entries[entry["id"]] = {**new, "was": entry["was"]}
        message.status, message.reason, message.called_off_at = "suppressed", "merged", call.now
        message.token, message.lease_until = None, None
    session.flush()
    visits = _rows_of(session, call, [UUID(key) for key in entries])
    part(session, call.organization_id, [message.id for message in waiting])
    _unsaid(session, call, visits)
    _write(session, call, visits, entries, rules)
    correct_by(session, call, visits, Message.patient_id == visits[0].patient_id, Message.kind == DIGEST)


def _entry(session: Session, call: Call, appointment: Appointment, was: datetime | None) -> dict[str, Any]:
    """What is noted of a visit: its place, and the time at which its patient believes it to be."""
    told = told_before(session, call, appointment) if was is not None else None
    if told is not None:
        was = None if told.gone else told.about
    return place_of(appointment) | {"was": was.isoformat() if was is not None else None}


def _entries_of(session: Session, call: Call, message: Message) -> Sequence[Mapping[str, Any]]:
    if "visits" in message.context:
        visits: Sequence[Mapping[str, Any]] = message.context["visits"]
        return visits
    appointment = session.get_one(Appointment, (call.organization_id, message.appointment_id))
    return [_entry(session, call, appointment, appointment.starts_at)]


def _rows_of(session: Session, call: Call, ids: Collection[UUID]) -> list[Appointment]:
    """The visits, the last of them first."""
    mine = Appointment.organization_id == call.organization_id, Appointment.id.in_(ids)
    return list(session.scalars(select(Appointment).where(*mine).order_by(Appointment.starts_at.desc())))


def _unsaid(session: Session, call: Call, visits: Sequence[Appointment]) -> None:
    """What the news of one visit would have said for a reminder, that reminder says: of several there is no room."""
    keys = {f"said by {rule.key}" for rule in message_rules.in_force(session, call) if rule.event == "rescheduled"}
    now = {(visit.id, visit.sequence) for visit in visits if visit.status == "booked"}
    for row in session.scalars(
        select(Message).where(
            Message.organization_id == call.organization_id,
            Message.appointment_id.in_([key for key, _ in now]),
            Message.status == "suppressed",
            Message.reason == "merged",
            Message.merged_into.is_(None),
            Message.called_off_at.is_(None),
        )
    ):
        if (row.appointment_id, row.sequence) in now and row.context.get("note") in keys:
            row.status, row.reason = "pending", None


def _write(
    session: Session,
    call: Call,
    visits: Sequence[Appointment],
    entries: Mapping[str, Mapping[str, Any]],
    rules: Sequence[Rule],
) -> None:
    """The message of the first course or series among them, or else of the last of the visits."""
    owner = next((found for visit in reversed(visits) if (found := _owner(session, visit)) is not None), None)
    # It is of use until the last of the visits that it tells of would have begun.
    latest = visits[0]
    mine = about_owner(owner) if owner else (Message.appointment_id == latest.id) & (Message.kind == DIGEST)
    before = [datetime.fromisoformat(entry["was"]) for entry in entries.values() if entry["was"]]
    write(
        Batch(session, call, [latest]),
        rules,
        DIGEST,
        owner=owner,
        sequence=max(_next(session, call, mine), 0 if owner else latest.sequence),
        previous=min(before, default=None),
        more={"visits": list(entries.values())},
    )


def _owner(session: Session, visit: Appointment) -> Course | Series | None:
    if visit.course_id is not None:
        course: Course = session.get_one(Course, (visit.organization_id, visit.course_id))
        return course
    return session.get(Series, (visit.organization_id, visit.series_id)) if visit.series_id is not None else None


def _next(session: Session, call: Call, mine: ColumnElement[bool]) -> int:
    """The number of the next of these messages: none takes another's place."""
    last: int | None = session.scalars(
        select(func.max(Message.sequence)).where(Message.organization_id == call.organization_id, mine)
    ).one()
    return 0 if last is None else last + 1
