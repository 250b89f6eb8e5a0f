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
    assert faults(alice.post(f"/v1/{path}", json=whole.get(path, {}) | body)) == told


def test_a_move_and_a_look_tell_all_that_is_wrong_with_them(alice: Person) -> None:
    visit = appointment(alice)
    at = alice.get(f"/v1/appointments/{visit}").json
    move = {**WISH, "category": "whim"}
    assert faults(alice.post(f"/v1/appointments/{visit}/reschedule", json=move)) == WISHED | {
        ("/category", "unknown_category")
    }
    look = {"visit_type": "talk", "location_id": at["location_id"], "patient_region": "US-NY", "start": WISH["start"]}
    asked = look | {"exclude_appointment": STRANGER}
    assert faults(alice.get("/v1/availability/explain", query_string=asked)) == {
        ("/start", "nonexistent_time"),
        ("/patient_region", "not_by_video"),
        ("/exclude_appointment", "unknown_appointment"),
    }
    span = {"from": "2030-03-05T15:00:00Z", "to": "2031-03-05T15:00:00Z"}
    asked = {name: value for name, value in look.items() if name != "start"} | span
    assert faults(alice.get("/v1/availability", query_string=asked)) == {
        ("/to", "bad_span"),
        ("/patient_region", "not_by_video"),
    }
