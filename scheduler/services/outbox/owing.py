"""Owing messages and calling them off, in the transaction of the booking, move or cancellation that is the reason.

One message for several changes at once is owed in `digest`; how rows are planned and written lives in `writing`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session, aliased

from scheduler.core.call import Call
from scheduler.core.reminders import Event
from scheduler.models import Appointment, Course, Message, Series
from scheduler.services import message_rules
from scheduler.services.catalog import Kind
from scheduler.services.outbox import attempts, telling
from scheduler.services.outbox.correcting import correct_by
from scheduler.services.outbox.parting import part
from scheduler.services.outbox.together import Changed, tell_with_others
from scheduler.services.outbox.writing import Batch, write
from scheduler.services.premises import Addressee
from scheduler.services.sheet import Sheet

Change = Literal["rescheduled", "cancelled"]

_host = aliased(Message)


def owe_for_appointment(
    session: Session,
    call: Call,
    appointment: Appointment,
    *,
    alone: bool = True,
    kind: Kind | None = None,
    to: Addressee | None = None,
    sheet: Sheet | None = None,
) -> None:
    """Owe all that a booked visit calls for at its present time; the first time also the news that it is booked.

    A visit that is only pencilled owes nothing until it is confirmed. What is owed already is not owed twice. One that
    is booked with others (`alone` false) is no news by itself: `owe_for_course` tells of all of them at once.
    `kind` and `to` are its visit type and patient, when they have been read before; with `sheet` the messages wait on
    that for other rows.
    """
    if appointment.status != "booked":
        return
    told = telling.told_before(session, call, appointment) if alone else None
    # Who was to be told of this very time, and was not yet, still is.
    is_news = told is None or (told.alone and not told.left and not told.gone and told.about == appointment.starts_at)
    event: Event = "booked" if alone and is_news else "visit"
    if told is not None and not is_news and (told.about != appointment.starts_at or told.gone):
        _owe(session, call, [appointment], "rescheduled", {"visit", "rescheduled"}, elsewhere="rescheduled")
    else:
        _owe(session, call, [appointment], event, {"visit", event}, kind=kind, to=to, sheet=sheet)


def owe_for_appointments(
    session: Session, call: Call, appointments: Sequence[Appointment], event: Event = "visit"
) -> None:
    """The same for visits that are booked together, of which `owe_for_course` brings the news.

    Or that change together, which is the event `course_changed`.
    """
    booked = [appointment for appointment in appointments if appointment.status == "booked"]
    _owe(session, call, booked, event, {"visit", event}, elsewhere=None if event == "visit" else event)


def owe_anew(session: Session, call: Call, appointment: Appointment, why: str) -> None:
    """Owe at the visit's present instant what was owed at another: its wall time is the same, so it is no news.

    The news that it is booked is owed again only when it had not left yet. `why` (one word) is the reason.
    """
    news = [rule.key for rule in message_rules.in_force(session, call) if rule.event == "booked"]
    unheard = select(Message.id).where(
        Message.organization_id == call.organization_id,
        Message.appointment_id == appointment.id,
        Message.rule.in_(news),
        Message.status == "pending",
    )
    event: Event = "booked" if session.execute(unheard).first() else "visit"
    call_off(session, call, appointment, why)
    if appointment.status == "booked":
        _owe(session, call, [appointment], event, {"visit", event})


def owe_again(session: Session, call: Call, appointment: Appointment, why: str) -> None:
    """Owe anew, at a sequence of its own, what a hold that has ended stopped; and a move that is news still.

    Another hold may have ended before, or the visit moved meanwhile: what waits by then is called off for `why`.
    """
    appointment.sequence += 1
    session.flush()
    call_off(session, call, appointment, why, keeping=_take_along(session, call, appointment))
    if telling.told_before(session, call, appointment) is None:
        owe_for_appointments(session, call, [appointment])
        return
    owe_for_appointment(session, call, appointment)
    if appointment.status == "booked":
        owe_change(session, call, appointment, "rescheduled")


def _take_along(session: Session, call: Call, appointment: Appointment) -> Collection[UUID]:
    """Let what is leaving in this moment and tells of the visit as it stands belong to its present sequence.

    So it is neither taken back nor owed a second time, and tried again when it fails. What goes beside it and what it
    says as well go along.
    """
    mine = (
        Message.organization_id == call.organization_id,
        Message.appointment_id == appointment.id,
        Message.sequence == appointment.sequence - 1,
    )
    is_open = Message.status.in_(("pending", "sending")), Message.called_off_at.is_(None)
    held = select(Message.id, Message.rule, Message.kind, Message.context).where(*mine, *is_open)
    true = {
        row.id: row
        for row in session.execute(held.with_for_update(key_share=True))
        if row.kind not in {telling.DIGEST, telling.CORRECTION}
        and datetime.fromisoformat(row.context["about"]) == appointment.starts_at
    }
    leaving = attempts.under_way(session, call, true)
    rules = {true[key].rule for key in leaving}
    leaving |= {key for key, row in true.items() if row.context.get("copies") in rules}
    if not leaving:
        return ()
    along = (
        update(Message)
        .where(*mine, Message.id.in_(leaving) | Message.merged_into.in_(leaving))
        .values(sequence=appointment.sequence)
        .returning(Message.id)
        .execution_options(synchronize_session=False)
    )
    return session.scalars(along).all()


def owe_change(
    session: Session, call: Call, appointment: Appointment, kind: Change, *, only_heard: bool = False
) -> None:
    """Owe the news that a visit has moved or is cancelled, to who was told of it (or was to be) before.

    Who was told of this very time has no news. While other news of changes still waits for the patient, there is one
    message for all. With `only_heard` nobody is told who has not surely heard of it.
    """
    digest = telling.join_digest(session, call, appointment)
    told = telling.told_before(session, call, appointment)
    if told is None or _knows(told, appointment, kind):
        return
    if digest is not None:
        correct_by(session, call, [appointment], Message.id == digest)
        return
    if only_heard and not told.left:
        return
    if tell_with_others(session, call, Changed(appointment, None if told.gone else told.about)):
        return
    previous = told.about if told.about != appointment.starts_at else None
    about = told.about.isoformat() if kind == "cancelled" else None
    _owe(session, call, [appointment], kind, {kind}, previous=previous, about=about)
    its = Message.appointment_id == appointment.id, Message.sequence == appointment.sequence
    correct_by(session, call, [appointment], *its, Message.kind == kind)


def _knows(told: telling.Told, appointment: Appointment, kind: Change) -> bool:
    """Whether the patient believes the visit to be as it is."""
    if kind == "cancelled":
        return told.gone and told.left
    return told.about == appointment.starts_at and not told.gone


def owe_for_course(session: Session, call: Call, owner: Course | Series, appointments: Sequence[Appointment]) -> None:
    """Owe one message for all visits booked together, and once in the owner's life the overview before it begins."""
    booked = [appointment for appointment in appointments if appointment.status == "booked"]
    if not booked:
        return
    first = min(booked, key=lambda appointment: appointment.starts_at)
    mine = telling.about_owner(owner)
    before: int | None = session.scalars(
        select(func.max(Message.sequence)).where(Message.organization_id == call.organization_id, mine)
    ).one()
    rules = [
        rule
        for rule in message_rules.in_force(session, call)
        if rule.event == "course" and (before is None or rule.side == "now")
    ]
    batch = Batch(session, call, [first])
    write(batch, rules, "course", owner=owner, sequence=0 if before is None else before + 1)


def call_off(
    session: Session, call: Call, appointment: Appointment, why: str, *, keeping: Collection[UUID] = ()
) -> None:
    """Nothing owed for the visit so far may start to leave any more but `keeping`, for the reason `why` (one word).

    What is on its way in this moment can't be called back, nor can what was tried and not answered: the patient is owed
    a correction, which goes with the news of the change where there is any (`correcting`). A message for several
    changes stays: it tells of the others too, and of this visit as it is by then.
    """
    # One statement for all: a message that a worker puts back meanwhile must not slip between two.
    never_left = (Message.status != "sending") | (Message.attempts == 0)
    mine = Message.organization_id == call.organization_id, Message.appointment_id == appointment.id
    said_by_these = Message.merged_into.in_(
        select(_host.id).where(_host.organization_id == call.organization_id, _host.appointment_id == appointment.id)
    )
    stopped = session.execute(
        update(Message)
        .where(
            *mine,
            Message.kind != telling.DIGEST,
            Message.id.not_in(keeping),
            Message.status.in_(("pending", "sending")) | (Message.status == "suppressed") & said_by_these,
            Message.called_off_at.is_(None),
        )
        .values(
            status=case((never_left, "suppressed"), else_="sending"),
            reason=why,
            called_off_at=call.now,
        )
        .returning(Message.id, Message.status, Message.kind, Message.context, Message.attempts)
        .execution_options(synchronize_session=False)
    ).all()
    # What of this visit was merged into another's message stays there; what of another was merged into these, goes its
    # own way. What of it was merged into its own is called off with it.
    if stopped:
        part(session, call.organization_id, [row.id for row in stopped if row.status == "suppressed"])
    tried = {row.id for row in stopped if row.attempts and row.status != "sending"}
    may_have_left = attempts.may_have_left(session, call, tried) if tried else ()
    leaving = [row for row in stopped if row.status == "sending" or row.id in may_have_left]
    wrong = [row.context["about"] for row in leaving if row.kind != telling.CORRECTION]
    if wrong:
        _owe(session, call, [appointment], telling.CORRECTION, {telling.CORRECTION}, about=wrong[0])


def _owe(
    session: Session,
    call: Call,
    appointments: Sequence[Appointment],
    event: Event,
    events: set[Event],
    *,
    kind: Kind | None = None,
    to: Addressee | None = None,
    sheet: Sheet | None = None,
    **facts: object,
) -> None:
    if appointments:
        batch = Batch(session, call, appointments, kind=kind, to=to)
        write(batch, batch.rules(events), event, sheet=sheet, **facts)  # type: ignore[arg-type]
