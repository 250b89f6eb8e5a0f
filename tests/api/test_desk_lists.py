"""What a front desk looks up and notes: who has a role, a patient's series, who is in a group, a note on a visit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.examples import REPEATED, appointment, group, made, patient, staffed, webhook
from tests.api.problem import assert_problem

if TYPE_CHECKING:
    from tests.api.conftest import Person

ON_ONE = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def test_practitioners_are_found_by_their_role(alice: Person) -> None:
    """Each database says in its own words that a list holds a code."""
    nurse = made(alice, "/v1/practitioners", name="Ash", roles=[{"code": "nurse"}, {"code": "facilitator"}])
    made(alice, "/v1/practitioners", name="Fern", roles=[{"code": "nurse_lead"}])
    made(alice, "/v1/practitioners", name="Nobody")
    found = {
        role: [each["id"] for each in alice.get("/v1/practitioners", query_string={"role": role}).json["items"]]
        for role in ("nurse", "facilitator", "prescriber")
    }
    assert found == {"nurse": [nurse], "facilitator": [nurse], "prescriber": []}


@ON_ONE
def test_series_are_listed_with_their_visits(bob: Person, alice: Person, charlie: Person) -> None:
    where = staffed(alice)
    known = {}
    for hour in ("15", "17"):
        whom = patient(bob)
        body = REPEATED | {"patient_id": whom, "location_id": where, "start": f"2030-03-05T{hour}:00:00+00:00"}
        known[whom] = made(bob, "/v1/series", **body)
    page = bob.get("/v1/series", query_string={"limit": "1"}).json
    rest = bob.get("/v1/series", query_string={"limit": "1", "cursor": page["next_cursor"]}).json
    assert [each["id"] for each in (*page["items"], *rest["items"])] == list(known.values())
    for whom, series_id in known.items():
        [one] = bob.get("/v1/series", query_string={"patient_id": whom}).json["items"]
        assert one == bob.get(f"/v1/series/{series_id}").json
        assert [visit["patient_id"] for visit in one["appointments"]] == [whom, whom]
    assert charlie.get("/v1/series").json["items"] == []


@ON_ONE
def test_the_visits_of_a_group_are_listed(alice: Person) -> None:
    gathered = group(alice)
    appointment(alice)
    found = alice.get("/v1/appointments", query_string={"group_id": gathered}).json["items"]
    assert [each["group_id"] for each in found] == [gathered]


@ON_ONE
def test_a_note_is_changed_as_it_stands(bob: Person, alice: Person) -> None:
    address, hook = f"/v1/appointments/{appointment(alice)}", webhook(alice)
    before = bob.get(address)
    assert_problem(bob.patch(address, json={"note": "x"}), 428, "precondition_required")
    tag = {"If-Match": before.headers["ETag"]}
    changed = bob.patch(address, json={"note": "Needs the ramp."}, headers=tag)
    assert changed.json == before.json | {"note": "Needs the ramp.", "version": before.json["version"] + 1}
    assert changed.json["sequence"] == before.json["sequence"], "no calendar and no message is told of it"
    assert_problem(bob.patch(address, json={"note": "y"}, headers=tag), 412, "precondition_failed")
    fresh = {"If-Match": changed.headers["ETag"]}
    same = bob.patch(address, json={"note": "Needs the ramp."}, headers=fresh)
    assert same.headers["ETag"] == changed.headers["ETag"], "nothing different is no change"
    steps = bob.get(f"{address}/history").json["items"]
    assert [(step["action"], step["actor"]) for step in steps] == [("book", "alice"), ("note", "bob")]
    assert (steps[-1]["before"], steps[-1]["after"]) == ({"note": ""}, {"note": "Needs the ramp."})
    moved = bob.post(f"{address}/cancel", json={"reason": "ill", "by": "patient"})
    again = bob.patch(address, json={"note": "Called."}, headers={"If-Match": moved.headers["ETag"]})
    undone = bob.post(f"{address}/undo", headers={"If-Match": again.headers["ETag"]})
    assert (undone.json["status"], undone.json["note"]) == ("booked", "Called."), "a note is no move to be undone"
    told = [each["event"] for each in alice.get(f"/v1/webhooks/{hook}/deliveries").json["items"]]
    assert sorted(told) == ["appointment.cancelled", "appointment.undone", *["appointment.updated"] * 2]
