"""/v1/practitioners, /v1/rooms, /v1/devices and /v1/absences over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.api.examples import location
from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from tests.api.conftest import Person


@pytest.fixture
def site(alice: Person) -> str:
    return location(alice)


def test_a_practitioner_comes_back_as_sent(alice: Person, site: str) -> None:
    body = {
        "name": "Nurse One",
        "roles": [{"code": "nurse", "valid_from": "2030-01-01", "valid_to": "2031-01-01", "location_id": site}],
        "units": 3,
        "hours": [{"location_id": site, "weekday": "mon", "start": "20:00", "end": "06:00"}],
        "buffer_before_minutes": 5,
        "buffer_after_minutes": 10,
    }
    made = alice.post("/v1/practitioners", json=body)
    assert made.status_code == 201
    assert made.json == body | {key: made.json[key] for key in ("id", "revision", "created_at")}
    assert alice.get(made.headers["Location"]).json == made.json
    assert alice.get("/v1/practitioners").json["items"] == [made.json]
    bare = alice.post("/v1/practitioners", json={"name": "Nobody yet"}).json
    assert (bare["roles"], bare["units"], bare["hours"]) == ([], 1, [])


def test_rooms_and_devices_come_back_as_sent(alice: Person, site: str) -> None:
    hours = [{"weekday": "tue", "start": "09:00", "end": "12:00"}]
    room = {"name": "Room", "location_id": site, "room_type": "infusion", "units": 2, "hours": hours}
    pump = {"name": "Pump", "location_id": site, "device_type": "pump", "units": 1}
    none = {"buffer_before_minutes": 0, "buffer_after_minutes": 0}
    for path, body in (("/v1/rooms", room), ("/v1/devices", pump)):
        made = alice.post(path, json=body)
        assert made.status_code == 201
        assert made.json == body | none | {key: made.json[key] for key in ("id", "revision", "created_at")}
        assert alice.get(made.headers["Location"]).json == made.json
    assert alice.post("/v1/rooms", json=room | {"hours": None}).json["hours"] is None


def test_lists_are_narrowed(alice: Person, site: str) -> None:
    body = {"name": "A", "location_id": site}
    drip = alice.post("/v1/rooms", json=body | {"room_type": "drip"}).json["id"]
    alice.post("/v1/rooms", json=body | {"room_type": "talk"})
    pump = alice.post("/v1/devices", json=body | {"device_type": "pump"}).json["id"]

    def ids(path: str, **query: str) -> list[str]:
        return [item["id"] for item in alice.get(path, query_string=query).json["items"]]

    assert ids("/v1/rooms", room_type="drip") == ids("/v1/rooms", room_type="drip", location_id=site) == [drip]
    assert ids("/v1/rooms", location_id=str(uuid4())) == []
    assert ids("/v1/devices", device_type="pump") == [pump]
    assert faults(alice.get("/v1/rooms", query_string={"device_type": "pump"})) == {("/device_type", "unknown_field")}


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (
            "/v1/practitioners",
            {"name": "", "units": 0, "roles": [{"code": "a b"}], "hours": [{"weekday": "mon"}]},
            {
                ("/name", "blank"), ("/units", "out_of_range"), ("/roles/0/code", "invalid_format"),
                ("/hours/0/location_id", "required"), ("/hours/0/start", "required"), ("/hours/0/end", "required"),
            },
        ),
        ("/v1/rooms", {}, {("/name", "required"), ("/location_id", "required"), ("/room_type", "required")}),
        (
            "/v1/rooms",
            {"name": "A", "location_id": "x", "room_type": "drip", "units": 1.0, "type_code": "drip"},
            {("/location_id", "invalid_id"), ("/units", "invalid_type"), ("/type_code", "unknown_field")},
        ),
        (
            "/v1/devices",
            {"name": "A", "location_id": str(uuid4()), "device_type": "pump"},
            {("/location_id", "unknown_location")},
        ),
        (
            "/v1/absences",
            {"resource_id": "x", "start": "2030-03-05T09:00:00", "end": "tomorrow"},
            {("/resource_id", "invalid_id"), ("/start", "naive_time"), ("/end", "invalid_type")},
        ),
        (
            "/v1/absences",
            {"resource_id": str(uuid4()), "start": "2030-03-05T09:00:00Z", "end": "2030-03-05T09:00:00Z"},
            {("/resource_id", "unknown_resource"), ("/end", "ends_before_start")},
        ),
    ],
)  # fmt: skip
def test_all_faults_are_named_at_once(
    alice: Person, path: str, body: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert faults(alice.post(path, json=body)) == expected


def test_a_change_replaces_lists_and_keeps_the_rest(alice: Person, site: str) -> None:
    path = alice.post("/v1/practitioners", json={"name": "A", "roles": [{"code": "nurse"}], "units": 2}).headers[
        "Location"
    ]
    changed = alice.patch(path, json={"roles": [{"code": "therapist"}]}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert (changed.json["name"], changed.json["roles"], changed.json["units"]) == ("A", [{"code": "therapist"}], 2)
    assert changed.json["affected_appointments"] == []
    room = alice.post("/v1/rooms", json={"name": "R", "location_id": site, "room_type": "drip"}).headers["Location"]
    again = alice.patch(room, json={"room_type": "talk"}, headers={"If-Match": '"1"'})
    assert (again.json["room_type"], again.json["location_id"]) == ("talk", site)


def test_a_room_is_not_found_among_devices(alice: Person, site: str) -> None:
    room_id = alice.post("/v1/rooms", json={"name": "R", "location_id": site, "room_type": "drip"}).json["id"]
    assert_problem(alice.get(f"/v1/devices/{room_id}"), 404, "not_found")
    assert_problem(alice.delete(f"/v1/devices/{room_id}", headers={"If-Match": '"1"'}), 404, "not_found")
    assert alice.get(f"/v1/rooms/{room_id}").status_code == 200


def test_an_absence_comes_and_goes(alice: Person, site: str) -> None:
    room_id = alice.post("/v1/rooms", json={"name": "R", "location_id": site, "room_type": "drip"}).json["id"]
    body = {
        "resource_id": room_id, "start": "2030-03-05T09:00:00-05:00", "end": "2030-03-05T17:00:00-05:00",
        "reason": "Paint",
    }  # fmt: skip
    made = alice.post("/v1/absences", json=body)
    assert made.status_code == 201
    assert (made.json["start"], made.json["reason"]) == ("2030-03-05T14:00:00+00:00", "Paint")
    assert made.json["affected_appointments"] == []
    path = made.headers["Location"]
    shown = alice.get(path).json
    assert shown == {key: value for key, value in made.json.items() if key != "affected_appointments"}
    assert alice.get("/v1/absences", query_string={"resource_id": room_id}).json["items"] == [shown]
    late = alice.get("/v1/absences", query_string={"from": "2030-03-05T22:00:00Z"})
    assert late.json["items"] == []
    assert_problem(alice.delete(path), 428, "precondition_required")
    assert alice.delete(path, headers={"If-Match": made.headers["ETag"]}).status_code == 204
    assert_problem(alice.get(path), 404, "not_found")
