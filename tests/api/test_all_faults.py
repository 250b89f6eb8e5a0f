"""A refusal names all that can be known at once: faults of form, and ids and codes of what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.api.examples import BOOKING, COURSE, KEPT, REPEATED, SHIFT, WAITING, appointment, course, patient, staffed
from tests.api.problem import assert_problem, faults

if TYPE_CHECKING:
    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

NOBODY: dict[str, Any] = {"patient_id": str(uuid4()), "location_id": str(uuid4())}
AWAY = {"resource_id": str(uuid4()), "start": "2030-03-05T15:00:00Z", "end": "2030-03-05T16:00:00Z"}
WORKED = {"resource_id": str(uuid4()), "location_id": str(uuid4())}
HOURS = {"weekday": "someday", "start": "08:00", "end": "18:00", "location_id": str(uuid4())}


@pytest.mark.parametrize(
    ("path", "body", "form", "absent"),
    [
        (
            "appointments",
            BOOKING
            | NOBODY
            | {"visit_type": "dance", "start": "soon", "pins": [{"role": "x", "resource_id": str(uuid4())}]},
            {"/start"},
            {"/patient_id", "/location_id", "/visit_type", "/pins/0/resource_id"},
        ),
        ("holds", KEPT | NOBODY | {"ttl_seconds": 0}, {"/ttl_seconds"}, {"/patient_id", "/location_id"}),
        (
            "courses",
            COURSE | NOBODY | {"protocol": "magic", "preferences": {"practitioner_ids": [str(uuid4())], "colour": 1}},
            {"/preferences/colour"},
            {"/patient_id", "/location_id", "/protocol", "/preferences/practitioner_ids/0"},
        ),
        ("series", REPEATED | NOBODY | {"rule": ""}, {"/rule"}, {"/patient_id", "/location_id"}),
        ("absences", AWAY | {"end": "later"}, {"/end"}, {"/resource_id"}),
        ("extra-hours", SHIFT | WORKED | {"start": "later"}, {"/start"}, {"/resource_id", "/location_id"}),
        ("practitioners", {"name": "", "hours": [HOURS]}, {"/name", "/hours/0/weekday"}, {"/hours/0/location_id"}),
        ("rooms", {"name": "", "room_type": "x", "location_id": str(uuid4())}, {"/name"}, {"/location_id"}),
        ("waitlist-entries", WAITING | NOBODY | {"priority": -1}, {"/priority"}, {"/patient_id", "/location_id"}),
        ("calendar-feeds", {"resource_id": str(uuid4()), "titles": "loud"}, {"/titles"}, {"/resource_id"}),
    ],
)
def test_what_is_out_of_form_and_what_is_not_there_in_one_answer(
    alice: Person, path: str, body: dict[str, Any], form: set[str], absent: set[str]
) -> None:
    told = faults(alice.post(f"/v1/{path}", json=body))
    unknown = {pointer for pointer, code in told if code.startswith("unknown_") and code != "unknown_field"}
    missing_types = {"/visit_type"} if body.get("visit_type") == "talk" else set()  # nobody has made it here
    assert unknown == absent | missing_types
    assert {pointer for pointer, _ in told} - unknown == form


def test_what_is_not_there_alone_is_a_404_that_says_where(alice: Person, charlie: Person) -> None:
    theirs = NOBODY | {"patient_id": patient(charlie), "location_id": staffed(alice)}
    told = assert_problem(
        alice.post("/v1/appointments", json=BOOKING | theirs | {"visit_type": "dance"}), 422, "validation_failed"
    )
    assert {each["pointer"] for each in told["errors"]} == {"/visit_type", "/patient_id"}
    told = assert_problem(alice.post("/v1/courses", json=COURSE | NOBODY), 404, "not_found")
    assert {(each["pointer"], each["code"]) for each in told["errors"]} == {
        ("/patient_id", "unknown_patient"),
        ("/location_id", "unknown_location"),
        ("/protocol", "unknown_protocol"),
    }


def test_what_a_query_names_is_told_likewise(alice: Person) -> None:
    query = {"visit_type": "dance", "location_id": str(uuid4()), "from": "soon", "to": "2030-03-06T00:00:00Z"}
    told = faults(alice.get("/v1/availability", query_string=query))
    assert {pointer for pointer, _ in told} == {"/from", "/visit_type", "/location_id"}


WRONG = {
    "courses": COURSE
    | NOBODY
    | {
        "preferences": {
            "earliest": "16:00",
            "latest": "09:00",
            "blackouts": [{"from": "2030-04-02", "to": "2030-04-01"}],
            "wishes": {"earliest": "16:00", "until": "09:00"},
        }
    },
    "series": REPEATED | {"rule": "FREQ=YEARLY", "patient_region": "US-NY", "pins": []},
    "waitlist-entries": WAITING
    | {
        "windows": [{"earliest": "12:00", "latest": "09:00", "to": "2030-01-01"}],
        "patient_region": "US-NY",
        "pins": [{"role": "nurse", "resource_id": str(uuid4())}],
    },
}


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (
            "courses",
            {
                "/preferences/latest",
                "/preferences/blackouts/0/to",
                "/preferences/wishes/until",
                "/patient_id",
                "/location_id",
                "/protocol",
            },
        ),
        ("series", {"/rule", "/patient_region", "/patient_id"}),
        (
            "waitlist-entries",
            {"/windows/0/latest", "/windows/0/to", "/patient_region", "/pins/0", "/pins/0/resource_id"},
        ),
    ],
)
def test_what_contradicts_itself_is_told_with_the_rest(alice: Person, path: str, told: set[str]) -> None:
    ids = {"patient_id": patient(alice), "location_id": staffed(alice)} if path != "courses" else {}
    ids = ids | {"patient_id": str(uuid4())} if path == "series" else ids
    assert {pointer for pointer, _ in faults(alice.post(f"/v1/{path}", json=WRONG[path] | ids))} == told


STRANGER = str(uuid4())
PINS = [{"role": "nurse", "resource_id": STRANGER}, {"role": "therapist", "resource_id": STRANGER}]
WISH: dict[str, Any] = {"start": "2030-03-10T02:30:00-05:00", "patient_region": "US-NY", "pins": PINS}
WISHED = {
    ("/start", "nonexistent_time"),
    ("/patient_region", "not_by_video"),
    ("/pins/0", "no_such_need"),
    ("/pins/0/resource_id", "unknown_resource"),
    ("/pins/1/resource_id", "unknown_resource"),
}
NOWHERE = {("/patient_region", "not_by_video"), ("/pins/0", "no_such_need"), ("/location_id", "unknown_location")}
OVER = {"start": "2029-03-05T15:00:00Z", "end": "2029-03-05T16:00:00Z"}


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("appointments", WISH | {"hold_id": STRANGER}, WISHED | {("/hold_id", "unknown_hold")}),
        (
            "appointments",
            WISH | {"location_id": STRANGER},
            NOWHERE | {each for each in WISHED if each[0].endswith("resource_id")},
        ),
        ("holds", WISH, WISHED),
        ("series", WISH | {"rule": "FREQ=YEARLY"}, WISHED | {("/rule", "unsupported_rule")}),
        (
            "series",
            {"rule": "FREQ=YEARLY", "location_id": STRANGER, "patient_region": "US-NY"},
            {("/rule", "unsupported_rule"), ("/location_id", "unknown_location"), ("/patient_region", "not_by_video")},
        ),
        (
            "series",
            {"drop": ["2030-03-06T15:00:00Z"], "patient_region": "US-NY"},
            {("/drop", "unknown_occurrence"), ("/patient_region", "not_by_video")},
        ),
        (
            "courses",
            {
                "location_id": STRANGER,
                "cadence": "hourly",
                "preferences": {"optional_steps": ["x"], "sessions": {"y": 2}},
            },
            {
                ("/location_id", "unknown_location"),
                ("/cadence", "unknown_cadence"),
                ("/preferences/optional_steps/0", "unknown_step"),
                ("/preferences/sessions/y", "unknown_step"),
            },
        ),
        (
            "waitlist-entries",
            {"location_id": STRANGER, "patient_region": "US-NY", "pins": PINS[:1]},
            NOWHERE | {("/pins/0/resource_id", "unknown_resource")},
        ),
        ("absences", OVER | {"resource_id": STRANGER}, {("/end", "in_the_past"), ("/resource_id", "unknown_resource")}),
        (
            "extra-hours",
            OVER | {"resource_id": STRANGER, "location_id": STRANGER},
            {("/end", "in_the_past"), ("/resource_id", "unknown_resource"), ("/location_id", "unknown_location")},
        ),
        (
            "disruptions",
            {"from": OVER["end"], "to": OVER["start"], "resource_id": STRANGER},
            {("/to", "ends_before_start"), ("/resource_id", "unknown_resource")},
        ),
    ],
)
def test_nothing_wrong_waits_for_something_else(
    alice: Person, path: str, body: dict[str, Any], told: set[tuple[str, str]]
) -> None:
    """All of it in one answer, and nothing is written for it."""
    where = course(alice) and staffed(alice) if path == "courses" else staffed(alice)
    ids = {"patient_id": patient(alice), "location_id": where}
    whole = {
        "appointments": BOOKING | ids,
        "holds": KEPT | {"location_id": where},
        "series": REPEATED | ids,
        "courses": COURSE | ids,
        "waitlist-entries": WAITING | ids,
    }
    asked = whole.get(path, {}) | body
    assert faults(alice.post(f"/v1/{path}", json=asked)) == told
    # What cannot be read spoils no more than what rests on it.
    assert faults(alice.post(f"/v1/{path}", json=asked | {"colour": 1})) == told | {("/colour", "unknown_field")}


def test_a_move_and_a_look_tell_all_that_is_wrong_with_them(alice: Person) -> None:
    visit = appointment(alice)
    at = alice.get(f"/v1/appointments/{visit}").json
    move = {**WISH, "category": "whim"}
    told = WISHED | {("/category", "unknown_category")}
    assert faults(alice.post(f"/v1/appointments/{visit}/reschedule", json=move)) == told
    assert faults(alice.post(f"/v1/appointments/{visit}/reschedule", json=move | {"by": 3})) == told | {
        ("/by", "invalid_type")
    }
    look = {"visit_type": "talk", "location_id": at["location_id"], "patient_region": "US-NY", "start": WISH["start"]}
    asked = look | {"exclude_appointment": STRANGER}
    told = {
        ("/start", "nonexistent_time"),
        ("/patient_region", "not_by_video"),
        ("/exclude_appointment", "unknown_appointment"),
    }
    assert faults(alice.get("/v1/availability/explain", query_string=asked)) == told
    unread = {("/colour", "unknown_field")}
    assert faults(alice.get("/v1/availability/explain", query_string=asked | {"colour": 1})) == told | unread
    span = {"from": "2030-03-05T15:00:00Z", "to": "2031-03-05T15:00:00Z"}
    asked = {name: value for name, value in look.items() if name != "start"} | span
    told = {("/to", "bad_span"), ("/patient_region", "not_by_video")}
    assert faults(alice.get("/v1/availability", query_string=asked)) == told
    assert faults(alice.get("/v1/availability", query_string=asked | {"colour": 1})) == told | unread


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        (
            "patients",
            {
                "birth_date": "1500-01-01",
                "external_ids": [{"system": "a|b", "value": "1"}],
                "contacts": [{"channel": "sms", "value": "12", "purpose": 3}],
                "preferences": {"channel": "owl"},
            },
            {
                ("/name", "required"),
                ("/birth_date", "out_of_range"),
                ("/external_ids/0/system", "invalid_format"),
                ("/contacts/0/value", "invalid_phone"),
                ("/contacts/0/purpose", "invalid_type"),
                ("/preferences/channel", "unknown_channel"),
            },
        ),
        (
            "patients/{patient}/clearances",
            {"valid_from": "2030-02-01", "valid_to": "2030-01-01", "kind": 3, "outcome": "ok", "by": "Dr. Eve"},
            {("/kind", "invalid_type"), ("/valid_to", "ends_before_start")},
        ),
        (
            "patients/{patient}/holds",
            {"reason": 3, "deadline": "2020-01-01T00:00:00Z"},
            {("/reason", "invalid_type"), ("/deadline", "in_past")},
        ),
        (
            "api-keys",
            {"name": 3, "scopes": ["setup:read"], "expires_at": "2020-01-01T00:00:00Z"},
            {("/name", "invalid_type"), ("/expires_at", "in_the_past")},
        ),
        ("message-rules/preview", {"colour": 1}, {("/colour", "unknown_field"), ("/appointment_id", "one_of_two")}),
        (
            "courses/{course}/replans",
            {"by": 3, "changes": [{"appointment_id": STRANGER, "action": "cancel", "start": "2030-03-05T15:01:00Z"}]},
            {
                ("/by", "invalid_type"),
                ("/changes/0/start", "not_a_move"),
                ("/changes/0/start", "not_on_grid"),
                ("/changes/0/appointment_id", "unknown_appointment"),
            },
        ),
        (
            "locations",
            {"name": "Site", "time_zone": 3, "closures": [{"from": "2030-12-24", "to": "2030-12-01", "reason": 3}]},
            {
                ("/time_zone", "invalid_type"),
                ("/closures/0/reason", "invalid_type"),
                ("/closures/0/to", "ends_before_start"),
            },
        ),
        (
            "practitioners",
            {
                "name": "Eve",
                "roles": [{"code": 3, "valid_from": "2030-02-01", "valid_to": "2030-01-01"}],
            },
            {("/roles/0/code", "invalid_type"), ("/roles/0/valid_to", "ends_before_start")},
        ),
    ],
)
def test_what_could_be_read_is_judged_beside_what_could_not(
    alice: Person, path: str, body: dict[str, Any], told: set[tuple[str, str]]
) -> None:
    names = {"patient": patient(alice), "course": course(alice) if "{course}" in path else ""}
    assert faults(alice.post(f"/v1/{path.format(**names)}", json=body)) == told


def test_what_rests_on_a_part_that_could_not_be_read_is_not_guessed(alice: Person) -> None:
    ids = {"patient_id": patient(alice), "location_id": staffed(alice)}
    skipped = {"start": WISH["start"], "patient_region": "US-NY", "disambiguation": "whichever"}
    told = faults(alice.post("/v1/appointments", json=BOOKING | ids | skipped))
    assert told == {("/disambiguation", "not_a_choice"), ("/patient_region", "not_by_video")}
    told = faults(alice.post("/v1/absences", json={"resource_id": STRANGER, "start": "soon", "end": OVER["end"]}))
    assert told == {("/start", "invalid_type"), ("/resource_id", "unknown_resource")}
    asked = {"location_id": STRANGER, "from": "2030-03-05T15:01:00Z"}
    assert faults(alice.get("/v1/load", query_string=asked)) == {
        ("/to", "required"),
        ("/from", "not_on_grid"),
        ("/location_id", "unknown_location"),
    }
