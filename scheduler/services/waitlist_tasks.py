"""What the staff has to do for who waits: call who was offered a time, and change what cannot be offered any more.

The task of an offer ends with it. It makes no offers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.errors import Fault
from scheduler.models import CourseSession, Resource, Task, WaitlistEntry, WaitlistOffer
from scheduler.services import tasks
from scheduler.services.pins import pins_of

KIND: Final = "waitlist_offer"
STALE: Final = "waitlist_pins"
#: At once, and yet late enough that no notice of other tasks, on its way at this moment, passes this one by.
_AT_ONCE = timedelta(minutes=1)
_SOON = timedelta(days=1)


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


def stale(session: Session, call: Call, entry: WaitlistEntry, faults: Sequence[Fault]) -> None:
    """Nothing is offered to the entry because of its pins: somebody changes them, or it would wait for nothing."""
    if not faults:
        return
    pins = pins_of(entry)
    which = {int(each.pointer.split("/")[2]): each.detail for each in faults}
    names = _names(session, call, [pins[place].resource_id for place in which])
    said = (
        f"Its pin {place + 1}, {names.get(pins[place].resource_id, 'somebody')} ({pins[place].selector}"
        f" {pins[place].resource_id}): {detail}"
        for place, detail in sorted(which.items())
    )
    tasks.owe(
        session,
        call,
        kind=STALE,
        key=_key(entry),
        title="Change whom a waiting patient is to see: no time can be offered as it is",
        detail=f"The patient waits for a visit '{entry.visit_type}'. {' '.join(said)} Times that come free go to others"
        f" until the entry is changed: PATCH /v1/waitlist-entries/{entry.id} with other pins, or with none.",
        due_at=call.now + _SOON,
        item=str(entry.id),
        patient_id=entry.patient_id,
        location_id=entry.location_id,
    )


def not_stale(session: Session, call: Call, entry: WaitlistEntry) -> None:
    """Its pins are others, or can be kept again, or it waits no more."""
    of_entry = Task.kind == STALE, Task.key.startswith(f"{entry.id}/")
    tasks.withdraw(session, call, "The entry is not what it was.", *of_entry)


def _key(entry: WaitlistEntry) -> str:
    """Whoever dismissed it has seen these pins, and no others."""
    return f"{entry.id}/{','.join(sorted(pin['resource_id'] for pin in entry.pins))}"[:200]


def _names(session: Session, call: Call, ids: Collection[UUID]) -> dict[UUID, str]:
    """Those who have left too."""
    known = select(Resource.id, Resource.name).where(
        Resource.organization_id == call.organization_id, Resource.id.in_(ids)
    )
    return {row.id: row.name for row in session.execute(known)}


def _shown(instant: datetime, time_zone: str) -> str:
    wall = to_local(instant, time_zone)
    return f"{wall:%A} {wall.day} {wall:%B, %H:%M}"
