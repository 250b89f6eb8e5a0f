"""Level loading over HTTP: what it costs that many begin at once, or nurses are at work, the organization says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.examples import COURSE, PROTOCOL, VISIT_TYPE, WEEK, location, made, patient

if TYPE_CHECKING:
    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def course_of(person: Person, need: dict[str, str]) -> str:
    """A location for courses of one visit that needs this."""
    watched = {"name": "watch", "minutes": 50, "needs": [{**need, "mode": "exclusive"}]}
    made(person, "/v1/visit-types", **VISIT_TYPE | {"code": "talk", "segments": [watched]})
    draft = made(person, "/v1/protocols", **PROTOCOL | {"code": "course"})
    person.post(f"/v1/protocols/{draft}/publish", json={"approved_by": "Dr. Example", "note": "Test."})
    return location(person)


def planned(person: Person, where: str) -> tuple[str, dict[str, Any]]:
    """The best plan of a new course there."""
    course_id = made(person, "/v1/courses", **COURSE | {"patient_id": patient(person), "location_id": where})
    answer = person.post(f"/v1/courses/{course_id}/plans", json={"through": "all"})
    assert answer.status_code == 200, answer.text
    return course_id, answer.json["plans"][0]


def booked(person: Person, where: str) -> str:
    """When the visit of a course is that was booked by its best plan."""
    course_id, best = planned(person, where)
    assert person.post(f"/v1/courses/{course_id}/bookings", json={"plan_token": best["token"]}).status_code == 201
    return str(best["sessions"][0]["start"])


def weigh(person: Person, name: str, weight: int) -> None:
    etag = person.get("/v1/organization").headers["ETag"]
    told = {"policies": {"planning_weights": {name: weight}}}
    assert person.patch("/v1/organization", json=told, headers={"If-Match": etag}).status_code == 200


def starts_by_weight(person: Person, where: str, name: str) -> list[str]:
    """When a further course's visit would be, by what that is worth; nothing is paid for it where it is avoided."""
    starts = []
    for weight in (0, 500):
        weigh(person, name, weight)
        _, found = planned(person, where)
        assert found["score_parts"][name] == 0
        starts.append(str(found["sessions"][0]["start"]))
    return starts


def test_an_organization_says_what_it_is_worth_that_nurses_are_not_all_at_work(alice: Person) -> None:
    where = course_of(alice, {"role": "nurse"})
    for _ in range(2):
        hours = [{**day, "location_id": where} for day in WEEK]
        made(alice, "/v1/practitioners", name="Somebody", roles=[{"code": "nurse"}], hours=hours)
    first = booked(alice, where)
    beside, apart = starts_by_weight(alice, where, "nurse_peak")
    assert beside == first != apart


def test_an_organization_says_what_it_is_worth_that_visits_do_not_begin_at_once(alice: Person) -> None:
    where = course_of(alice, {"room_type": "bay"})
    for _ in range(3):
        made(alice, "/v1/rooms", name="Bay", location_id=where, room_type="bay")
    weigh(alice, "start_profile", 0)
    first = booked(alice, where)
    assert booked(alice, where) == first
    beside, apart = starts_by_weight(alice, where, "start_profile")
    assert beside == first != apart
