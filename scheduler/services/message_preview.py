"""What a visit or a course would owe by some rules, as it would go out: moved, merged, by which channel, which words.

The rules are carried out upon rows that are never stored, by the very judgments that a worker goes by. Writes nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Fault, Invalid
from scheduler.core.lifecycle import LIVE
from scheduler.core.reminders import VOICE, Rule
from scheduler.messaging.gsm7 import segments, septets
from scheduler.models import Appointment, Course, Message, new_id
from scheduler.services import appointments, courses, message_rules
from scheduler.services.outbox.composing import letter_of
from scheduler.services.outbox.judging import Ask, Drop, PutOff, Send, judge
from scheduler.services.outbox.scene import MERGED_WITHIN, NEWS, WEEK, Scene, is_texted_instruction, joins
from scheduler.services.outbox.texts import in_a_call, in_words
from scheduler.services.outbox.writing import Batch, rows_of
from scheduler.services.patient_links import Links

#: A message that is put off more often than this is shown as it then stands.
_MOST_PUT_OFF = 10


@dataclass(frozen=True)
class Foreseen:
    """One message as it would go out. `status` is `pending`, `suppressed` or `expired_unsent`; `note` why it moved."""

    rule: str
    kind: str
    cls: str
    channel: str
    due_at: datetime
    expires_at: datetime
    recipient_zone: str
    status: str
    reason: str | None
    note: str
    appointment_id: UUID | None
    course_id: UUID | None
    subject: str | None = None
    body: str | None = None
    septets: int | None = None
    segments: int | None = None


def preview(
    session: Session,
    call: Call,
    *,
    appointment_id: UUID | None = None,
    course_id: UUID | None = None,
    rules: Any = None,
    public_url: str = "",
) -> list[Foreseen]:
    """Every message that the visit, or each visit of the course, would owe if it were booked now, by the due time.

    `rules` are documents that need not be stored; by default those in force. With a `public_url` the texts have links,
    which open nothing. Raises NotFound, and Invalid with every fault.
    """
    check_one(call, appointment_id, course_id)
    chosen = message_rules.in_force(session, call) if rules is None else message_rules.checked(session, call, rules)
    course = courses.row_of(session, call, course_id) if course_id is not None else None
    visits = _visits(session, call, appointment_id, course)
    if not visits:
        return []
    for visit in visits:  # as if confirmed: rows that no change of which is ever stored
        session.expunge(visit)
        visit.status = "booked" if visit.status in {"pending", "proposed"} else visit.status
    batch = Batch(session, call, visits)
    messages = [Message(**row) for row in _rows(batch, chosen, course)]
    scene = Scene.of(session, call, messages, Links.of(public_url, ""))
    scene = replace(
        scene,
        appointments={visit.id: visit for visit in visits},
        stops={course.id: [visit for visit in visits if visit.status == "booked"]} if course is not None else {},
        merged={},
        waiting={},
    )
    return sorted(_foreseen(scene, messages), key=lambda each: (each.due_at, each.rule))


def check_one(_: Call, appointment_id: UUID | None, course_id: UUID | None) -> None:
    """Raises Invalid unless one of the two is named."""
    if (appointment_id is None) == (course_id is None):
        raise Invalid([Fault("/appointment_id", "one_of_two", "Name either an appointment or a course.")])


def _visits(session: Session, call: Call, appointment_id: UUID | None, course: Course | None) -> list[Appointment]:
    if course is None:
        assert appointment_id is not None  # noqa: S101 - one of the two is named
        return [appointments.row_of(session, call, appointment_id)]
    wanted = select(Appointment).where(
        Appointment.organization_id == call.organization_id,
        Appointment.course_id == course.id,
        Appointment.status.in_(LIVE),
    )
    return list(session.scalars(wanted.order_by(Appointment.starts_at, Appointment.id)))


def _rows(batch: Batch, rules: Sequence[Rule], course: Course | None) -> Iterator[dict[str, Any]]:
    for visit in batch.visits:
        yield from rows_of(batch, visit, rules, "visit" if course is not None else "booked")
    if course is not None:
        yield from rows_of(batch, batch.visits[0], rules, "course", owner=course, sequence=0)


def _foreseen(scene: Scene, messages: Sequence[Message]) -> Iterator[Foreseen]:
    """Let the time pass: each message in turn, at the moment at which it is due, with those before it sent."""
    # Of one moment the news goes first, as it does when they are claimed.
    turns = [(message.due_at, message.context["class"] != "change", place) for place, message in enumerate(messages)]
    queue = [(*turn, 0) for turn in turns if messages[turn[-1]].status == "pending"]
    heapq.heapify(queue)
    yield from (_shown(scene, message) for message in messages if message.status != "pending")
    while queue:
        due, is_no_news, place, put_off = heapq.heappop(queue)
        message = messages[place]
        if message.merged_into is not None:
            yield _shown(scene, message, note=_host(messages, message))
            continue
        then = _at(scene, messages, message, due)
        judgement = judge(then, message)
        match judgement:
            case PutOff(until=until) if put_off < _MOST_PUT_OFF:
                message.due_at = until
                heapq.heappush(queue, (until, is_no_news, place, put_off + 1))
            case Send(channel=channel):
                letter = letter_of(then, message, judgement, new_id())
                text = in_words(letter, due)
                body = f"{text.body}\n[1] {in_a_call(letter, due).words}" if channel == VOICE else text.body
                note = "" if channel == message.channel else f"by {channel}: no more texts, or none at all"
                message.channel = channel
                _say_once(messages, message)
                shown = _shown(scene, message, note=note)
                if channel == "sms":
                    shown = replace(shown, septets=septets(body), segments=segments(body))
                yield replace(shown, subject=text.subject or None, body=body)
            case Drop(status=status, reason=reason):
                message.status, message.reason = status, reason
                yield _shown(scene, message)
            case Ask() | PutOff():
                yield _shown(scene, message)


def _at(scene: Scene, messages: Sequence[Message], host: Message, now: datetime) -> Scene:
    """The scene at that moment, with what might be said by the host, and the instructions for which texts are kept."""
    ahead = [
        message
        for message in sorted(messages, key=lambda each: each.due_at)
        if message is not host and message.status == "pending" and now <= message.due_at <= now + WEEK
    ]
    soon = [each for each in ahead if each.due_at <= now + MERGED_WITHIN]
    new = {host.appointment_id} if host.kind in NEWS else set()
    return replace(
        scene,
        call=replace(scene.call, now=now),
        foresees=True,
        waiting={host.patient_id: [each for each in soon if joins(each, new)]},
        instructions={host.patient_id: [each for each in ahead if is_texted_instruction(each, now)]},
    )


def _say_once(messages: Sequence[Message], said: Message) -> None:
    """The rung of the ladder that would say the same over the channel that was taken has nothing more to say."""
    rung = said.appointment_id, f"{said.rule}+{said.channel}"
    for message in messages:
        if (message.appointment_id, message.rule) == rung and message.status == "pending":
            message.status, message.reason, message.merged_into = "suppressed", "merged", said.id


def _host(messages: Sequence[Message], merged: Message) -> str:
    host = next(message for message in messages if message.id == merged.merged_into)
    return f"said by {host.rule}"


def _shown(scene: Scene, message: Message, *, note: str = "") -> Foreseen:
    visit = scene.visit_of(message)
    patient = scene.patients[message.patient_id]
    notes = filter(None, (message.context["note"], note))
    return Foreseen(
        rule=message.rule,
        kind=message.kind,
        cls=message.context["class"],
        channel=message.channel,
        due_at=message.due_at,
        expires_at=message.expires_at,
        recipient_zone=patient.time_zone or (visit.time_zone if visit is not None else "UTC"),
        status=message.status,
        reason=message.reason,
        note="; ".join(notes),
        appointment_id=message.appointment_id,
        course_id=message.course_id,
    )
