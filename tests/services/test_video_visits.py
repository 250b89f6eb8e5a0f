"""Visits by video: no room, and whoever serves is licensed where the patient is, at booking and at check-in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.errors import InUse, Invalid, NoFeasiblePlan, Refused
from scheduler.core.visit import parse_visit_type
from scheduler.services import availability, booking, resources, shipped, visit_day, visit_types
from scheduler.services.appointments import AppointmentView
from scheduler.services.availability import Question
from scheduler.services.finding import Wanted
from tests.clinic import Clinic, need, segment, visit_type
from tests.coursework import approve, course, offer
from tests.services.test_plans_join_groups import circles

CALL = visit_type(
    "call", segment("talk", 60, need("role:therapist")), kind="integration", video=True, psychotherapy=True
)
START = "2030-03-04 10:00"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = Clinic(engine)
    made.visit(CALL)
    return made


def therapist(clinic: Clinic, *regions: str, **validity: str) -> UUID:
    who = clinic.staff("therapist")
    license_roles(clinic, who, *regions, **validity)
    return who


def license_roles(clinic: Clinic, who: UUID, *regions: str, **validity: str) -> Any:
    roles = [{"code": "therapist", "regions": list(regions), **validity}]

    def work(session: Any, call: Any) -> Any:
        held = resources.get(session, call, resources.PRACTITIONER, who)
        return resources.change(session, call, resources.PRACTITIONER, who, held.revision, {"roles": roles})

    return clinic.do(work)


def book(clinic: Clinic, region: str | None, start: str = START) -> AppointmentView:
    asked = Wanted(clinic.patient(), "call", clinic.location_id, clinic.at(start), patient_region=region)
    return clinic.do(lambda s, c: booking.book(s, c, asked))


def test_only_who_is_licensed_where_the_patient_is_serves(clinic: Clinic) -> None:
    therapist(clinic, "US-NY")
    licensed = therapist(clinic, "US-NJ", "US-CT")
    assert {each.resource_id for each in book(clinic, "US-NJ").participants} == {licensed}
    with pytest.raises(Refused) as caught:
        book(clinic, "US-CA")
    assert {reason.code for reason in caught.value.reasons} == {"not_qualified"}
    question = Question(
        "call", clinic.location_id, clinic.at("2030-03-05 00:00"), clinic.at("2030-03-06 00:00"), patient_region="US-CT"
    )
    offers, _ = clinic.do(lambda s, c: availability.search(s, c, question, limit=100))
    assert offers
    assert {part.resource_id for offer in offers for part in offer.participants} == {licensed}


def test_a_license_has_its_days_and_a_country_covers_its_parts(clinic: Clinic) -> None:
    therapist(clinic, "US", valid_to="2030-03-04")
    assert book(clinic, "US-WY").row.patient_region == "US-WY"
    with pytest.raises(Refused) as caught:
        book(clinic, "US-WY", "2030-03-05 10:00")
    assert caught.value.code == "not_qualified"


def test_nobody_joins_a_group_that_is_led_by_who_is_not_licensed_where_they_are(clinic: Clinic) -> None:
    clinic.visit(CALL | {"code": "circle", "kind": "group", "group": {"minimum": 1, "maximum": 3}})
    therapist(clinic, "US-NY")

    def join(region: str) -> UUID | None:
        asked = Wanted(clinic.patient(), "circle", clinic.location_id, clinic.at(START), patient_region=region)
        return clinic.do(lambda s, c: booking.book(s, c, asked)).row.group_id

    def offered(region: str) -> bool:
        span = clinic.at(START), clinic.at(START) + timedelta(minutes=5)
        question = Question("circle", clinic.location_id, *span, patient_region=region)
        return bool(clinic.do(lambda s, c: availability.search(s, c, question, limit=9))[0])

    first = join("US-NY")
    assert (offered("US-NY"), offered("US-NJ")) == (True, False)
    with pytest.raises(Refused) as caught:
        join("US-NJ")
    assert "not_qualified" in {reason.code for reason in caught.value.reasons}
    approve(clinic, circles(most=0))
    with pytest.raises(NoFeasiblePlan):
        offer(clinic, course(clinic, patient_region="US-NJ").id)
    assert offer(clinic, course(clinic, patient_region="US-NY").id)
    therapist(clinic, "US-NJ")
    assert (join("US-NY"), join("US-NJ") == first) == (first, False)


def test_where_the_patient_will_be_is_asked(clinic: Clinic) -> None:
    therapist(clinic, "US-NY")
    with pytest.raises(Invalid) as caught:
        book(clinic, None)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/patient_region", "region_required")]


def test_check_in_asks_again(clinic: Clinic) -> None:
    therapist(clinic, "US-NY", "US-NJ")
    made = book(clinic, "US-NY")
    then = {"now": made.row.starts_at - timedelta(minutes=5)}

    def receive(region: str | None) -> Any:
        return clinic.do(lambda s, c: visit_day.check_in(s, c, made.id, patient_region=region), **then)

    with pytest.raises(Invalid):
        receive(None)
    with pytest.raises(Refused) as caught:
        receive("US-CA")
    assert caught.value.code == "not_qualified"
    assert receive("US-NJ").row.patient_region == "US-NJ"


def test_a_lost_license_names_its_visits(clinic: Clinic) -> None:
    who = therapist(clinic, "US-NY", "US-NJ")
    made, other = book(clinic, "US-NY"), book(clinic, "US-NJ", "2030-03-05 10:00")
    changed = license_roles(clinic, who, "US-NY")
    assert [each.id for each in changed.affected_appointments] == [other.id]
    assert [each.id for each in license_roles(clinic, who).affected_appointments] == [made.id]


def test_no_room_and_no_coach(clinic: Clinic) -> None:
    with pytest.raises(Invalid) as caught:
        clinic.visit({**CALL, "code": "odd", "segments": [segment("talk", 60, need("room:x"), need("role:coach"))]})
    assert {fault.code for fault in caught.value.faults} == {"no_room_by_video", "not_licensed"}
    video = next(each for each in shipped.visit_types() if each["code"] == "integration_video")
    assert parse_visit_type(video, {}).video


@pytest.mark.parametrize(
    "other", [{"video": False, "psychotherapy": False}, {"kind": "group", "group": {"maximum": 3}}]
)
def test_visits_ahead_stay_by_video_and_alone(clinic: Clinic, other: dict[str, Any]) -> None:
    """Or they could move no more: where the patient will be would be too much, or too little."""
    therapist(clinic, "US-NY")
    ahead = book(clinic, "US-NY")
    (kind,) = clinic.do(visit_types.listing).items
    with pytest.raises(InUse, match="whether it is by video"):
        clinic.do(lambda s, c: visit_types.change(s, c, kind.id, 1, other))
    clinic.do(lambda s, c: booking.cancel(s, c, ahead.id, reason="x", by="staff"))
    clinic.do(lambda s, c: visit_types.change(s, c, kind.id, 1, other))
