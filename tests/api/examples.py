"""One example of each noun, for the tests that walk every route. A new noun adds a function and a line.

A function is given a person and makes one thing of that person's through the API; it returns its id. `EXAMPLES` finds
it by the name of the route's parameter, which is also what bodies and queries call such an id. A parameter that
means different things in different routes is listed as `<rule> <parameter>`. `WORDS` holds parameters that are no ids.
`BODIES` replaces the body that a test would make up by itself, where the made-up one is refused for its own sake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.conftest import Person


def api_key(person: Person) -> str:
    return str(person.post("/v1/api-keys", json={"name": "example", "scopes": ["setup:read"]}).json["id"])


def made(person: Person, path: str, **body: Any) -> str:
    """Post it, and see that it was taken."""
    answer = person.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def location(person: Person) -> str:
    return made(person, "/v1/locations", name="Main", time_zone="America/New_York")


def practitioner(person: Person) -> str:
    return made(person, "/v1/practitioners", name="Somebody")


def room(person: Person) -> str:
    return made(person, "/v1/rooms", name="Room", location_id=location(person), room_type="talk")


def device(person: Person) -> str:
    return made(person, "/v1/devices", name="Pump", location_id=location(person), device_type="pump")


def absence(person: Person) -> str:
    times = {"start": "2030-03-05T15:00:00+00:00", "end": "2030-03-05T16:00:00+00:00"}
    return made(person, "/v1/absences", resource_id=room(person), **times)


def visit_type(person: Person, code: str = "example") -> str:
    return made(person, "/v1/visit-types", **VISIT_TYPE | {"code": code})


def protocol(person: Person) -> str:
    if all(known["code"] != "talk" for known in person.get("/v1/visit-types").json["items"]):
        visit_type(person, "talk")
    return made(person, "/v1/protocols", **PROTOCOL)


def patient(person: Person) -> str:
    return made(person, "/v1/patients", name="Robin Sample")


VISIT_TYPE: dict[str, Any] = {
    "code": "talk",
    "name": "Talk",
    "public_name": "Visit",
    "kind": "integration",
    "segments": [{"name": "talk", "minutes": 50, "needs": [{"role": "therapist", "mode": "exclusive"}]}],
}

PROTOCOL: dict[str, Any] = {
    "code": "example",
    "name": "Example",
    "phases": [{"key": "talks", "steps": [{"key": "talk", "visit_type": "talk"}]}],
}

EXAMPLES: dict[str, Callable[[Person], str]] = {
    "absence_id": absence,
    "device_id": device,
    "key_id": api_key,
    "location_id": location,
    "patient_id": patient,
    "practitioner_id": practitioner,
    "protocol_id": protocol,
    "resource_id": room,
    "room_id": room,
    "visit_type_id": visit_type,
}

WORDS: dict[str, str] = {}

BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/absences": {
        "resource_id": "00000000-0000-0000-0000-000000000001",
        "start": "2030-03-05T15:00:00+00:00",
        "end": "2030-03-05T16:00:00+00:00",
    },
    "POST /v1/protocols": PROTOCOL,
    "POST /v1/visit-types": VISIT_TYPE,
}
