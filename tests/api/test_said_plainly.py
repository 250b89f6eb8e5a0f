"""What cannot be meant is refused, all of it at once; what is refused is told by the clinic's clock. One database."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.api.conftest import Person, make_key
from tests.api.examples import BOOKING, REPEATED, WAITING, made, patient, staffed, webhook
from tests.api.problem import assert_problem, faults
from tests.coursework import accept, approve, course, offer, open_course_clinic, protocol

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

    from tests.plumbing.clock import Clock

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

OFF_GRID = "2030-03-05T10:02:00-05:00"
SPAN = {"from": "2030-03-05T00:00:00-05:00", "to": "2030-03-06T00:00:00-05:00"}


@pytest.fixture
def where(alice: Person) -> str:
    return staffed(alice)


def test_every_fault_of_a_booking_at_once(alice: Person, where: str) -> None:
    pins = [{"role": "therapist", "room_type": "talk", "resource_id": str(uuid4())}, {"resource_id": "x"}]
    rules = ["resource_busy", "patient_busy", "nonsense"]
    wrong = {"start": OFF_GRID, "pins": pins, "override": {"rules": rules, "reason": ""}, "colour": "blue"}
    body = BOOKING | {"patient_id": patient(alice), "location_id": where} | wrong
    assert faults(alice.post("/v1/appointments", json=body)) == {
        ("/start", "not_on_grid"),
        ("/pins/0", "need_names_one"),
        ("/pins/0/resource_id", "unknown_resource"),
        ("/pins/1", "need_names_one"),
        ("/pins/1/resource_id", "invalid_id"),
        ("/override/rules/1", "not_overridable"),
        ("/override/rules/2", "unknown_rule"),
        ("/override/reason", "blank"),
        ("/colour", "unknown_field"),
    }


@pytest.mark.parametrize("path", ["/v1/series", "/v1/series/preview"])
def test_a_series_is_on_the_grid_and_of_no_course(alice: Person, where: str, path: str) -> None:
    ids = {"patient_id": patient(alice), "location_id": where, "course_session_id": str(uuid4())}
    asked = alice.post(path, json=REPEATED | ids | {"start": OFF_GRID})
    assert faults(asked) == {("/start", "not_on_grid"), ("/course_session_id", "unknown_field")}


def test_a_series_that_meets_others_names_each_of_its_dates(alice: Person, where: str) -> None:
    for start in ("2030-03-05T10:00:00-05:00", "2030-03-19T10:30:00-04:00"):
        theirs = BOOKING | {"patient_id": patient(alice), "location_id": where, "start": start}
        made(alice, "/v1/appointments", **theirs)
    body = REPEATED | {"patient_id": patient(alice), "location_id": where, "rule": "FREQ=WEEKLY;COUNT=3"}
    told = assert_problem(alice.post("/v1/series", json=body), 409, "resource_busy")
    assert [each["detail"][:16] for each in told["reasons"]] == ["2030-03-05T10:00", "2030-03-19T10:00"]


def test_what_stands_in_the_way_and_what_is_free_is_told_by_the_clinics_clock(alice: Person, where: str) -> None:
    """Asked in UTC; people at the desk read what their wall shows."""
    body = BOOKING | {"location_id": where}
    made(alice, "/v1/appointments", **body | {"patient_id": patient(alice)})
    refused = alice.post("/v1/appointments", json=body | {"patient_id": patient(alice)})
    told = assert_problem(refused, 409, "resource_busy")
    [reason] = told["reasons"]
    assert (reason["from"], reason["to"]) == ("2030-03-05T10:00:00-05:00", "2030-03-05T10:50:00-05:00")
    assert told["alternatives"][0] == "2030-03-05T09:00:00-05:00"
    late = alice.post("/v1/appointments", json=body | {"patient_id": patient(alice), "start": "2032-03-05T15:00:00Z"})
    assert assert_problem(late, 409, "horizon")["alternatives"][-1] == "2031-03-03T17:10:00-05:00", "as late as may be"
    query = {"visit_type": "talk", "location_id": where, "start": BOOKING["start"]}
    assert alice.get("/v1/availability/explain", query_string=query).json["reasons"] == told["reasons"]
    ids = {"patient_id": patient(alice), "location_id": where}
    looked = alice.post("/v1/series/preview", json=REPEATED | ids).json["occurrences"]
    assert [(each["start"], each["bookable"]) for each in looked] == [
        ("2030-03-05T10:00:00-05:00", False),
        ("2030-03-12T10:00:00-04:00", True),
    ]


def test_a_question_that_no_time_can_answer_is_refused(alice: Person, where: str) -> None:
    asked = {"visit_type": "talk", "location_id": where}
    backwards = asked | {"from": SPAN["to"], "to": SPAN["from"], "step": "7", "earliest": "16:00", "latest": "09:00"}
    assert faults(alice.get("/v1/availability", query_string=backwards)) == {
        ("/to", "bad_span"),
        ("/step", "not_on_grid"),
        ("/latest", "ends_before_start"),
    }
    for path in ("appointments", "groups", "absences", "extra-hours", "messages", "audit-events"):
        answer = alice.get(f"/v1/{path}", query_string={"from": SPAN["to"], "to": SPAN["from"]})
        assert faults(answer) == {("/to", "bad_span")}, path


def test_a_question_about_what_never_was_is_no_question(alice: Person, where: str) -> None:
    asked = {"visit_type": "talk", "location_id": where, **SPAN}
    for name in ("exclude_appointment", "hold_id", "course_session_id"):
        assert_problem(alice.get("/v1/availability", query_string=asked | {name: str(uuid4())}), 404, "not_found")
    [therapist] = alice.get("/v1/practitioners").json["items"]
    answer = alice.get("/v1/availability", query_string=asked | {"room_id": therapist["id"]})
    assert faults(answer) == {("/room_id", "no_such_need")}, "a person is no room"


def test_who_waits_for_somebody_waits_for_who_can_serve(alice: Person, where: str) -> None:
    pins = [{"role": "nurse", "resource_id": str(uuid4())}, {"role": "therapist", "resource_id": str(uuid4())}]
    body = WAITING | {"patient_id": patient(alice), "location_id": where, "pins": pins}
    wrong = {("/pins/0", "no_such_need"), *((f"/pins/{place}/resource_id", "unknown_resource") for place in (0, 1))}
    assert faults(alice.post("/v1/waitlist-entries", json=body)) == wrong
    entry = alice.post("/v1/waitlist-entries", json=body | {"pins": []})
    address, tag = f"/v1/waitlist-entries/{entry.json['id']}", {"If-Match": entry.headers["ETag"]}
    assert faults(alice.patch(address, json={"pins": pins}, headers=tag)) == wrong


def test_conflict_is_another_word_for_somebody_busy(alice: Person, where: str) -> None:
    body = BOOKING | {"location_id": where}
    made(alice, "/v1/appointments", **body | {"patient_id": patient(alice)})
    lifted = {"override": {"rules": ["conflict"], "reason": "A friend of the house."}}
    both = alice.post("/v1/appointments", json=body | lifted | {"patient_id": patient(alice)})
    assert both.json["override"]["rules"] == ["resource_busy"], both.text


def test_a_series_is_moved_by_a_patient_within_the_cutoff(alice: Person, where: str) -> None:
    told = webhook(alice)
    policies = {"policies": {"reschedule_cutoff_minutes": {"patient": 3 * 24 * 60}}}
    assert alice.patch("/v1/organization", json=policies, headers={"If-Match": '"1"'}).status_code == 200
    ids = {"patient_id": patient(alice), "location_id": where}
    first, second = alice.post("/v1/series", json=REPEATED | ids).json["appointments"]
    address = f"/v1/appointments/{first['id']}/reschedule-series"
    body = {"start": "2030-03-05T12:00:00-05:00", "scope": "all"}
    assert_problem(alice.post(address, json=body | {"by": "patient"}), 409, "cutoff")
    why = {"by": "staff", "reason": "The therapist asked.", "category": "staff_absent"}
    moved = alice.post(address, json=body | why).json["appointments"]
    assert [each["local_start"][11:16] for each in moved] == ["12:00", "12:00"]
    steps = alice.get(f"/v1/appointments/{second['id']}/history").json["items"]
    assert [(each["action"], each["reason"]) for each in steps] == [("book", None), ("reschedule", why["reason"])]
    assert steps[-1]["after"]["category"] == "staff_absent"
    assert moved[0]["sequence"] == 1
    heard = alice.get(f"/v1/webhooks/{told}/deliveries").json["items"]
    assert Counter(each["event"] for each in heard) == {"appointment.booked": 2, "appointment.rescheduled": 2}
    listed = alice.get("/v1/appointments", query_string={"series_id": first["series_id"]}).json["items"]
    assert [each["id"] for each in listed] == [first["id"], second["id"]]


def test_the_session_of_a_course_is_looked_for_by_its_course(app: Flask, engine: Engine, clock: Clock) -> None:
    """What the course forbids is not offered, and is explained as the booking refuses it."""
    clinic = open_course_clinic(engine)
    approve(clinic, protocol())
    made_course = course(clinic)
    booked = accept(clinic, made_course.id, offer(clinic, made_course.id)[0].token)
    desk = Person(app, clinic.call.organization_id, make_key(engine, clock, clinic.call.organization_id, "admin")[1])
    first, second, *_ = (each.row for each in booked if each.row.visit_type == "dose")
    cancelled = desk.post(f"/v1/appointments/{second.id}/cancel", json={"reason": "Work.", "by": "patient"})
    assert cancelled.status_code == 200, cancelled.text
    day = first.starts_at.date().isoformat()
    ids: dict[str, Any] = {"patient_id": str(first.patient_id), "location_id": str(first.location_id)}
    asked = ids | {"visit_type": "dose", "course_session_id": str(second.course_session_id)}
    found = desk.get(
        "/v1/availability", query_string=asked | {"from": f"{day}T00:00:00Z", "to": "2030-04-01T00:00:00Z"}
    )
    soonest = found.json["items"][0]["start"]
    body = asked | {"start": soonest}
    assert desk.post("/v1/appointments?dry_run=true", json=body).status_code == 201
    early = f"{day}T20:00:00Z"
    explained = desk.get("/v1/availability/explain", query_string=asked | {"start": early}).json["reasons"]
    told = desk.post("/v1/appointments", json=asked | {"start": early}).json
    assert told["code"] == "gap_too_short", told
    assert explained == told["reasons"]
    steps = desk.get(f"/v1/appointments/{first.id}/history").json["items"]
    assert [each["action"] for each in steps] == ["book"], "its life begins with its booking, in a course too"
