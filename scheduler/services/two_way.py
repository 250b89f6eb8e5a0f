"""What happens when a patient texts back: once for each text, whatever the provider repeats. Never a cancellation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast
from uuid import UUID

from sqlalchemy import Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NotFound, SchedulingError
from scheduler.core.oneline import one_line
from scheduler.core.policies import Messaging
from scheduler.core.replies import Reply, meaning
from scheduler.messaging.answers import answer
from scheduler.models import Appointment, InboundText, Organization, PatientKey, new_id
from scheduler.services import opt_outs, outbox, tasks, texted, visit_day

#: How soon somebody should read what a patient wrote.
_SOON = timedelta(hours=1)
#: A number is told so often that somebody will read its text, lest two machines talk to each other.
_TOLD_AGAIN = timedelta(days=1)
_KIND: Final = "text_reply"
#: As much of a text is kept for somebody to read.
_LONGEST = 1500
_OF_EVERYBODY = "en"


@dataclass(frozen=True)
class Incoming:
    """One text as a provider hands it over. `number` is E.164."""

    provider: str
    provider_id: str
    number: str
    body: str


@dataclass(frozen=True)
class _Done:
    """What was made of a text: the answer's kind, if it gets one, and the visit it was about."""

    answer: str | None = None
    appointment_id: UUID | None = None
    task: str | None = None


def who_knows(session: Session, number: str) -> list[UUID]:
    """The organizations that have a patient with this number; every one when none has."""
    known = PatientKey.organization_id == Organization.id, PatientKey.kind == "phone", PatientKey.value == number
    everyone = select(Organization.id).order_by(Organization.id)
    return list(session.scalars(everyone.where(select(PatientKey.patient_id).where(*known).exists()))) or list(
        session.scalars(everyone)
    )


def receive(session: Session, call: Call, incoming: Incoming) -> str:
    """Act on one text; what is to be texted back, or nothing. The same text again changes nothing and says the same.

    Raises NotFound for an organization that is none.
    """
    if session.get(Organization, call.organization_id) is None:
        raise NotFound("There is no such organization.")
    reply = meaning(incoming.body)
    made = _claim(session, call, incoming, reply)
    if made is None:
        same = InboundText.provider == incoming.provider, InboundText.provider_id == incoming.provider_id
        mine = InboundText.organization_id == call.organization_id
        return session.scalars(select(InboundText.answer).where(mine, *same)).one()
    done = _ACTS[reply.intent](session, call, incoming, reply)
    if done.task is not None:
        _ask(session, call, incoming, done)
    row = session.get_one(InboundText, (call.organization_id, made))
    row.appointment_id, row.answer = done.appointment_id, _said(session, call, incoming, reply, done.answer)
    session.flush()
    return row.answer


def _claim(session: Session, call: Call, incoming: Incoming, reply: Reply) -> UUID | None:
    table = cast("Table", InboundText.__table__)
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    wanted = make(table).values(
        organization_id=call.organization_id,
        id=new_id(),
        provider=incoming.provider,
        provider_id=incoming.provider_id,
        number=incoming.number,
        intent=reply.intent,
        answer="",
        received_at=call.now,
    )
    made: UUID | None = session.scalar(wanted.on_conflict_do_nothing().returning(table.c.id))
    return made


def _stop(session: Session, call: Call, incoming: Incoming, reply: Reply) -> _Done:
    """At once, for the class that was answered or for all; a second stop is always for all."""
    number = incoming.number
    manners = Messaging.from_document(session.get_one(Organization, call.organization_id).messaging)
    before = opt_outs.closed(session, call.organization_id, [number]).get(number, frozenset())
    people = _ids(session, call, incoming)
    last = texted.last_class(session, call, number, people) if manners.opt_out == "class" and not before else None
    source = f"text '{incoming.provider}'"
    opt_outs.close(session, call, number, last or opt_outs.ALL, source)
    if last is None:
        opt_outs.record_stop(session, call, number, manners.basis, source)
    task = "A patient stopped the texts, and may mean a visit: it still stands" if reply.ask else None
    # One confirmation is all that the rules allow.
    stopped = "stopped_visit" if reply.ask else "stopped"
    return _Done(None if opt_outs.ALL in before else "stopped_class" if last else stopped, task=task)


def _start(session: Session, call: Call, incoming: Incoming, _reply: Reply) -> _Done:
    source = f"text '{incoming.provider}'"
    opt_outs.open_again(session, call, incoming.number, source)
    opt_outs.record_start(session, call, incoming.number, source)
    outbox.regain(session, call, opt_outs.sharing(session, call, incoming.number))
    return _Done("started")


def _help(_session: Session, _call: Call, _incoming: Incoming, _reply: Reply) -> _Done:
    return _Done("help")


def _yes(session: Session, call: Call, incoming: Incoming, reply: Reply) -> _Done:
    """To what the last texts asked about; where nothing waits and all texts are stopped, what it means to carriers."""
    people = _ids(session, call, incoming)
    asked = texted.asked_about(session, call, incoming.number, people)
    if len(people) > 1:
        asked += _of_others(session, call, incoming, people, {visit.patient_id for visit in asked})
    if all(visit.confirmed_at for visit in asked) and _is_shut(session, call, incoming.number):
        return _start(session, call, incoming, reply)
    return _confirm(session, call, asked)


def _of_others(
    session: Session, call: Call, incoming: Incoming, people: Collection[UUID], known: Collection[UUID]
) -> list[Appointment]:
    """What of other patients with the number waits for an answer, however long ago: no text names whose visit it is."""
    ever = texted.asked_about(session, call, incoming.number, people, together=texted.REMEMBERED)
    others = [visit for visit in ever if visit.patient_id not in known]
    return [visit for visit in others if visit.confirmed_at is None or outbox.is_asked(session, call, visit)]


def _confirm(session: Session, call: Call, asked: Sequence[Appointment]) -> _Done:
    """Confirm the visit that was asked about. When that may be one of several, a person must ask."""
    if not asked:
        return _Done("read", task="A patient texted yes, and was asked about no visit to come")
    if len({visit.patient_id for visit in asked}) > 1:
        return _Done("which", task="A yes from a number that several patients share: whose visit is it?")
    waiting = [visit for visit in asked if visit.confirmed_at is None]
    if len(waiting) > 1:
        return _Done("which", task="A yes to texts about several visits: which of them is it?")
    if not waiting:
        outbox.answered(session, call, asked[0])  # said twice, or to an instruction
        return _Done("confirmed", asked[0].id)
    visit_id = waiting[0].id
    try:
        with session.begin_nested():
            visit_day.confirm(session, call, visit_id)
    except SchedulingError:
        return _Done("read", visit_id, task="A patient texted yes, and the visit cannot be confirmed as it stands")
    return _Done("confirmed", visit_id)


def _other(_session: Session, _call: Call, _incoming: Incoming, _reply: Reply) -> _Done:
    return _Done("read", task="A patient texted something to be read")


_ACTS: dict[str, Callable[[Session, Call, Incoming, Reply], _Done]] = {
    "stop": _stop,
    "start": _start,
    "help": _help,
    "yes": _yes,
    "other": _other,
}


def _ids(session: Session, call: Call, incoming: Incoming) -> list[UUID]:
    return [patient.id for patient in opt_outs.sharing(session, call, incoming.number)]


def _ask(session: Session, call: Call, incoming: Incoming, done: _Done) -> None:
    people = opt_outs.sharing(session, call, incoming.number)
    names = ", ".join(patient.name for patient in people) or "nobody on file"
    tasks.owe(
        session,
        call,
        kind=_KIND,
        key=f"{incoming.provider}:{incoming.provider_id}",
        title=done.task or "",
        detail=f"From {incoming.number} ({names}): {one_line(incoming.body, _LONGEST)}",
        due_at=call.now + _SOON,
        patient_id=people[0].id if len(people) == 1 else None,
        appointment_id=done.appointment_id,
    )


def _said(session: Session, call: Call, incoming: Incoming, reply: Reply, kind: str | None) -> str:
    """The answer in words. A number that is closed gets none but the confirmation that it is, and help when asked."""
    number = incoming.number
    shut = _is_shut(session, call, number)
    if kind is None or (shut and kind not in {"stopped", "stopped_visit", "help"}):
        return ""
    if kind == "read" and _told_since(session, call, number, call.now - _TOLD_AGAIN):
        return ""
    organization = session.get_one(Organization, call.organization_id)
    people = opt_outs.sharing(session, call, number)
    theirs = [one.locale for one in people[:1]]
    # STOP, START and HELP are what our texts in every language name: such a word says nothing of its writer's.
    said = [*theirs, reply.language] if reply.language == _OF_EVERYBODY else [reply.language, *theirs]
    locales = tuple(filter(None, (*said, organization.default_locale)))
    return answer(kind, organization.sender_name, organization.phone, locales)


def _is_shut(session: Session, call: Call, number: str) -> bool:
    return opt_outs.ALL in opt_outs.closed(session, call.organization_id, [number]).get(number, frozenset())


def _told_since(session: Session, call: Call, number: str, since: datetime) -> bool:
    mine = InboundText.organization_id == call.organization_id, InboundText.number == number
    told = InboundText.answer != "", InboundText.intent == "other", InboundText.received_at > since
    return bool(session.scalar(select(func.count()).select_from(InboundText).where(*mine, *told)))
