"""Calendars in patients' mailboxes: who got a visit there by e-mail gets its changes there, whatever way tells of them.

A text that tells of a change takes an e-mail with it, a copy, which has the update for the calendar. It is decided as
the text leaves, so that one change is told once over each channel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, Message, new_id
from scheduler.services.outbox.linking import CHANGING, IN_CALENDARS
from scheduler.services.outbox.scene import Scene
from scheduler.services.outbox.telling import LEFT
from scheduler.services.outbox.writing import insert

MAIL = "email"


def owe_copies(session: Session, call: Call, scene: Scene, texts: Iterable[Message]) -> None:
    """Owe the e-mail that goes with each of these messages, which leave now over another channel, where one is due."""
    asked = [message for message in texts if message.kind in CHANGING and _may_copy(scene, message)]
    if not asked:
        return
    known = _told(session, call, {message.patient_id for message in asked})
    rows = [
        _copy(message, call.now)
        for message in asked
        if any(_holds(row, visit) for visit in _visits(scene, message) for row in known)
    ]
    if rows:
        insert(session, rows)


def key_of(message: Message, channel: str = MAIL) -> str:
    """The rule under which a copy over that channel is owed, as what follows an unanswered message is."""
    return f"{message.rule}+{channel}"


def copy_of(session: Session, message: Message, channel: str) -> Message | None:
    """What goes over that channel beside this message, or has left, and says the same."""
    found = _beside(session, message, key_of(message, channel)) if message.kind in CHANGING else None
    return found if found is not None and found.status in {"pending", *LEFT} else None


def is_copy(message: Message) -> bool:
    """Whether it goes beside another, which tells the same."""
    return "copies" in message.context


def _beside(session: Session, message: Message, rule: str) -> Message | None:
    return session.scalars(
        select(Message).where(
            Message.organization_id == message.organization_id,
            Message.patient_id == message.patient_id,
            Message.appointment_id.is_not_distinct_from(message.appointment_id),
            Message.course_id.is_not_distinct_from(message.course_id),
            Message.series_id.is_not_distinct_from(message.series_id),
            Message.sequence == message.sequence,
            Message.rule == rule,
        )
    ).one_or_none()


def _may_copy(scene: Scene, message: Message) -> bool:
    """Whether the rule of this news knows e-mail, and e-mail reaches whom it is for."""
    context = message.context
    return (
        MAIL in context.get("channels", ())
        and MAIL not in context.get("failed", ())
        and MAIL in scene.person(message.patient_id).addresses(context["class"])
    )


def _visits(scene: Scene, message: Message) -> Sequence[Appointment]:
    told = [scene.appointments[UUID(entry["id"])] for entry in message.context.get("visits", ())]
    visit = None if told else scene.visit_of(message)
    return told if visit is None else [visit]


def _told(session: Session, call: Call, patients: Collection[UUID]) -> Sequence[Any]:
    """What these patients were sent for their calendars."""
    return session.execute(
        select(Message.patient_id, Message.appointment_id, Message.course_id, Message.series_id, Message.context).where(
            Message.organization_id == call.organization_id,
            Message.patient_id.in_(patients),
            Message.channel == MAIL,
            Message.kind.in_(IN_CALENDARS),
            Message.status.in_(LEFT),
        )
    ).all()


def _holds(told: Any, visit: Appointment) -> bool:
    """Whether that e-mail had the visit in it."""
    if told.appointment_id is not None or "visits" in told.context:
        return visit.id == told.appointment_id or any(
            entry["id"] == str(visit.id) for entry in told.context.get("visits", ())
        )
    owner = told.course_id or told.series_id
    return told.patient_id == visit.patient_id and owner in {visit.course_id, visit.series_id}


def _copy(message: Message, now: datetime) -> dict[str, Any]:
    columns = ("organization_id", "patient_id", "appointment_id", "course_id", "series_id", "kind", "recipient")
    return {name: getattr(message, name) for name in (*columns, "sequence", "expires_at")} | {
        "id": new_id(),
        "rule": key_of(message),
        "channel": MAIL,
        "due_at": now,
        "status": "pending",
        "reason": None,
        "attempts": 0,
        "created_at": message.created_at,
        "context": message.context | {"channels": [MAIL], "copies": message.rule},
    }
