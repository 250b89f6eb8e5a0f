"""Where a course requires the same person throughout, nobody else is put in: by a plan, by its token, by a repair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.errors import PlanStale, Refused
from scheduler.core.intervals import Span
from scheduler.models import Appointment, Occupancy, Resource
from scheduler.services import availability, booking, disruptions, holds
from scheduler.services.availability import Question
from scheduler.services.disruptions import Offer
from scheduler.services.disruptions.lines import Line
from scheduler.services.finding import Wanted
from scheduler.services.pins import Pin
from tests.clinic import Clinic, need, segment, visit_type
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol

THERAPIST = "role:therapist"
_PAIR = {"doctor", "guide"}


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    """Two therapists, and rooms for both."""
    made = open_course_clinic(engine)
    made.staff("therapist")
    made.room("consult")
    approve(made, protocol())
    return made


def therapists(clinic: Clinic) -> list[UUID]:
    with Session(clinic.engine) as session:
        return list(session.scalars(select(Resource.id).where(Resource.name == "therapist").order_by(Resource.id)))


def taken(clinic: Clinic, who: UUID, start: datetime) -> None:
    """Somebody else's talk with that therapist."""
    rival = Wanted(clinic.patient(), "talk", clinic.location_id, start, pins=(Pin(THERAPIST, who),))
    clinic.do(lambda s, c: booking.book(s, c, rival))


def talks(clinic: Clinic, course_id: UUID) -> list[tuple[Appointment, UUID]]:
    """The course's talks in order of time, each with its therapist."""
    wanted = select(Appointment).where(Appointment.course_id == course_id, Appointment.visit_type == "talk")
    with Session(clinic.engine, expire_on_commit=False) as session:
        rows = session.scalars(wanted.order_by(Appointment.starts_at)).all()
        return [(row, _therapist(session, row)) for row in rows]


def _therapist(session: Session, row: Appointment) -> UUID:
    served = select(Occupancy.resource_id).where(Occupancy.appointment_id == row.id, Occupancy.role == THERAPIST)
    return session.scalars(served).one()


def ill(clinic: Clinic, who: UUID, start: datetime, days: int = 1) -> Offer:
    midnight = start.replace(hour=5, minute=0)
    span = Span(midnight, midnight + timedelta(days=days))
    return clinic.do(lambda s, c: disruptions.offer(s, c, who, span.start, span.end, "ill"))


def repaired(clinic: Clinic, found: Offer) -> tuple[Line, ...]:
    return clinic.do(lambda s, c: disruptions.accept(s, c, found.token, everything=True)).done


def test_of_two_who_are_named_one_serves_it_all_though_the_other_fits_tighter(clinic: Clinic) -> None:
    both = therapists(clinic)
    wish: dict[str, Any] = {"practitioner_ids": [str(each) for each in both], "continuity": "required"}
    [before] = offer(clinic, course(clinic, **wish).id)
    ends = [each.end for each in before.plan.sessions if each.spec.step == "talk"]
    for place, end in enumerate(ends):  # right after each talk another one of the two is busy, so that they fit best
        taken(clinic, both[place % 2], end)
    made = course(clinic, **wish)
    [best] = offer(clinic, made.id)
    accept(clinic, made.id, best.token)
    assert {who for _, who in talks(clinic, made.id)} == {best.plan.plan.primaries["therapist"]}


def test_whose_person_was_taken_meanwhile_gets_a_fresh_plan_and_nobody_else(clinic: Clinic) -> None:
    made = course(clinic, continuity="required")
    [best] = offer(clinic, made.id)
    person = best.plan.plan.primaries["therapist"]
    assert isinstance(person, UUID)
    taken(clinic, person, next(each.start for each in best.plan.sessions if each.spec.step == "talk"))
    with pytest.raises(PlanStale, match="the same therapist"):
        accept(clinic, made.id, best.token)
    assert talks(clinic, made.id) == []
    [fresh] = offer(clinic, made.id)
    accept(clinic, made.id, fresh.token)
    assert len({who for _, who in talks(clinic, made.id)}) == 1


def test_nobody_stands_in_by_a_repair_for_who_must_be_the_same(clinic: Clinic) -> None:
    clinic.staff("nurse")
    made = course(clinic, continuity="required")
    [best] = offer(clinic, made.id)
    booked = accept(clinic, made.id, best.token)
    (_, person), (visit, _), _ = talks(clinic, made.id)
    [line] = [each for each in ill(clinic, person, visit.starts_at).lines if each.struck]
    assert (line.outcome, line.code) == ("moved", "same_person")
    [line] = [each for each in ill(clinic, person, visit.starts_at, 300).lines if each.appointment_id == visit.id]
    assert (line.outcome, line.code) == ("broken", "same_person")
    dose = next(view for view in booked if view.row.visit_type == "dose")
    nurse = next(each.resource_id for each in dose.participants if each.role == "nurse")
    assert {each.outcome for each in ill(clinic, nurse, dose.row.starts_at).lines} == {"kept"}, "others may change"
    found = ill(clinic, person, visit.starts_at)
    assert repaired(clinic, found)
    assert {who for _, who in talks(clinic, made.id)} == {person}


def test_a_repair_whose_person_was_taken_meanwhile_is_stale(clinic: Clinic) -> None:
    made = course(clinic, continuity="required")
    accept(clinic, made.id, offer(clinic, made.id)[0].token)
    (_, person), (visit, _), _ = talks(clinic, made.id)
    found = ill(clinic, person, visit.starts_at)
    [moved] = [each for each in found.lines if each.appointment_id == visit.id]
    assert moved.to is not None
    taken(clinic, person, moved.to)
    with pytest.raises(PlanStale):
        repaired(clinic, found)
    assert {who for _, who in talks(clinic, made.id)} == {person}


def test_a_session_booked_or_moved_by_itself_keeps_its_person_too(clinic: Clinic) -> None:
    """What is offered, explained, held, booked and moved: wherever only the other therapist is free, none of it is."""
    made = course(clinic, continuity="required")
    accept(clinic, made.id, offer(clinic, made.id)[0].token)
    (visit, person), *others = talks(clinic, made.id)
    assert {who for _, who in others} == {person}
    [other] = {*therapists(clinic)} - {person}
    eight, home = clinic.at(f"{visit.local_start[:10]} 08:00"), visit.starts_at
    taken(clinic, person, home + timedelta(hours=1))
    asked = Question("talk", clinic.location_id, eight, eight + timedelta(hours=10), patient_id=visit.patient_id)
    asked = replace(asked, course_session_id=visit.course_session_id)
    moving = replace(asked, exclude_appointment=visit.id)
    busy = home + timedelta(minutes=30)

    def agreed(question: Question, take: Callable[[datetime], Any]) -> None:
        offers, _ = clinic.do(lambda s, c: availability.search(s, c, question, limit=500))
        assert offers
        assert {who for each in offers for who, _ in each.party.shares} & {*therapists(clinic)} == {person}
        assert busy not in {each.start for each in offers}
        found = clinic.do(lambda s, c: availability.explain(s, c, replace(question, since=busy)))
        [reason] = [each for each in found.reasons if each.role == "therapist"]
        assert (reason.code, reason.resource_id) == ("resource_busy", person)
        assert reason.detail.endswith("The course requires the same person throughout.")
        with pytest.raises(Refused) as caught:
            take(busy)
        assert [each for each in caught.value.reasons if each.role == "therapist"] == [reason]

    agreed(moving, lambda at: clinic.do(lambda s, c: booking.reschedule(s, c, visit.id, at)))
    clinic.do(lambda s, c: booking.cancel(s, c, visit.id, reason="ill", by="patient"))
    wish = Wanted(visit.patient_id, "talk", clinic.location_id, home, course_session_id=visit.course_session_id)
    agreed(asked, lambda at: clinic.do(lambda s, c: holds.create(s, c, replace(wish, start=at))))
    agreed(asked, lambda at: clinic.do(lambda s, c: booking.book(s, c, replace(wish, start=at))))
    with pytest.raises(Refused):
        clinic.do(lambda s, c: booking.book(s, c, replace(wish, pins=(Pin(THERAPIST, other),))))
    held = clinic.do(lambda s, c: holds.create(s, c, wish))
    again = clinic.do(lambda s, c: holds.book(s, c, wish, held.id, held.token))
    assert person in {each.resource_id for each in again.participants}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("prescribers", [1, 2])
def test_who_could_be_both_is_one_of_them_where_both_are_wanted_at_once(clinic: Clinic, prescribers: int) -> None:
    """Whoever prescribes and treats is the first choice for either role, and cannot be in one visit twice."""
    pair = need("role:doctor"), need("role:guide")
    clinic.visit(visit_type("pair", segment("pair", 60, *pair, need("room:bay")), kind="dosing", modality="iv"))
    for roles in (("doctor", "guide"), ("guide",), *[("doctor",)] * (prescribers - 1)):
        clinic.staff(*roles)
    document = protocol(2) | {"code": "pair", "continuity": ["doctor", "guide"]}
    document["phases"][1]["steps"] = [document["phases"][1]["steps"][0] | {"visit_type": "pair"}]
    approve(clinic, document)
    made = course(clinic, code="pair", continuity="required")
    [best] = offer(clinic, made.id)
    pairs = [view for view in accept(clinic, made.id, best.token) if view.row.visit_type == "pair"]
    served = [{each.role: each.resource_id for each in view.participants if each.role in _PAIR} for view in pairs]
    assert served == [served[0]] * 2
    assert served[0] == {role: best.plan.plan.primaries[role] for role in _PAIR}
    assert served[0]["doctor"] != served[0]["guide"]
