"""What is left to people while visits are held: nobody is sent a word about them, so somebody tells the patient."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import zone
from scheduler.models import Appointment, Message

_A_DAY = timedelta(days=1)


def to_tell(session: Session, call: Call, stopped: Sequence[Appointment]) -> str:
    """What to tell of booked visits that are stopped just now: above all the times whose news the hold has stopped."""
    news = select(Message.appointment_id).where(
        Message.organization_id == call.organization_id,
        Message.appointment_id.in_([visit.id for visit in stopped]),
        Message.kind.in_(("booked", "rescheduled")),
        Message.called_off_at == call.now,
        Message.reason == "on_hold",
        Message.rule.not_like("%+%"),  # which went beside what was told
    )
    unheard, times = set(session.scalars(news)), []
    for visit in sorted(stopped, key=lambda each: (each.starts_at, each.id)):
        start = visit.starts_at.astimezone(zone(visit.time_zone))
        times.append(f"{start:%Y-%m-%d %H:%M}{' (of which the patient has not heard)' if visit.id in unheard else ''}")
    return f"Until then the patient gets no message about them, so tell them: {', '.join(times)}."


def urgent_at(stopped: Sequence[Appointment]) -> list[datetime]:
    """When it becomes more urgent to have told them: a day before each."""
    return [visit.starts_at - _A_DAY for visit in stopped]
