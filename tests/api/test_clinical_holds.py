"""Clinical holds and staff tasks over HTTP: who may place and release, what is refused, what the list shows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.examples import made, patient
from tests.api.test_course_terms import Ward
from tests.api.test_visit_day import DOSING, _hours
from tests.coursework import protocol

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock


def test_a_front_desk_holds_and_a_clinician_releases(alice: Person, bob: Person, clock: Clock) -> None:
    made(alice, "/v1/visit-types", name="Dosing", public_name="Visit", **DOSING)
    site = made(alice, "/v1/locations", name="Main", time_zone="America/New_York", hours=_hours())
    shifts = [{**day, "location_id": site} for day in _hours()]
    made(alice, "/v1/practitioners", name="Fern", roles=[{"code": "nurse"}], units=2, hours=shifts)
    whom, start = patient(alice), clock().replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    wanted = {"visit_type": "dosing", "location_id": site, "patient_id": whom, "start": start.isoformat()}
    visit = made(bob, "/v1/appointments", **wanted)
    holds = f"/v1/patients/{whom}/holds"
    body: dict[str, Any] = {"reason": "bp_out_of_range", "deadline": (start + timedelta(days=3)).isoformat()}
    placed = bob.post(holds, json=body, headers={"X-Actor": "Bob"})
    assert (placed.status_code, placed.json["placed_by"]) == (201, "Bob")
    assert (bob.post(holds, json=body).status_code, bob.post(holds, json=body).json["code"]) == (409, "already_exists")
    assert bob.post(holds, json=body | {"reason": "whim"}).json["errors"][0]["pointer"] == "/reason"
    again = bob.post("/v1/appointments", json=wanted | {"start": (start + timedelta(days=1)).isoformat()})
    assert (again.status_code, [reason["code"] for reason in again.json["reasons"]]) == (409, ["on_hold"])
    override = {"rules": ["on_hold"], "reason": "please"}
    assert alice.post("/v1/appointments", json=wanted | {"override": override}).status_code == 422
    assert bob.post(f"/v1/appointments/{visit}/check-in", json={}).json["code"] == "on_hold"
    assert [flag["code"] for flag in bob.get(f"/v1/appointments/{visit}").json["flags"]] == ["on_hold"]
    [task] = bob.get("/v1/tasks", query_string={"patient_id": whom, "status": "open"}).json["items"]
    assert (task["kind"], task["title"]) == ("clinical_hold", "Clinical hold: bp out of range")
    release = f"{holds}/{placed.json['id']}/release"
    said = {"by": "Dr. Lee", "note": "128/82 at rest."}
    assert bob.post(release, json=said).json["code"] == "insufficient_scope"
    assert alice.post(release, json={"by": "Dr. Lee"}).status_code == 422
    tried = alice.post(release, json=said, query_string={"dry_run": "true"})
    assert (tried.status_code, len(bob.get(holds, query_string={"active": "true"}).json["items"])) == (200, 1)
    released = alice.post(release, json=said).json
    [goes_on] = released["visits"]
    shown = alice.get(f"/v1/appointments/{visit}").json
    assert (released["hold"]["released_by"], goes_on["id"]) == ("Dr. Lee", visit)
    assert (goes_on["start"], goes_on["time_zone"]) == (shown["start"], shown["time_zone"])
    assert alice.post(release, json=said).json["code"] == "illegal_transition"
    assert bob.get(holds, query_string={"active": "true"}).json["items"] == []
    assert bob.get(f"/v1/tasks/{task['id']}").json["closed_by"] == "Dr. Lee"
    assert bob.post(f"/v1/tasks/{task['id']}/dismiss", json={"note": "Seen."}).json["code"] == "illegal_transition"
    assert bob.post(f"/v1/appointments/{visit}/check-in", json={}).json["code"] == "checklist_incomplete"


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_plan_says_that_a_hold_stops_it(app: Flask, engine: Engine) -> None:
    """In the words by which its booking is refused. It is made all the same, for the hold may be released by then."""
    it = Ward(app, engine, protocol(2))
    [free] = it.desk.post(f"{it.path}/plans", json={"through": "all"}).json["plans"]
    body = {"reason": "illness", "deadline": "2030-03-20T12:00:00Z"}
    whom = it.desk.get(it.path).json["patient_id"]
    placed = it.desk.post(f"/v1/patients/{whom}/holds", json=body)
    assert placed.status_code == 201, placed.text
    [held] = it.desk.post(f"{it.path}/plans", json={"through": "all"}).json["plans"]
    refused = it.desk.post(f"{it.path}/bookings", json={"plan_token": held["token"]})
    assert (free["on_hold"], refused.status_code, refused.json["code"]) == (None, 409, "on_hold")
    assert held["on_hold"] == refused.json["reasons"][0]["detail"]
