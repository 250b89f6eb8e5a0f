"""When a message can't do what it was owed for, a person must: the task for the staff that takes its place."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import Invalid
from scheduler.core.reminders import CALL, FOLLOW_UP, UNREACHABLE, UNRECORDED, UNTOLD
from scheduler.messaging.render import CANCELLING
from scheduler.models import Appointment, Message, new_id
from scheduler.services import tasks
from scheduler.services.outbox.composing import plain_letter
from scheduler.services.outbox.judging import Ask, Drop, Judgement, PutOff, Send
from scheduler.services.outbox.scene import Scene
from scheduler.services.outbox.telling import DIGEST
from scheduler.services.outbox.texts import spoken
from scheduler.services.tasks import TaskKind

#: How soon somebody should see to it; and so long before the visit, while that is still ahead.
SOON = timedelta(hours=1)

#: Reasons for which a message was dropped though its patient should have known.
_UNTOLD = frozenset({"over_cap", "exemption", "no_channel"})
_TITLES: dict[TaskKind, str] = {
    "arrival_no_show": "The patient has not arrived",
    CALL: "Nobody has confirmed the visit: call the patient",
    "message_expired": "A message could not be sent in time",
    UNTOLD: "The patient must be told in another way",
    FOLLOW_UP: "No message asks the patient how they are after a visit: call them",
    UNRECORDED: "Nobody has recorded whether the patient came: record it, and see how they are",
    UNREACHABLE: "No message reaches the patient: tell them, or ask how to",
}


#: Tasks for which somebody calls the patient, and so needs words.
_CALLS = frozenset({CALL, UNREACHABLE, UNTOLD, FOLLOW_UP, "message_expired"})
#: Visits of which something is to be said.
_STANDING = frozenset({"booked", "arrived", "checked-in", "fulfilled"})


def raise_tasks(session: Session, call: Call, scene: Scene, message: Message, judgement: Judgement) -> None:
    """Owe the task that this judgement of a message calls for, if any."""
    kind = _kind(message, judgement)
    if kind is not None:
        say = _words(scene, message) if kind in _CALLS else ""
        _owe(session, call, message, kind, say=say, due_at=_soon(scene.visit_of(message), call.now))


def ask(session: Session, call: Call, message: Message, kind: TaskKind) -> None:
    """Owe a task of that kind about one message, with what to say of it as things stand now."""
    scene = Scene.of(session, call, [message])
    due_at = _soon(scene.visit_of(message), call.now)
    _owe(session, call, message, kind, say=_words(scene, message), due_at=due_at)


def _kind(message: Message, judgement: Judgement) -> TaskKind | None:
    match judgement:
        case Ask():
            return cast("TaskKind", message.kind)
        case PutOff(reason="unrecorded") | Drop(status="expired_unsent", reason="unrecorded"):
            return UNRECORDED
        case Drop(status="expired_unsent"):
            return "message_expired"
        case Drop(reason=reason) if reason in _UNTOLD:
            return _instead(reason, message.context.get("class"), is_last=bool(message.context.get("exempt")))
        case _:
            return None


def _instead(reason: str, cls: str | None, *, is_last: bool) -> TaskKind | None:
    """Who has no way, or no text left, is told by a person; of reminders under a cap only the last before a visit."""
    if cls == "check_in":
        return FOLLOW_UP
    if cls == "reminder" and reason == "no_channel":
        return UNREACHABLE
    told = cls in {"change", "instruction"} or (cls == "reminder" and reason == "over_cap" and is_last)
    return UNTOLD if told else None


def _words(scene: Scene, message: Message) -> str:
    """What to say in the call: of a visit that stands, or that it is cancelled."""
    visit = scene.visit_of(message)
    if visit is None or (visit.status not in _STANDING and message.kind not in {*CANCELLING, DIGEST}):
        return ""
    try:
        letter = plain_letter(scene, message, Send("voice", ""), new_id())
    except Invalid:  # its visit type is gone
        return ""
    return f" {spoken(letter, scene.call.now)}"


def _soon(visit: Appointment | None, now: datetime) -> datetime:
    """By when a person is to see to it: whoever is called about a visit ahead is called before it begins."""
    if visit is None or visit.starts_at <= now:
        return now + SOON
    return min(now + SOON, max(now, visit.starts_at - SOON))


def _owe(session: Session, call: Call, message: Message, kind: TaskKind, *, say: str, due_at: datetime) -> None:
    """Owe one task of that kind about the message, or about all that a visit's patient misses; twice is once.

    What climbs from channel to channel and reaches nobody is told once. To ask how they are is one task a day.
    """
    about = str(message.appointment_id) if kind in {UNREACHABLE, UNRECORDED, FOLLOW_UP} else None
    if kind == FOLLOW_UP:
        about = f"{about}/{call.now:%Y-%m-%d}"
    if kind == UNTOLD and message.appointment_id is not None:
        about = f"{message.appointment_id}/{message.sequence}/{message.rule.partition('+')[0]}"
    tasks.owe(
        session,
        call,
        kind=kind,
        key=about or str(message.id),
        title=_TITLES[kind],
        detail=f"Message '{message.kind}'.{say}",
        due_at=due_at,
        patient_id=message.patient_id,
        appointment_id=message.appointment_id,
        course_id=message.course_id,
        message_id=message.id,
    )
