"""Nothing silently stays booked: whatever takes the ground away flags the visit and owes the staff a task for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.models import Task
from scheduler.services import absences, booking, extra_hours, locations, resources, visit_day
from scheduler.services.appointments import AppointmentView
from scheduler.services.impact import Affected
from tests.clinic import Clinic, need, segment, visit_type, week
from tests.desk import TALK, book

SERVICES = Path(__file__).parents[2] / "scheduler" / "services"
SITED = visit_type(
    "sited",
    segment("talk", 60, need("role:therapist"), need("room:consult")),
    requires={"site_certifications": ["licensed"]},
)
MORNING = "2030-03-04 10:00"
#: Outside the weekly hours: it rests on a shift.
EVENING = "2030-03-04 18:00"


class Ground:
    """A clinic with a visit that stands on everything which can be taken away."""

    def __init__(self, engine: Engine) -> None:
        self.clinic = Clinic(engine, hours=week("08:00", "20:00"))
        for document in (TALK, SITED):
            self.clinic.visit(document)
        self.certify([{"code": "licensed"}])
        self.who = self.clinic.staff("therapist", hours=week("08:00", "18:00"))
        self.room = self.clinic.room("consult")
        shift = {"start": self.clinic.at(EVENING), "end": self.clinic.at("2030-03-04 20:00")}
        place = {"resource_id": self.who, "location_id": self.clinic.location_id}
        self.shift = self.clinic.do(lambda s, c: extra_hours.create(s, c, **place, **shift)).id
        self.visit = book(self.clinic, self.clinic.patient(), "sited", MORNING)
        self.late = book(self.clinic, self.clinic.patient(), "talk", EVENING)

    def place(self, **values: Any) -> Sequence[Affected]:
        """Change the location."""

        def work(session: Session, call: Any) -> Sequence[Affected]:
            held = locations.get(session, call, self.clinic.location_id)
            return locations.change(session, call, held.id, held.revision, values).affected_appointments

        return self.clinic.do(work)

    def certify(self, certifications: list[dict[str, Any]]) -> Sequence[Affected]:
        return self.place(certifications=certifications)

    def person(self, **values: Any) -> Sequence[Affected]:
        """Change the therapist."""
        return self._change(resources.PRACTITIONER, self.who, values)

    def thing(self, **values: Any) -> Sequence[Affected]:
        """Change the room."""
        return self._change(resources.ROOM, self.room, values)

    def _change(self, kind: Any, key: UUID, values: dict[str, Any]) -> Sequence[Affected]:
        def work(session: Session, call: Any) -> Sequence[Affected]:
            held = resources.get(session, call, kind, key)
            return resources.change(session, call, kind, key, held.revision, values).affected_appointments

        return self.clinic.do(work)

    def absent(self, who: UUID) -> absences.AbsenceView:
        span = {"start": self.clinic.at("2030-03-04 09:00"), "end": self.clinic.at("2030-03-04 12:00")}
        return self.clinic.do(lambda s, c: absences.create(s, c, resource_id=who, **span))

    def unshift(self) -> Sequence[Affected]:
        return self.clinic.do(lambda s, c: extra_hours.remove(s, c, self.shift, 1))

    def open_tasks(self) -> list[UUID | None]:
        wanted = select(Task.appointment_id).where(Task.kind == "visit_affected", Task.status == "open")
        with Session(self.clinic.engine) as session:
            return list(session.scalars(wanted))

    def flags(self, visit: AppointmentView) -> list[str]:
        return [flag.code for flag in self.clinic.do(lambda s, c: visit_day.get(s, c, visit.id)).flags]


@pytest.fixture
def ground(engine: Engine) -> Ground:
    return Ground(engine)


AFTERNOONS = week("13:00", "20:00")
TAKEN: dict[str, Callable[[Ground], Sequence[Affected]]] = {
    "absence of a person": lambda g: g.absent(g.who).affected_appointments,
    "absence of a room": lambda g: g.absent(g.room).affected_appointments,
    "closure": lambda g: g.place(closures=[{"from": "2030-03-04T09:00", "to": "2030-03-04T12:00"}]),
    "hours of the location": lambda g: g.place(hours=AFTERNOONS),
    "certificate": lambda g: g.certify([]),
    "hours of a person": lambda g: g.person(
        hours=[{**each, "location_id": str(g.clinic.location_id)} for each in week("13:00", "18:00")]
    ),
    "hours of a room": lambda g: g.thing(hours=AFTERNOONS),
}


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
def test_what_loses_its_ground_is_named_flagged_and_owed(ground: Ground, taken: Any) -> None:
    assert ground.flags(ground.visit) == []
    affected = taken(ground)
    assert [each.id for each in affected] == [ground.visit.id]
    assert ground.open_tasks() == [ground.visit.id]
    assert ground.flags(ground.visit) == ["visit_affected"]
    assert ground.flags(ground.late) == []


def test_a_lost_role_and_a_shift_taken_back(ground: Ground) -> None:
    assert [each.id for each in ground.unshift()] == [ground.late.id]
    assert ground.open_tasks() == [ground.late.id]
    assert {each.id for each in ground.person(roles=[])} == {ground.visit.id}
    assert ground.flags(ground.visit) == ground.flags(ground.late) == ["visit_affected"]


def test_ground_that_is_given_back_asks_nobody_any_more(ground: Ground) -> None:
    clinic, hours = ground.clinic, week("08:00", "18:00")
    mended: list[tuple[Callable[[], object], Callable[[], object]]] = [
        (lambda: ground.person(roles=[]), lambda: ground.person(roles=[{"code": "therapist"}])),
        (
            lambda: ground.person(hours=[]),
            lambda: ground.person(hours=[{**each, "location_id": str(clinic.location_id)} for each in hours]),
        ),
        (lambda: ground.certify([]), lambda: ground.certify([{"code": "licensed"}])),
        (lambda: ground.place(hours=AFTERNOONS), lambda: ground.place(hours=week("08:00", "20:00"))),
        (lambda: ground.thing(hours=AFTERNOONS), lambda: ground.thing(hours=None)),
    ]
    for take, give in mended:
        take()
        assert ground.visit.id in ground.open_tasks()
        give()
        assert ground.open_tasks() == []
        assert ground.flags(ground.visit) == ground.flags(ground.late) == []


def test_half_of_it_given_back_is_not_enough_and_a_new_shift_is(ground: Ground) -> None:
    clinic = ground.clinic
    ground.person(roles=[])
    assert set(ground.open_tasks()) == {ground.visit.id, ground.late.id}
    ground.person(roles=[{"code": "therapist", "valid_from": "2030-03-05"}])
    assert set(ground.open_tasks()) == {ground.visit.id, ground.late.id}, "not on that day"
    ground.unshift()
    ground.person(roles=[{"code": "therapist"}])
    assert ground.open_tasks() == [ground.late.id], "its shift is still gone"
    span = {"start": clinic.at(EVENING), "end": clinic.at("2030-03-04 20:00")}
    place = {"resource_id": ground.who, "location_id": clinic.location_id}
    clinic.do(lambda s, c: extra_hours.create(s, c, **place, **span))
    assert ground.open_tasks() == []


def test_the_task_goes_with_its_cause_or_with_the_visit(ground: Ground) -> None:
    made = ground.absent(ground.who)
    ground.clinic.do(lambda s, c: absences.remove(s, c, made.id, made.revision))
    assert ground.open_tasks() == []
    ground.absent(ground.who)
    assert ground.open_tasks() == [ground.visit.id]
    ground.clinic.do(lambda s, c: booking.reschedule(s, c, ground.visit.id, ground.clinic.at("2030-03-05 10:00")))
    assert ground.open_tasks() == []
    assert ground.flags(ground.visit) == []


def test_whoever_looks_for_affected_visits_owes_their_tasks() -> None:
    """A new route that takes ground away is found by this, unless it looks for nobody at all."""
    looking = [path for path in SERVICES.rglob("*.py") if "impact.by_" in path.read_text()]
    assert len(looking) >= 4
    silent = {str(path.relative_to(SERVICES)) for path in looking if "consequences.owe(" not in path.read_text()}
    # The one only proposes: accepting it records an absence; the other asks whether they were owed.
    assert silent == {"disruptions/scene.py", "doctor/promises.py"}
