"""Level loading over HTTP: what it costs that nurses are at work already is the organization's, and moves a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.examples import COURSE, PROTOCOL, VISIT_TYPE, WEEK, location, made, patient

if TYPE_CHECKING:
    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def planned(person: Person, where: str) -> tuple[str, dict[str, Any]]:
    """The best plan of a new course there."""
    course_id = made(person, "/v1/courses", **COURSE | {"patient_id": patient(person), "location_id": where})
    answer = person.post(f"/v1/courses/{course_id}/plans", json={"through": "all"})
    assert answer.status_code == 200, answer.text
    return course_id, answer.json["plans"][0]


def test_an_organization_says_what_it_is_worth_that_nurses_are_not_all_at_work(alice: Person) -> None:
    watched = {"name": "watch", "minutes": 50, "needs": [{"role": "nurse", "mode": "exclusive"}]}
    made(alice, "/v1/visit-types", **VISIT_TYPE | {"code": "talk", "segments": [watched]})
    draft = made(alice, "/v1/protocols", **PROTOCOL | {"code": "course"})
    alice.post(f"/v1/protocols/{draft}/publish", json={"approved_by": "Dr. Example", "note": "Test."})
    where = location(alice)
    for _ in range(2):
        hours = [{**day, "location_id": where} for day in WEEK]
        made(alice, "/v1/practitioners", name="Somebody", roles=[{"code": "nurse"}], hours=hours)
    course_id, first = planned(alice, where)
    assert alice.post(f"/v1/courses/{course_id}/bookings", json={"plan_token": first["token"]}).status_code == 201
    for weight, same in ((0, True), (500, False)):
        etag = alice.get("/v1/organization").headers["ETag"]
        told = {"policies": {"planning_weights": {"nurse_peak": weight}}}
        assert alice.patch("/v1/organization", json=told, headers={"If-Match": etag}).status_code == 200
        _, found = planned(alice, where)
        assert (found["sessions"][0]["start"] == first["sessions"][0]["start"]) is same
        assert found["score_parts"]["nurse_peak"] == 0
