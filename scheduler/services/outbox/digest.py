"""The news of visits that changed in one transaction: what each was, told once to each patient, as all are by then.

It waits a little before it leaves. What changes meanwhile joins it; what is as it was again is not told of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.services.outbox.owing import owe_change, owe_for_appointment, owe_for_appointments
from scheduler.services.outbox.telling import DIGEST
from scheduler.services.outbox.together import Changed, tell_together


def owe_for_course_change(session: Session, call: Call, changes: Sequence[Changed]) -> None:
    """Owe the reminders of visits that changed together, and one message for all of them to each patient.

    One that changed alone is told of as such. The caller has called off what was owed for each before (`call_off`), and
    tells nobody itself.
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
            tell_together(session, call, told)


def _tell_alone(session: Session, call: Call, change: Changed) -> None:
    visit = change.appointment
    if change.was is None:
        owe_for_appointment(session, call, visit)
    elif visit.status == "cancelled":
        owe_change(session, call, visit, "cancelled")
    elif visit.starts_at != change.was:
        owe_change(session, call, visit, "rescheduled")
