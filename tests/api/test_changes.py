"""Overrides and policies over HTTP: the scope, the faults, what a visit shows, and the codes of the refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.examples import BOOKING, patient, staffed
from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from tests.api.conftest import Person

EARLY = "2030-03-05T07:00:00-05:00"
LIFT = {"rules": ["outside_hours"], "reason": "The patient flies at noon."}


@pytest.fixture
def where(alice: Person) -> str:
    return staffed(alice)


def booking(person: Person, where: str, **more: Any) -> Any:
    ids = {"location_id": where, "patient_id": patient(person)}
    return person.post("/v1/appointments", json=BOOKING | ids | more)


def policy(alice: Person, **policies: Any) -> None:
    tag = {"If-Match": alice.get("/v1/organization").headers["ETag"]}
    assert alice.patch("/v1/organization", json={"policies": policies}, headers=tag).status_code == 200


def test_an_override_takes_its_own_scope_and_stays_on_record(alice: Person, bob: Person, where: str) -> None:
    assert_problem(booking(bob, where, start=EARLY), 409, "outside_hours")
    assert_problem(booking(bob, where, start=EARLY, override=LIFT), 403, "insufficient_scope")
    made = booking(alice, where, start=EARLY, override=LIFT)
    assert made.status_code == 201, made.text
    assert made.json["override"] == LIFT | {"by": "alice", "at": "2030-03-04T12:00:00+00:00"}
    events = alice.get("/v1/audit-events?action=appointment.override").json["items"]
    assert [event["reason"] for event in events] == [LIFT["reason"]]


def test_a_conflict_is_lifted_and_the_calendar_still_holds(alice: Person, where: str) -> None:
    assert booking(alice, where).status_code == 201
    lift = {"rules": ["resource_busy"], "reason": "both at once"}
    made = booking(alice, where, override=lift)
    assert (made.status_code, made.json["override"]["rules"]) == (201, ["resource_busy"])
    assert_problem(booking(alice, where), 409, "resource_busy")


def test_floors_and_unknown_rules_are_faults(alice: Person, where: str) -> None:
    lift = {"rules": ["gate_not_passed", "outside_hours", "gravity"], "reason": "x"}
    assert faults(booking(alice, where, override=lift)) == {
        ("/override/rules/0", "not_overridable"),
        ("/override/rules/2", "unknown_rule"),
    }
    assert faults(booking(alice, where, override={"rules": [], "reason": "x"})) == {("/override/rules", "too_short")}
    assert faults(booking(alice, where, override={"rules": ["lead_time"]})) == {("/override/reason", "required")}


def test_cutoffs_and_moves_go_by_who_asks(alice: Person, bob: Person, where: str) -> None:
    policy(alice, cancel_cutoff_minutes={"patient": 60 * 48}, max_moves={"patient": 0})
    visit = booking(bob, where).json
    path = f"/v1/appointments/{visit['id']}"
    late = bob.post(f"{path}/cancel", json={"reason": "ill", "by": "patient"})
    assert assert_problem(late, 409, "cutoff")["alternatives"] == []
    later = {"start": "2030-03-05T12:00:00-05:00"}
    assert_problem(bob.post(f"{path}/reschedule", json=later | {"by": "patient"}), 409, "too_many_changes")
    lifted = alice.post(
        f"{path}/reschedule", json=later | {"by": "patient", "override": {"rules": ["too_many_changes"], "reason": "x"}}
    )
    assert lifted.json["override"]["rules"] == ["too_many_changes"]
    gone = bob.post(f"{path}/cancel", json={"reason": "ill", "by": "staff", "category": "patient_ill"})
    assert (gone.json["cancelled_by"], gone.json["cancel_category"]) == ("staff", "patient_ill")


def test_a_class_of_reasons_that_is_not_the_clinics(bob: Person, where: str) -> None:
    visit = booking(bob, where).json
    body = {"reason": "ill", "by": "staff", "category": "moon"}
    assert faults(bob.post(f"/v1/appointments/{visit['id']}/cancel", json=body)) == {("/category", "unknown_category")}


def test_availability_and_booking_know_the_patients_lead(alice: Person, bob: Person, where: str) -> None:
    policy(alice, patient_lead_minutes=60 * 48)
    query = {"visit_type": "talk", "location_id": where, "start": BOOKING["start"]}
    assert bob.get("/v1/availability/explain", query_string=query).json["bookable"] is True
    asked = bob.get("/v1/availability/explain", query_string=query | {"by": "patient"}).json
    assert [reason["code"] for reason in asked["reasons"]] == ["lead_time"]
    assert_problem(booking(bob, where, by="patient"), 409, "lead_time")
    assert booking(bob, where).status_code == 201
