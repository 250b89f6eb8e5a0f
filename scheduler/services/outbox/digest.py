"""One message for many changes of a patient's visits: what each visit was, told once, as all are by then.

It waits a little before it leaves. What changes meanwhile joins it; what is as it was again is not told of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.models import Appointment, Course, Message, Series
from scheduler.services import message_rules
from scheduler.services.outbox.correcting import correct_by
from scheduler.services.outbox.owing import owe_change, owe_for_appointment, owe_for_appointments
from scheduler.services.outbox.telling import DIGEST, about_owner, digests, place_of
from scheduler.services.outbox.writing import Batch, write

Owner = tuple[type[Course] | type[Series], UUID]


@dataclass(frozen=True)
class Changed:
    """A visit that has just been moved, cancelled or added. `was` is its start before (aware); None for a new one."""

    appointment: Appointment
    was: datetime | None

    @classmethod
    def since(cls, appointment: Appointment, before: Mapping[str, Any]) -> Changed:
        """By its snapshot before the change. Of a visit that was only pencilled its patient has never been told."""
        known = before["status"] not in {"proposed", "pending"}
        return cls(appointment, before["start"] if known else None)


def owe_for_course_change(session: Session, call: Call, changes: Sequence[Changed]) -> None:
    """Owe the reminders of visits that changed together, and one message for all of them to each patient.

    It is a message of the first course or series among them, or else of the last of the visits; one that changed alone
    is told of as such. The caller has called off what was owed for each before
    (`call_off`), and tells nobody itself.
    """
    standing = [each.appointment for each in changes if each.appointment.status == "booked"]
    owe_for_appointments(session, call, standing, DIGEST)
    groups: dict[UUID, list[Changed]] = defaultdict(list)
    for each in changes:
        groups[each.appointment.patient_id].append(each)
    for together in groups.values():
        told = [each for each in together if each.was is not None or each.appointment.status == "booked"]
        if len(told) == 1:
            _tell_alone(session, call, told[0])
        elif told:
            owner = next(filter(None, (_owner(each.appointment) for each in told)), None)
            _tell_together(session, call, owner, told)


def _owner(appointment: Appointment) -> Owner | None:
    if appointment.course_id is not None:
        return Course, appointment.course_id
    return (Series, appointment.series_id) if appointment.series_id is not None else None


def _tell_alone(session: Session, call: Call, change: Changed) -> None:
    visit = change.appointment
    if change.was is None:
        owe_for_appointment(session, call, visit)
    elif visit.status == "cancelled":
        owe_change(session, call, visit, "cancelled")
    elif visit.starts_at != change.was:
        owe_change(session, call, visit, "rescheduled")


def _tell_together(session: Session, call: Call, key: Owner | None, changes: Sequence[Changed]) -> None:
    entries = {str(each.appointment.id): _entry(each) for each in changes}
    for waiting in digests(session, call, changes[0].appointment, ("pending",)):
        # What it was to tell is told by the new one, from where the patient still believes the visits to be.
        for entry in waiting.context["visits"]:
            new = entries.get(entry["id"], entry)
            entries[entry["id"]] = new | {"was": entry["was"]}
        waiting.status, waiting.reason, waiting.called_off_at = "suppressed", "merged", call.now
    session.flush()
    owner = None if key is None else _row_of(session, call, key)
    rules = [rule for rule in message_rules.in_force(session, call) if rule.event == DIGEST]
    # It is of use until the last of the visits that it tells of would have begun.
    latest = max((each.appointment for each in changes), key=lambda visit: visit.starts_at)
    soonest = min(filter(None, (each.was for each in changes)), default=None)
    write(
        Batch(session, call, [latest]),
        rules,
        DIGEST,
        owner=owner,
        sequence=None if owner is None else _next(session, call, owner),
        previous=soonest,
        more={"visits": list(entries.values())},
    )
    visits = [each.appointment for each in changes]
    correct_by(session, call, visits, Message.patient_id == latest.patient_id, Message.kind == DIGEST)


def _row_of(session: Session, call: Call, key: Owner) -> Course | Series:
    kind, owner_id = key
    found = session.get_one(kind, (call.organization_id, owner_id))
    assert isinstance(found, Course | Series)  # noqa: S101 - by its kind
    return found


def _next(session: Session, call: Call, owner: Course | Series) -> int:
    last: int | None = session.scalars(
        select(func.max(Message.sequence)).where(Message.organization_id == call.organization_id, about_owner(owner))
    ).one()
    return 0 if last is None else last + 1


def _entry(change: Changed) -> dict[str, Any]:
    was = change.was.isoformat() if change.was is not None else None
    return place_of(change.appointment) | {"was": was}
