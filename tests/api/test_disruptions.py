"""Disruptions and pictures over HTTP: offered, accepted, stale with a fresh repair; drawn without anybody's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from tests.api.examples import BOOKING, course, patient, staffed
from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from tests.api.conftest import Person

TUESDAY = {"from": "2030-03-05T00:00:00-05:00", "to": "2030-03-06T00:00:00-05:00", "reason": "ill"}


@pytest.fixture
def where(alice: Person) -> str:
    return staffed(alice)


def visit(person: Person, where: str, start: str) -> dict[str, Any]:
    body = BOOKING | {"location_id": where, "patient_id": patient(person), "start": start}
    answer = person.post("/v1/appointments", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def test_an_absence_is_repaired_in_one_call_and_accepted_in_another(alice: Person, bob: Person, where: str) -> None:
    booked = visit(bob, where, "2030-03-05T10:00:00-05:00")
    therapist = booked["participants"][0]["resource_id"]
    away = TUESDAY | {"resource_id": therapist}
    offered = bob.post("/v1/disruptions", json=away)
    assert offered.status_code == 200, offered.text
    [moved] = offered.json["diff"]["moved"]
    assert (moved["appointment_id"], moved["from"]) == (booked["id"], "2030-03-05T10:00:00-05:00")
    assert moved["to"] == "2030-03-06T10:00:00-05:00", "the same hour on the nearest day"
    assert (offered.json["diff"]["kept"], offered.json["diff"]["broken"]) == ([], [])
    assert bob.get(f"/v1/absences?resource_id={therapist}").json["items"] == []
    path = f"/v1/disruptions/{offered.json['token']}"
    assert faults(bob.post(f"{path}/accept", json={})) == {("/all", "nothing_chosen")}
    rehearsed = bob.post(f"{path}/accept?dry_run=true", json={"all": True})
    assert rehearsed.status_code == 200
    assert bob.get(f"/v1/appointments/{booked['id']}").json["start"] == booked["start"]
    done = bob.post(f"{path}/accept", json={"appointment_ids": [booked["id"]]})
    assert done.status_code == 200, done.text
    assert [line["to"] for line in done.json["accepted"]["moved"]] == [moved["to"]]
    now = bob.get(f"/v1/appointments/{booked['id']}").json
    assert (now["start"], now["sequence"]) == (moved["to"], 1)
    assert [each["reason"] for each in alice.get(f"/v1/absences?resource_id={therapist}").json["items"]] == ["ill"]
    assert bob.get(path).json["diff"] == {"kept": [], "moved": [], "broken": []}


def test_a_stale_repair_changes_nothing_and_brings_a_fresh_one(bob: Person, where: str) -> None:
    booked = visit(bob, where, "2030-03-05T10:00:00-05:00")
    away = TUESDAY | {"resource_id": booked["participants"][0]["resource_id"]}
    offered = bob.post("/v1/disruptions", json=away).json
    visit(bob, where, offered["diff"]["moved"][0]["to"])
    refused = bob.post(f"/v1/disruptions/{offered['token']}/accept", json={"all": True})
    assert_problem(refused, 409, "plan_stale")
    fresh = refused.json["repair"]
    assert fresh["token"] != offered["token"]
    assert fresh["diff"]["moved"][0]["to"] != offered["diff"]["moved"][0]["to"]
    assert bob.post(f"/v1/disruptions/{fresh['token']}/accept", json={"all": True}).status_code == 200


def test_a_part_is_accepted_and_the_rest_stays_proposed_until_it_is_stale(bob: Person, where: str) -> None:
    first, second = (visit(bob, where, f"2030-03-05T{hour}:00:00-05:00") for hour in ("10", "13"))
    away = TUESDAY | {"resource_id": first["participants"][0]["resource_id"]}
    offered = bob.post("/v1/disruptions", json=away).json
    path = f"/v1/disruptions/{offered['token']}"
    done = bob.post(f"{path}/accept", json={"appointment_ids": [first["id"]]}).json
    [rest] = done["open"]["moved"]
    assert (rest["appointment_id"], rest["to"], rest["after"]) == (second["id"], "2030-03-06T13:00:00-05:00", [])
    assert bob.get(path).json["diff"]["moved"] == [rest], "what is left is still proposed"
    assert bob.get(f"/v1/appointments/{second['id']}").json["start"] == second["start"]
    visit(bob, where, rest["to"])
    refused = bob.post(f"{path}/accept", json={"appointment_ids": [second["id"]]})
    assert_problem(refused, 409, "plan_stale")
    assert refused.json["detail"] == "The visit of Tuesday 5 March, 13:00 no longer fits where it was to go."
    [again] = refused.json["repair"]["diff"]["moved"]
    assert (again["appointment_id"], again["from"]) == (second["id"], second["start"])
    accepted = bob.post(f"/v1/disruptions/{refused.json['repair']['token']}/accept", json={"all": True})
    assert accepted.json["open"] == {"kept": [], "moved": [], "broken": []}
    assert bob.get(f"/v1/appointments/{first['id']}").json["start"] == "2030-03-06T10:00:00-05:00"


def test_a_course_is_drawn_without_the_patients_name(alice: Person) -> None:
    where = course(alice)
    picture = alice.get(f"/v1/courses/{where}/timeline.svg")
    assert (picture.status_code, picture.mimetype) == (200, "image/svg+xml")
    root = ET.fromstring(picture.text)  # noqa: S314 - our own drawing
    assert (root.get("role"), root[0].text) == ("img", "Example, course")
    assert "Robin" not in picture.text
    assert alice.get(f"/v1/courses/{where}/plans/AAAA/timeline.svg").status_code == 422
