"""What is said in a call when its reader presses a key: the message, as things stand by then; a yes; or no more calls.

Keys come signed by the provider, and may be told twice. Which key does what is said in the call itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NotFound, SchedulingError
from scheduler.core.reminders import SPOKEN_KINDS, VOICE
from scheduler.messaging.render import CANCELLING, Spoken
from scheduler.models import Message, new_id
from scheduler.services import contacts, two_way, visit_day
from scheduler.services.outbox import telephone
from scheduler.services.outbox.composing import plain_letter
from scheduler.services.outbox.judging import Send, unwanted
from scheduler.services.outbox.scene import Scene
from scheduler.services.outbox.texts import in_a_call
from scheduler.services.two_way import Incoming

HEAR, STOP = "1", "9"


@dataclass(frozen=True)
class Pressed:
    """One key, in a call that the provider made to `number`. `heard` says that the message had been said before."""

    provider: str
    call_id: str
    number: str
    key: str
    heard: bool


@dataclass(frozen=True)
class Said:
    """What is said now; `next` is what a further key answers: `opening`, `words`, or nothing, and the call ends."""

    words: str
    locale: str
    next: str = ""


def pressed(session: Session, call: Call, message_id: UUID, what: Pressed) -> Said:
    """Act on the key. Raises NotFound for a message that is none, or not told by that call."""
    row = session.get(Message, (call.organization_id, message_id))
    if row is None or row.channel != VOICE or _is_of_another_call(row, what):
        raise NotFound("There is no such message.")
    spoken, is_told = _spoken(session, call, row)
    if what.key == STOP:
        number = contacts.phone(what.number, "/To")
        two_way.receive(session, call, Incoming(what.provider, f"{what.call_id}-stop", number, "STOP"))
        return Said(spoken.stopped, spoken.locale)
    if what.key != HEAR:
        return Said(spoken.opening, spoken.locale, "opening")
    if not is_told:
        return Said(spoken.machine, spoken.locale)
    if what.heard:
        return Said(spoken.confirmed if _confirms(session, call, row) else spoken.machine, spoken.locale)
    _note(session, call, row)
    if row.kind in CANCELLING:
        return Said(spoken.words, spoken.locale)
    return Said(f"{spoken.words} {spoken.confirm}", spoken.locale, "words")


def _is_of_another_call(row: Message, what: Pressed) -> bool:
    """While a call is being handed over nobody has told its id yet, and the row may hold that of the one before."""
    return row.status in {"sent", "delivered"} and row.provider_id not in {what.call_id, None}


def _spoken(session: Session, call: Call, row: Message) -> tuple[Spoken, bool]:
    """The words, and whether they may be said: of what has changed since, whoever hears it is asked to call."""
    scene = Scene.of(session, call, [row])
    visit = scene.visit_of(row)
    if visit is None:
        raise NotFound("What it was about is gone.")
    is_told = row.kind in SPOKEN_KINDS and "visits" not in row.context and unwanted(scene, row, visit) is None
    letter = plain_letter(scene, row, Send(VOICE, ""), new_id())
    return in_a_call(letter, call.now), is_told and row.status in {"sending", "sent", "delivered"}


def _note(session: Session, call: Call, row: Message) -> None:
    wanted = select(Message).where(Message.organization_id == row.organization_id, Message.id == row.id)
    held = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    telephone.note_heard(session.scalars(held).one(), call)
    session.flush()


def _confirms(session: Session, call: Call, row: Message) -> bool:
    if row.kind in CANCELLING or row.appointment_id is None:
        return False
    try:
        with session.begin_nested():
            visit_day.confirm(session, call, row.appointment_id)
    except SchedulingError:
        return False
    return True
