"""/v1/waitlist-entries over HTTP: from waiting to a visit, with a worker that offers what was freed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.examples import BOOKING, WAITING, patient, staffed
from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock


@pytest.fixture
def where(alice: Person) -> str:
    return staffed(alice)


def tick(engine: Engine, clock: Clock) -> None:
    """What a worker does between messages."""
    from sqlalchemy.orm import Session

    from scheduler.worker import Worker

    worker = Worker(lambda: Session(engine), {}, clock=clock)
    worker.keep_house()
    worker.close()


def waiting(person: Person, where: str, **more: Any) -> dict[str, Any]:
    ids = {"patient_id": patient(person), "location_id": where}
    answer = person.post("/v1/waitlist-entries", json=WAITING | ids | more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def cancelled(person: Person, where: str) -> None:
    """A visit at ten, called off."""
    ids = {"patient_id": patient(person), "location_id": where}
    visit = person.post("/v1/appointments", json=BOOKING | ids).json
    assert (
        person.post(f"/v1/appointments/{visit['id']}/cancel", json={"reason": "ill", "by": "patient"}).status_code
        == 200
    )


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_nobody_waits_for_what_is_over(bob: Person, where: str) -> None:
    """By the location's clock, which shows seven in the morning of 4 March."""
    ids = {"patient_id": patient(bob), "location_id": where}
    over = [{"from": "2030-03-01", "to": "2030-03-03"}, {"to": "2030-03-04", "latest": "06:55"}]
    refused = bob.post("/v1/waitlist-entries", json=WAITING | ids | {"windows": over})
    assert faults(refused) == {("/windows/0/to", "in_the_past"), ("/windows/1/to", "in_the_past")}
    ahead = {"to": "2030-03-04", "latest": "07:00"}
    entry = waiting(bob, where, windows=[*over, ahead])
    tag = {"If-Match": f'"{entry["revision"]}"'}
    refused = bob.patch(f"/v1/waitlist-entries/{entry['id']}", json={"windows": over[:1]}, headers=tag)
    assert faults(refused) == {("/windows/0/to", "in_the_past")}


def test_from_waiting_to_a_visit(bob: Person, engine: Engine, clock: Clock, where: str) -> None:
    entry = waiting(bob, where, windows=[{"weekdays": ["tue"], "earliest": "10:00", "latest": "10:00"}])
    cancelled(bob, where)
    tick(engine, clock)
    path = f"/v1/waitlist-entries/{entry['id']}"
    shown = bob.get(path).json
    (offer,) = shown["offers"]
    assert (shown["status"], offer["status"], offer["expires_at"]) == (
        "offered",
        "offered",
        "2030-03-04T13:00:00+00:00",
    )
    made = bob.post(f"{path}/accept", json={"offer_id": offer["id"]})
    assert (made.status_code, made.json["start"]) == (201, "2030-03-05T10:00:00-05:00")
    assert made.json["patient_id"] == entry["patient_id"]
    assert bob.get(path).json["appointment_id"] == made.json["id"]
    assert_problem(bob.post(f"{path}/decline", json={"offer_id": offer["id"]}), 409, "offer_over")


def test_declined_it_goes_on_to_the_next(bob: Person, engine: Engine, clock: Clock, where: str) -> None:
    window = {"windows": [{"earliest": "10:00", "latest": "10:00"}]}
    first, second = (waiting(bob, where, priority=priority, **window) for priority in (9, 0))
    cancelled(bob, where)
    tick(engine, clock)
    path = f"/v1/waitlist-entries/{first['id']}"
    offer_id = bob.get(path).json["offers"][0]["id"]
    declined = bob.post(f"{path}/decline", json={"offer_id": offer_id})
    assert (declined.status_code, declined.json["status"]) == (200, "waiting")
    tick(engine, clock)
    items = bob.get("/v1/waitlist-entries?status=offered").json["items"]
    assert [item["id"] for item in items] == [second["id"]]


def test_what_is_waited_for_can_change_and_end(bob: Person, where: str) -> None:
    entry = waiting(bob, where, pins=[])
    path, tag = f"/v1/waitlist-entries/{entry['id']}", {"If-Match": '"1"'}
    change = {"notice_minutes": 120, "windows": [{"from": "2030-03-05", "to": "2030-03-09"}]}
    changed = bob.patch(path, json=change, headers=tag)
    assert {name: changed.json[name] for name in change} == change
    assert_problem(bob.delete(path, headers=tag), 412, "precondition_failed")
    assert bob.delete(path, headers={"If-Match": changed.headers["ETag"]}).status_code == 204
    assert_problem(bob.get(path), 404, "not_found")


def test_a_wish_for_somebody_is_kept_as_it_was_said(alice: Person, bob: Person, where: str) -> None:
    [somebody] = alice.get("/v1/practitioners").json["items"]
    pins = [{"role": "therapist", "resource_id": somebody["id"]}]
    assert waiting(bob, where, pins=pins)["pins"] == pins
    ids = {"patient_id": patient(bob), "location_id": where}
    visit = bob.post("/v1/appointments", json=BOOKING | ids | {"pins": pins}).json
    assert visit["pins"] == pins
    path = f"/v1/appointments/{visit['id']}/reschedule"
    moved = bob.post(path, json={"start": "2030-03-05T15:00:00-05:00"})
    assert moved.json["pins"] == pins, "whoever moves it has to know who stays wished for"
    assert bob.post(path, json={"start": visit["start"], "pins": []}).json["pins"] == []


@pytest.mark.parametrize(
    ("more", "pointer", "code"),
    [
        ({"windows": [{"earliest": "12:00", "latest": "10:00"}]}, "/windows/0/latest", "ends_before_start"),
        ({"windows": [{"weekdays": ["noday"]}]}, "/windows/0/weekdays/0", "not_a_choice"),
        ({"priority": -1}, "/priority", "out_of_range"),
        ({"visit_type": "nothing"}, "/visit_type", "unknown_visit_type"),
    ],
)
def test_each_fault_is_named(bob: Person, where: str, more: dict[str, Any], pointer: str, code: str) -> None:
    ids = {"patient_id": patient(bob), "location_id": where}
    assert faults(bob.post("/v1/waitlist-entries", json=WAITING | ids | more)) == {(pointer, code)}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_nobody_waits_for_what_a_clinician_has_to_turn_on_first(alice: Person, bob: Person, where: str) -> None:
    """No time that comes free is ever offered for it: the entry would wait for nothing."""
    [kind] = (each for each in alice.get("/v1/visit-types").json["items"] if each["code"] == WAITING["visit_type"])
    path = f"/v1/visit-types/{kind['id']}"
    off = alice.patch(path, json={"enabled": False}, headers={"If-Match": alice.get(path).headers["ETag"]})
    assert off.status_code == 200
    ids = {"patient_id": patient(bob), "location_id": where}
    refused = bob.post("/v1/waitlist-entries", json=WAITING | ids)
    assert faults(refused) == {("/visit_type", "visit_type_off")}
