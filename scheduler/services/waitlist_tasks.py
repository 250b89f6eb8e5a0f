"""Having the staff call who was offered a time: a task for each offer, which ends with it. It makes no offers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.models import CourseSession, Task, WaitlistEntry, WaitlistOffer
from scheduler.services import tasks

KIND: Final = "waitlist_offer"
#: At once, and yet late enough that no notice of other tasks, on its way at this moment, passes this one by.
_AT_ONCE = timedelta(minutes=1)


def owe(session: Session, call: Call, entry: WaitlistEntry, offer: WaitlistOffer, time_zone: str) -> None:
    """Somebody calls the patient, now: the time is kept until the offer ends. `item` is the entry."""
    key = None if entry.course_session_id is None else (call.organization_id, entry.course_session_id)
    start, until = (_shown(instant, time_zone) for instant in (offer.starts_at, offer.expires_at))
    tasks.owe(
        session,
        call,
        kind=KIND,
        key=str(offer.id),
        title=f"Call the patient: {start} is free, and kept until {until}",
        detail=f"The patient waits for a visit '{entry.visit_type}'. Clocks are those of {time_zone}. Answer with"
        f" POST /v1/waitlist-entries/{entry.id}/accept or /decline and the offer_id {offer.id}; unanswered, the time"
        " goes on to the next.",
        due_at=call.now + _AT_ONCE,
        item=str(entry.id),
        patient_id=entry.patient_id,
        course_id=session.get_one(CourseSession, key).course_id if key is not None else None,
        location_id=entry.location_id,
    )


def answered(session: Session, call: Call, offer: WaitlistOffer, note: str) -> None:
    """The patient has said yes or no: nobody needs to call any more."""
    tasks.close(session, call, kind=KIND, key=str(offer.id), note=note)


def over(session: Session, call: Call, offer: WaitlistOffer, why: str) -> None:
    """The offer ended without an answer: there is nothing to call about any more."""
    tasks.withdraw(session, call, why, Task.kind == KIND, Task.key == str(offer.id))


def _shown(instant: datetime, time_zone: str) -> str:
    wall = to_local(instant, time_zone)
    return f"{wall:%A} {wall.day} {wall:%B, %H:%M}"
