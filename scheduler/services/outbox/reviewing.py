"""The daily comparison of what is owed with what should be: what is missing is owed, what has changed is moved.

Rules may have been edited, and a patient's zone, channels or quiet hours; nothing that has left is touched. What
cannot wait for the next day has it begin anew (`message_reviews`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, and_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.reminders import Rule
from scheduler.models import Appointment, Message, MessageReview
from scheduler.services import message_rules
from scheduler.services.outbox.writing import Batch, insert, rows_of

#: So many visits are compared in one transaction.
AT_ONCE = 100
#: Visits that start in this time from now are compared; what is owed for later ones is seen to when they come nearer.
AHEAD = timedelta(days=35)

_ROWS = cast("Table", Message.__table__)
_REVIEWS = cast("Table", MessageReview.__table__)
_BEGIN = {
    "postgresql": postgresql.insert(_REVIEWS).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(_REVIEWS).on_conflict_do_nothing(),
}
#: Why a message is not sent that would be, were the rules or the patient's quiet hours others.
_DECIDED_BY_RULES = frozenset({"rule_changed", "quiet_hours", "past", "too_late"})
_MENDED = ("kind", "channel", "due_at", "expires_at", "context")


def review(session: Session, call: Call) -> bool:
    """A chore: compare the next visits ahead, once a day each. True when more are left."""
    today = call.now.date()
    begun = {"organization_id": call.organization_id, "day": today}
    session.execute(_BEGIN[session.get_bind().dialect.name], begun)
    row = session.get_one(MessageReview, call.organization_id, with_for_update=True, populate_existing=True)
    if row.day != today:
        row.day, row.after_start, row.after_id = today, None, None
    visits = _next(session, call, row)
    if visits:
        repair(session, call, visits)
        row.after_start, row.after_id = visits[-1].starts_at, visits[-1].id
    session.flush()
    return len(visits) == AT_ONCE


def repair(session: Session, call: Call, visits: Sequence[Appointment]) -> None:
    """Let what these booked visits are owed be what the rules in force call for."""
    rules = [rule for rule in message_rules.in_force(session, call) if rule.event == "visit"]
    news = {rule.key for rule in message_rules.in_force(session, call) if rule.event != "visit"}
    lost: list[dict[str, Any]] = []
    for wanted, there in _compared(session, call, visits, rules):
        lost += _omitted(wanted, there)
        for key, row in there.items():
            base, follows, _ = key.partition("+")
            if follows and (base not in there or not _may_wait(there[base])):
                continue  # it follows what has left, and keeps its distance
            if _may_wait(row) and row.attempts == 0 and base not in news:
                _mend(session, call, row, wanted.get(key))
    if lost:
        insert(session, lost)


def missing(
    session: Session, call: Call, visits: Sequence[Appointment], rules: Sequence[Rule]
) -> Iterator[dict[str, Any]]:
    """The rows that these booked visits should be owed by these rules, and are not."""
    for wanted, there in _compared(session, call, visits, rules):
        yield from _omitted(wanted, there)


def _compared(
    session: Session, call: Call, visits: Sequence[Appointment], rules: Sequence[Rule]
) -> Iterator[tuple[dict[str, dict[str, Any]], dict[str, Message]]]:
    """For each visit by rule: what it should be owed at its present time, and what it is."""
    batch = Batch(session, call, visits)
    owed: dict[UUID | None, dict[str, Message]] = {visit.id: {} for visit in visits}
    sequences = {visit.id: visit.sequence for visit in visits}
    for row in _owed(session, call, sequences):
        if row.appointment_id is not None and row.sequence == sequences[row.appointment_id]:
            owed[row.appointment_id][row.rule] = row
    for visit in visits:
        yield {row["rule"]: row for row in rows_of(batch, visit, rules, "visit")}, owed[visit.id]


def _omitted(wanted: Mapping[str, dict[str, Any]], there: Collection[str]) -> Iterator[dict[str, Any]]:
    for key, row in wanted.items():
        base = key.partition("+")[0]
        # What would have been due before now, and is not there, was not owed then: it is no omission. Nor is the call
        # in place of a message that was owed in its time, and for which it would be too late by now.
        if key in there or row["reason"] == "past" or (base in there and wanted[base]["reason"] == "too_late"):
            continue
        yield row


def _may_wait(row: Message) -> bool:
    """Whether it waits, or would but for the rules and quiet hours of the day on which that was decided."""
    return row.status == "pending" or (row.status == "suppressed" and row.reason in _DECIDED_BY_RULES)


def _mend(session: Session, call: Call, row: Message, wanted: dict[str, Any] | None) -> None:
    """Bring a message that still waits, or may again, in line with what is wanted."""
    new: dict[str, Any]
    if row.status == "suppressed":
        if wanted is None or wanted["status"] != "pending":
            return
        new = {"status": "pending", "reason": None, "called_off_at": None}
        new |= {name: wanted[name] for name in _MENDED}
    elif wanted is None:
        new = {"status": "suppressed", "reason": "rule_changed", "called_off_at": call.now}
    # One that is due now, or was put off, is the worker's.
    elif row.due_at <= call.now or row.reason is not None or wanted["status"] != "pending":
        return
    else:
        new = {name: wanted[name] for name in _MENDED if getattr(row, name) != wanted[name]}
    if new:
        # A worker may have taken it since it was read: then it is as it was.
        untouched = _ROWS.c.status == row.status, _ROWS.c.attempts == 0, _ROWS.c.due_at == row.due_at
        mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.id == row.id
        session.execute(update(_ROWS).where(*mine, *untouched).values(new))


def _next(session: Session, call: Call, row: MessageReview) -> Sequence[Appointment]:
    chosen = select(Appointment).where(
        Appointment.organization_id == call.organization_id,
        Appointment.status == "booked",
        Appointment.starts_at > call.now,
        Appointment.starts_at <= call.now + AHEAD,
    )
    if row.after_start is not None:
        after = Appointment.starts_at > row.after_start
        chosen = chosen.where(or_(after, and_(Appointment.starts_at == row.after_start, Appointment.id > row.after_id)))
    # Whoever changes a visit meanwhile owes its messages: it is left to them.
    locked = chosen.order_by(Appointment.starts_at, Appointment.id).limit(AT_ONCE).with_for_update(skip_locked=True)
    return session.scalars(locked.execution_options(populate_existing=True)).all()


def _owed(session: Session, call: Call, visits: Collection[UUID]) -> Sequence[Message]:
    return session.scalars(
        select(Message)
        .where(Message.organization_id == call.organization_id, Message.appointment_id.in_(visits))
        .order_by(Message.id)
        .execution_options(populate_existing=True)
    ).all()
