"""/v1/holds over HTTP: kept, extended, given back, booked; and availability as its holder sees it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.examples import BOOKING, KEPT, patient, staffed
from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock

START = "2030-03-05T10:00:00-05:00"


@pytest.fixture
def where(alice: Person) -> str:
    return staffed(alice)


@pytest.fixture
def held(bob: Person, where: str) -> dict[str, Any]:
    answer = bob.post("/v1/holds", json=KEPT | {"location_id": where, "ttl_seconds": 120})
    assert answer.status_code == 201, answer.text
    return dict(answer.json)


def booking(person: Person, where: str, **more: Any) -> Any:
    body = BOOKING | {"location_id": where, "patient_id": patient(person)} | more
    return person.post("/v1/appointments", json=body)


def release(person: Person, held: dict[str, Any], tag: str = '"1"') -> Any:
    return person.delete(f"/v1/holds/{held['id']}", headers={"If-Match": tag})


def test_a_hold_shows_what_is_kept_and_for_how_long(bob: Person, held: dict[str, Any], where: str) -> None:
    assert (held["start"], held["local_end"], held["location_id"]) == (START, "2030-03-05T10:50:00", where)
    assert held["expires_at"] == "2030-03-04T12:02:00+00:00"
    assert [each["role"] for each in held["participants"]] == ["therapist"]
    shown = bob.get(f"/v1/holds/{held['id']}")
    assert shown.headers["ETag"] == '"1"'
    assert shown.json == held | {"token": None}
    assert [each["id"] for each in bob.get(f"/v1/holds?location_id={where}").json["items"]] == [held["id"]]


def test_only_its_holder_books_it(alice: Person, bob: Person, held: dict[str, Any], where: str) -> None:
    taken = booking(alice, where)
    assert_problem(taken, 409, "resource_busy")
    assert_problem(booking(alice, where, hold_id=held["id"]), 403, "not_the_holder")
    assert_problem(booking(alice, where, hold_id=held["id"], hold_token="wrong"), 403, "not_the_holder")
    booked = booking(alice, where, hold_id=held["id"], hold_token=held["token"])
    assert booked.status_code == 201, booked.text
    assert booked.json["start"] == START
    assert bob.get(f"/v1/holds/{held['id']}").json["ended_at"] == "2030-03-04T12:00:00+00:00"
    assert_problem(booking(bob, where, hold_id=held["id"]), 409, "hold_expired")


def test_the_key_that_made_it_needs_no_token(bob: Person, held: dict[str, Any], where: str) -> None:
    assert booking(bob, where, hold_id=held["id"]).status_code == 201


def test_a_dry_run_uses_nothing_up(bob: Person, held: dict[str, Any], where: str) -> None:
    body = BOOKING | {"location_id": where, "patient_id": patient(bob), "hold_id": held["id"]}
    assert bob.post("/v1/appointments?dry_run=true", json=body).status_code == 201
    assert bob.get(f"/v1/holds/{held['id']}").json["ended_at"] is None


def test_the_token_is_not_told_twice(bob: Person, where: str) -> None:
    body = KEPT | {"location_id": where}
    first, again = (bob.post("/v1/holds", json=body, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert (first.json["id"], again.json["id"]) == (first.json["id"], first.json["id"])
    assert len(first.json["token"]) == 43
    assert again.json["token"] is None


def test_availability_counts_ones_own_hold_as_free(bob: Person, held: dict[str, Any], where: str) -> None:
    query = {"visit_type": "talk", "location_id": where, "start": START}
    assert bob.get("/v1/availability/explain", query_string=query).json["bookable"] is False
    own = bob.get("/v1/availability/explain", query_string=query | {"hold_id": held["id"]})
    assert own.json == {"bookable": True, "reasons": []}


def test_who_looks_with_one_that_is_over_hears_it(bob: Person, held: dict[str, Any], where: str, clock: Clock) -> None:
    """The law: what is offered books. With such a hold nothing does."""
    asked = {"visit_type": "talk", "location_id": where, "hold_id": held["id"]}
    span = {"from": START, "to": "2030-03-05T12:00:00-05:00"}
    assert bob.get("/v1/availability", query_string=asked | span).json["items"][0]["start"] == START
    clock.move(timedelta(minutes=2))
    refused = booking(bob, where, hold_id=held["id"]).json
    explained = bob.get("/v1/availability/explain", query_string=asked | {"start": START}).json
    assert explained == {"bookable": False, "reasons": refused["reasons"]}
    assert_problem(bob.get("/v1/availability", query_string=asked | span), 409, "hold_expired")


def test_who_looks_with_one_for_somebody_else_is_told_so(bob: Person, where: str) -> None:
    theirs = bob.post("/v1/holds", json=KEPT | {"location_id": where, "patient_id": patient(bob)}).json
    asked = {"visit_type": "talk", "location_id": where, "hold_id": theirs["id"], "patient_id": patient(bob)}
    wrong = {("/patient_id", "not_the_holds_patient")}
    assert faults(booking(bob, where, hold_id=theirs["id"])) == wrong
    assert faults(bob.get("/v1/availability/explain", query_string=asked | {"start": START})) == wrong
    span = {"from": START, "to": "2030-03-05T12:00:00-05:00"}
    assert faults(bob.get("/v1/availability", query_string=asked | span)) == wrong


def test_extended_once(alice: Person, bob: Person, clock: Clock, held: dict[str, Any]) -> None:
    clock.move(timedelta(minutes=1))
    path = f"/v1/holds/{held['id']}/extend"
    assert_problem(alice.post(path, json={}), 403, "not_the_holder")
    longer = alice.post(path, json={"token": held["token"], "ttl_seconds": 600})
    assert (longer.json["expires_at"], longer.json["extended"]) == ("2030-03-04T12:11:00+00:00", True)
    assert_problem(bob.post(path, json={}), 409, "already_extended")
    clock.move(timedelta(minutes=10))
    assert_problem(bob.post(path, json={}), 409, "hold_expired")


def test_given_back(bob: Person, held: dict[str, Any], where: str) -> None:
    assert_problem(bob.delete(f"/v1/holds/{held['id']}"), 428, "precondition_required")
    assert release(bob, held).status_code == 204
    assert_problem(release(bob, held), 412, "precondition_failed")
    assert release(bob, held, '"2"').status_code == 204
    assert bob.get("/v1/holds").json["items"] == []
    assert booking(bob, where).status_code == 201


def test_only_who_may_override_gives_anothers_back(
    alice: Person, bob: Person, where: str, held: dict[str, Any]
) -> None:
    mine = alice.post("/v1/holds", json=KEPT | {"location_id": where, "start": "2030-03-05T13:00:00-05:00"}).json
    assert_problem(release(bob, mine), 403, "not_the_holder")
    assert release(alice, held).status_code == 204


def test_one_key_hoards_nothing(alice: Person, bob: Person, where: str) -> None:
    alice.patch("/v1/organization", json={"policies": {"max_holds": 2}}, headers={"If-Match": '"1"'})
    hours = [f"2030-03-05T{hour}:00:00-05:00" for hour in ("09", "10", "11")]
    answers = [bob.post("/v1/holds", json=KEPT | {"location_id": where, "start": start}) for start in hours]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert_problem(answers[2], 409, "too_many_holds")


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"ttl_seconds": 1801}, "/ttl_seconds", "out_of_range"),
        ({"ttl_seconds": 0}, "/ttl_seconds", "out_of_range"),
        ({"hold_id": "00000000-0000-0000-0000-000000000001"}, "/hold_id", "unknown_field"),
        ({"override": {"rules": ["lead_time"], "reason": "x"}}, "/override", "unknown_field"),
        ({"start": "2030-03-05T10:01:00-05:00"}, "/start", "not_on_grid"),
    ],
)
def test_each_fault_is_named(bob: Person, where: str, change: dict[str, Any], pointer: str, code: str) -> None:
    answer = bob.post("/v1/holds", json=KEPT | {"location_id": where} | change)
    assert faults(answer) == {(pointer, code)}


def test_a_hold_that_never_was_is_named_in_the_body(bob: Person, where: str) -> None:
    answer = booking(bob, where, hold_id="00000000-0000-0000-0000-000000000001")
    assert faults(answer) == {("/hold_id", "unknown_hold")}
