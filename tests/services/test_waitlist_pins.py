"""Who is waited for by name and has left: somebody is told which pin it is, until the entry waits for others."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scheduler.core.errors import Invalid
from scheduler.models import Resource, Task
from scheduler.services import resources, waitlist
from scheduler.services.appointments import AppointmentView
from scheduler.services.pins import Pin
from tests.clinic import Clinic
from tests.desk import book
from tests.services.test_waitlist import TEN, cancel, clinic, full, live, offers, sweep, wait

__all__ = ["clinic", "full"]


def leave(clinic: Clinic, who: UUID) -> None:
    row = clinic.do(lambda s, c: resources.get(s, c, resources.PRACTITIONER, who))
    clinic.do(lambda s, c: resources.remove(s, c, resources.PRACTITIONER, who, row.revision))


def to_do(clinic: Clinic) -> list[Task]:
    with Session(clinic.engine) as session:
        return list(session.scalars(select(Task).where(Task.kind == "waitlist_pins")))


def test_somebody_is_told(clinic: Clinic, full: AppointmentView) -> None:
    gone = clinic.staff("therapist")
    entry = wait(clinic, Pin("role:therapist", gone))
    leave(clinic, gone)
    cancel(clinic, full)
    sweep(clinic)
    assert offers(clinic, entry) == []
    [task] = to_do(clinic)
    assert (task.item, task.patient_id, task.status) == (str(entry.id), entry.patient_id, "open")
    said = f"Its pin 1, therapist (role:therapist {gone}): There is no such resource at this location."
    assert said in task.detail
    assert f"PATCH /v1/waitlist-entries/{entry.id}" in task.detail
    other = book(clinic, clinic.patient(), "talk", TEN)
    cancel(clinic, other)
    sweep(clinic)
    assert len(to_do(clinic)) == 1, "it is said once"
    clinic.do(lambda s, c: waitlist.change(s, c, entry.id, entry.revision, {"note": "by the window"}, None))
    assert to_do(clinic)[0].status == "open", "what else changes does not help"
    clinic.do(lambda s, c: waitlist.change(s, c, entry.id, entry.revision + 1, {}, ()))
    assert to_do(clinic)[0].status == "dismissed"
    cancel(clinic, book(clinic, clinic.patient(), "talk", TEN))
    sweep(clinic)
    assert offers(clinic, entry) == ["offered"]


def test_so_it_is_when_only_the_role_has_ended(clinic: Clinic, full: AppointmentView) -> None:
    other = clinic.staff("therapist")
    wait(clinic, Pin("role:therapist", other))
    row = clinic.do(lambda s, c: resources.get(s, c, resources.PRACTITIONER, other))
    values = {"roles": [{"code": "nurse"}]}
    clinic.do(lambda s, c: resources.change(s, c, resources.PRACTITIONER, other, row.revision, values))
    cancel(clinic, full)
    sweep(clinic)
    assert [f"role:therapist {other}): They do not serve as that then." in task.detail for task in to_do(clinic)]


def test_it_ends_with_the_waiting(clinic: Clinic, full: AppointmentView) -> None:
    gone = clinic.staff("therapist")
    entry = wait(clinic, Pin("role:therapist", gone))
    leave(clinic, gone)
    cancel(clinic, full)
    sweep(clinic)
    clinic.do(lambda s, c: waitlist.remove(s, c, entry.id, entry.revision))
    assert [task.status for task in to_do(clinic)] == ["dismissed"]


def test_who_accepts_reads_what_helps(clinic: Clinic, full: AppointmentView) -> None:
    [therapist] = clinic.do(lambda s, c: resources.listing(s, c, resources.PRACTITIONER, limit=9)).items
    entry = wait(clinic, Pin("role:therapist", therapist.id))
    cancel(clinic, full)
    sweep(clinic)
    offer = live(clinic, entry)
    substitute = clinic.staff("therapist")
    with Session(clinic.engine) as session:
        session.execute(update(Resource).where(Resource.id == therapist.id).values(deleted_at=clinic.call.now))
        session.commit()
    with pytest.raises(Invalid) as caught:
        clinic.do(lambda s, c: waitlist.accept(s, c, entry.id, offer))
    [fault] = caught.value.faults
    assert (fault.pointer, fault.code) == ("/offer_id", "unknown_resource")
    assert f"The entry waits for role:therapist {therapist.id} by name: change its pins" in fault.detail
    now = clinic.do(lambda s, c: waitlist.get(s, c, entry.id))
    clinic.do(lambda s, c: waitlist.change(s, c, entry.id, now.revision, {}, ()))
    made = clinic.do(lambda s, c: waitlist.accept(s, c, entry.id, offer))
    assert substitute in {each.resource_id for each in made.participants}
