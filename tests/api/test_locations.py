"""/v1/locations over HTTP: the shape shown, all faults at once, and the way through a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from tests.api.conftest import Person

MAIN = {
    "name": "Main",
    "time_zone": "America/New_York",
    "address": "1 Pier\nHarbor",
    "hours": [{"weekday": "mon", "start": "08:00", "end": "24:00", "valid_from": "2030-01-01"}],
    "closures": [{"from": "2030-12-24T12:00", "to": "2030-12-26", "reason": "Holidays"}],
    "certifications": [{"code": "esketamine_rems", "valid_from": "2030-01-01", "valid_to": None}],
    "holidays": None,
}


def test_a_location_comes_back_as_it_was_sent(alice: Person) -> None:
    made = alice.post("/v1/locations", json=MAIN)
    assert made.status_code == 201
    assert made.json == MAIN | {key: made.json[key] for key in ("id", "revision", "created_at")}
    assert made.headers["Location"] == f"/v1/locations/{made.json['id']}"
    shown = alice.get(made.headers["Location"])
    assert (shown.json, shown.headers["ETag"]) == (made.json, '"1"')
    assert alice.get("/v1/locations").json == {"items": [made.json], "next_cursor": None}


def test_a_bare_location_shows_empty_lists(alice: Person) -> None:
    made = alice.post("/v1/locations", json={"name": "Main", "time_zone": "UTC"}).json
    assert (made["address"], made["hours"], made["closures"], made["certifications"]) == ("", [], [], [])


def test_all_faults_are_named_at_once(alice: Person) -> None:
    answer = alice.post(
        "/v1/locations",
        json={
            "name": " ",
            "time_zone": "Mars/Olympus",
            "hours": [
                {"weekday": "monday", "start": "24:00", "end": "9:00"},
                {
                    "weekday": "mon",
                    "start": "09:00",
                    "end": "17:00",
                    "valid_from": "2030-02-02",
                    "valid_to": "2030-02-01",
                },
                {"weekday": "mon", "start": "09:00"},
            ],
            "closures": [{"from": "soon", "to": "2030-02-30"}, {"from": "2030-03-05", "to": "2030-03-04"}],
            "certifications": [{"code": "no spaces"}],
            "colour": "red",
        },
    )
    assert faults(answer) == {
        ("/name", "blank"),
        ("/time_zone", "unknown_time_zone"),
        ("/hours/0/weekday", "not_a_choice"),
        ("/hours/0/start", "invalid_format"),
        ("/hours/0/end", "invalid_format"),
        ("/hours/1/valid_to", "ends_before_start"),
        ("/hours/2/end", "required"),
        ("/closures/0/from", "invalid_date"),
        ("/closures/0/to", "invalid_date"),
        ("/closures/1/to", "ends_before_start"),
        ("/certifications/0/code", "invalid_format"),
        ("/colour", "unknown_field"),
    }
    assert alice.get("/v1/locations").json["items"] == []


def test_a_change_needs_the_revision_and_answers_with_the_next(alice: Person) -> None:
    path = alice.post("/v1/locations", json=MAIN).headers["Location"]
    assert_problem(alice.patch(path, json={"name": "Pier"}), 428, "precondition_required")
    changed = alice.patch(path, json={"name": "Pier", "closures": []}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert (changed.json["name"], changed.json["closures"], changed.json["hours"]) == ("Pier", [], MAIN["hours"])
    assert changed.json["affected_appointments"] == []
    assert_problem(alice.patch(path, json={"name": "Dock"}, headers={"If-Match": '"1"'}), 412, "precondition_failed")


@pytest.mark.parametrize("value", [None, "", 7, ["Main"]])
def test_a_name_is_a_name_in_a_change_too(alice: Person, value: object) -> None:
    path = alice.post("/v1/locations", json=MAIN).headers["Location"]
    answer = alice.patch(path, json={"name": value}, headers={"If-Match": '"1"'})
    assert {pointer for pointer, _ in faults(answer)} == {"/name"}


def test_a_dry_run_changes_nothing(alice: Person) -> None:
    path = alice.post("/v1/locations", json=MAIN).headers["Location"]
    dry = alice.patch(f"{path}?dry_run=true", json={"name": "Pier"}, headers={"If-Match": '"1"'})
    assert (dry.status_code, dry.json["name"], dry.headers["Dry-Run"]) == (200, "Pier", "true")
    assert alice.get(path).json["name"] == "Main"


def test_a_location_goes_when_nothing_stands_there(alice: Person) -> None:
    path = alice.post("/v1/locations", json=MAIN).headers["Location"]
    room = {"name": "Room", "location_id": path.rpartition("/")[2], "room_type": "talk"}
    there = alice.post("/v1/rooms", json=room).headers["Location"]
    assert_problem(alice.delete(path, headers={"If-Match": '"1"'}), 409, "in_use")
    assert alice.delete(there, headers={"If-Match": '"1"'}).status_code == 204
    assert_problem(alice.delete(path), 428, "precondition_required")
    gone = alice.delete(path, headers={"If-Match": '"1"'})
    assert (gone.status_code, gone.data) == (204, b"")
    assert_problem(alice.get(path), 404, "not_found")


def test_the_front_desk_looks_but_does_not_touch(alice: Person, bob: Person) -> None:
    path = alice.post("/v1/locations", json=MAIN).headers["Location"]
    assert bob.get(path).status_code == 200
    assert_problem(bob.post("/v1/locations", json=MAIN), 403, "insufficient_scope")
    assert_problem(bob.delete(path, headers={"If-Match": '"1"'}), 403, "insufficient_scope")
