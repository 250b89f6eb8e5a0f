"""Owing messages and calling them off, in the transaction of the booking, move or cancellation that is the reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from sqlalchemy import Table, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import Event, Owed, Rule, Visit, plan_messages, resting
from scheduler.models import Appointment, Course, Message, new_id
from scheduler.services.catalog import visit_kind
from scheduler.services.outbox.people import addressee, rules_in_force

Change = Literal["rescheduled", "cancelled"]

_PATIENT = "patient"

_MESSAGES = cast("Table", Message.__table__)
_INSERT = {
    "postgresql": postgresql.insert(_MESSAGES).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(_MESSAGES).on_conflict_do_nothing(),
}


def owe_for_appointment(session: Session, call: Call, appointment: Appointment, *, alone: bool = True) -> None:
    """Owe all that a booked visit calls for at its present time; the first time also the news that it is booked.

    A visit that is only pencilled owes nothing until it is confirmed. What is owed already is not owed twice. One that
    is booked with others (`alone` false) is no news by itself: `owe_for_course` tells of all of them at once.
    """
    if appointment.status != "booked":
        return
    event: Event = "booked" if alone and not _told_before(session, call, appointment) else "visit"
    wanted = [rule for rule in rules_in_force(session, call) if rule.event in {"visit", event}]
    _owe(session, call, appointment, wanted, event)


def owe_anew(session: Session, call: Call, appointment: Appointment, why: str) -> None:
    """Owe at the visit's present instant what was owed at another: its wall time is the same, so it is no news.

    The news that it is booked is owed again only when it had not left yet. `why` (one word) is the reason.
    """
    rules = rules_in_force(session, call)
    news = [rule.key for rule in rules if rule.event == "booked"]
    unheard = select(Message.id).where(
        Message.organization_id == call.organization_id,
        Message.appointment_id == appointment.id,
        Message.rule.in_(news),
        Message.status == "pending",
    )
    events = {"visit", "booked"} if session.execute(unheard).first() else {"visit"}
    call_off(session, call, appointment, why)
    if appointment.status == "booked":
        event: Event = "booked" if "booked" in events else "visit"
        _owe(session, call, appointment, [rule for rule in rules if rule.event in events], event)


def owe_change(session: Session, call: Call, appointment: Appointment, kind: Change) -> None:
    """Owe the news that a visit has moved or is cancelled, to who was told of it (or was to be) before."""
    told = _told_before(session, call, appointment)
    if told:
        wanted = [rule for rule in rules_in_force(session, call) if rule.event == kind]
        _owe(session, call, appointment, wanted, kind, previous=told if kind == "rescheduled" else None)


def owe_for_course(session: Session, call: Call, course: Course, appointments: Sequence[Appointment]) -> None:
    """Owe one message for all visits booked together, and once in the course's life the overview before it begins."""
    booked = [appointment for appointment in appointments if appointment.status == "booked"]
    if booked:
        first = min(booked, key=lambda appointment: appointment.starts_at)
        before: int | None = session.scalars(
            select(func.max(Message.sequence)).where(
                Message.organization_id == call.organization_id, Message.course_id == course.id
            )
        ).one()
        wanted = [
            rule
            for rule in rules_in_force(session, call)
            if rule.event == "course" and (before is None or rule.side == "now")
        ]
        sequence = 0 if before is None else before + 1
        _owe(session, call, first, wanted, "course", course_id=course.id, sequence=sequence)


def call_off(session: Session, call: Call, appointment: Appointment, why: str) -> None:
    """Nothing owed for the visit so far may start to leave any more, for the reason `why` (one word).

    What is on its way in this moment can't be called back: the patient is owed a correction.
    """
    # One statement for both: a message that a worker puts back meanwhile must not slip between two.
    never_left = (Message.status == "pending") | (Message.attempts == 0)
    stopped = session.execute(
        update(Message)
        .where(
            Message.organization_id == call.organization_id,
            Message.appointment_id == appointment.id,
            Message.status.in_(("pending", "sending")),
            Message.called_off_at.is_(None),
        )
        .values(
            status=case((never_left, "suppressed"), else_="sending"),
            reason=why,
            called_off_at=call.now,
        )
        .returning(Message.status, Message.kind, Message.context)
        .execution_options(synchronize_session=False)
    ).all()
    leaving = [row.context["about"] for row in stopped if row.status == "sending" and row.kind != "correction"]
    if leaving:
        wanted = [rule for rule in rules_in_force(session, call) if rule.event == "correction"]
        _owe(session, call, appointment, wanted, "correction", about=leaving[0])


def _owe(
    session: Session,
    call: Call,
    appointment: Appointment,
    rules: Sequence[Rule],
    event: Event,
    *,
    course_id: UUID | None = None,
    sequence: int | None = None,
    previous: str | None = None,
    about: str | None = None,
) -> None:
    """Plan by these rules and write down what is owed. `about` is the time of which the message speaks (ISO)."""
    if not rules:
        return
    recipient = addressee(session, call, appointment.patient_id, appointment.time_zone)
    visit = _visit(session, call, appointment, previous)
    by_key = {rule.key: rule for rule in rules}
    shared = {
        "organization_id": call.organization_id,
        "patient_id": appointment.patient_id,
        "appointment_id": None if course_id else appointment.id,
        "course_id": course_id,
        "recipient": _PATIENT,
        "sequence": appointment.sequence if sequence is None else sequence,
        "attempts": 0,
        "created_at": call.now,
    }
    facts = {"about": about or appointment.starts_at.isoformat(), "previous": previous}
    planned = plan_messages(rules, visit, recipient, call.now, event)
    rows = [
        shared | _row(owed, by_key[owed.rule], facts | {"at_night": resting(recipient, owed.due_at)})
        for owed in planned
    ]
    if rows:
        _insert(session, rows)


def _visit(session: Session, call: Call, appointment: Appointment, previous: str | None) -> Visit:
    kind = visit_kind(session, call, appointment.visit_type).visit
    return Visit(
        starts_at=appointment.starts_at,
        ends_at=appointment.ends_at,
        time_zone=appointment.time_zone,
        kind=kind.kind,
        modality=kind.modality,
        solids_minutes=kind.instructions.solids_minutes,
        clear_liquids_minutes=kind.instructions.clear_liquids_minutes,
        # Holds and integration visits may come and go until a message is due: that is looked at when it is claimed.
        held=False,
        integration_booked=False,
        previous_starts_at=datetime.fromisoformat(previous) if previous else None,
    )


def _row(owed: Owed, rule: Rule, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": new_id(),
        "rule": owed.rule,
        "kind": owed.kind,
        "channel": owed.channel,
        "due_at": owed.due_at,
        "expires_at": owed.expires_at,
        "status": "suppressed" if owed.suppressed else "pending",
        "reason": owed.suppressed,
        "context": facts
        | {
            "class": owed.cls,
            "side": rule.side,
            "urgent": owed.urgent,
            "channels": list(rule.channels),
            "unless_integration": rule.no_integration_booked,
            "note": owed.note,
        },
    }


def _told_before(session: Session, call: Call, appointment: Appointment) -> str | None:
    """The latest time of the visit (ISO), before the present one, of which messages were owed."""
    if not appointment.sequence:
        return None  # its first time is its present one
    context = session.scalars(
        select(Message.context)
        .where(
            Message.organization_id == call.organization_id,
            Message.appointment_id == appointment.id,
            Message.sequence < appointment.sequence,
            Message.kind != "correction",
        )
        .order_by(Message.sequence.desc(), Message.id.desc())
        .limit(1)
    ).one_or_none()
    return None if context is None else context["about"]


def _insert(session: Session, rows: list[dict[str, Any]]) -> None:
    """Insert, leaving out what is there already under the same (visit, rule, recipient, channel, sequence)."""
    session.execute(_INSERT[session.get_bind().dialect.name], rows)
