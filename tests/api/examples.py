"""One example of each noun, for the tests that walk every route. A new noun adds a function and a line.

A function is given a person and makes one thing of that person's through the API; it returns its id. `EXAMPLES` finds
it by the name of the route's parameter, which is also what bodies and queries call such an id. A parameter that
means different things in different routes is listed as `<rule> <parameter>`. `WORDS` holds parameters that are no ids.
`BODIES` and `QUERIES` replace what a test would make up by itself, where that is refused for its own sake.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from scheduler.core.call import Call
from scheduler.database import db
from scheduler.models import Message, WaitlistOffer, WaitlistOpening, new_id
from scheduler.services import tasks
from tests.api import stored

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
    return made(person, "/v1/locations", name="Main", time_zone="America/New_York", hours=WEEK)


def practitioner(person: Person) -> str:
    return made(person, "/v1/practitioners", name="Somebody")


def room(person: Person) -> str:
    return made(person, "/v1/rooms", name="Room", location_id=location(person), room_type="talk")


def device(person: Person) -> str:
    return made(person, "/v1/devices", name="Pump", location_id=location(person), device_type="pump")


def absence(person: Person) -> str:
    times = {"start": "2030-03-05T15:00:00+00:00", "end": "2030-03-05T16:00:00+00:00"}
    return made(person, "/v1/absences", resource_id=room(person), **times)


def waitlist_entry(person: Person) -> str:
    ids = {"patient_id": patient(person), "location_id": staffed(person)}
    return made(person, "/v1/waitlist-entries", **WAITING | ids)


def offer(person: Person) -> str:
    """Of an entry of its own: written straight into the tables, since offers are born of a sweep."""
    entry = person.get(f"/v1/waitlist-entries/{waitlist_entry(person)}").json
    held = person.get(f"/v1/holds/{hold(person)}").json
    now = person.app.extensions["clock"]()
    with person.app.app_context():
        opening = WaitlistOpening(
            organization_id=person.organization_id,
            id=new_id(),
            location_id=UUID(entry["location_id"]),
            starts_at=now,
            ends_at=now + timedelta(days=2),
            created_at=now,
        )
        db.session.add(opening)
        db.session.flush()
        row = WaitlistOffer(
            organization_id=person.organization_id,
            id=new_id(),
            entry_id=UUID(entry["id"]),
            opening_id=opening.id,
            hold_id=UUID(held["id"]),
            starts_at=now,
            ends_at=now + timedelta(hours=1),
            created_at=now,
            expires_at=now + timedelta(minutes=5),
        )
        db.session.add(row)
        db.session.commit()
        return str(row.id)


def webhook(person: Person) -> str:
    return made(person, "/v1/webhooks", url="https://desk.example.org/told")


def staff_address(person: Person) -> str:
    return made(person, "/v1/staff-addresses", name="Front desk", url="json://127.0.0.1:9/told")


def calendar_feed(person: Person) -> str:
    return made(person, "/v1/calendar-feeds", resource_id=practitioner(person))


def extra_hours(person: Person) -> str:
    where = location(person)
    who = made(person, "/v1/practitioners", name="Somebody")
    return made(person, "/v1/extra-hours", **SHIFT | {"resource_id": who, "location_id": where})


def visit_type(person: Person, code: str = "example") -> str:
    return made(person, "/v1/visit-types", **VISIT_TYPE | {"code": code})


def talk(person: Person) -> None:
    """See that the visit type which the bodies below speak of is there."""
    if all(known["code"] != "talk" for known in person.get("/v1/visit-types").json["items"]):
        visit_type(person, "talk")


def protocol(person: Person) -> str:
    talk(person)
    return made(person, "/v1/protocols", **PROTOCOL)


def patient(person: Person) -> str:
    return made(person, "/v1/patients", name="Robin Sample")


def staffed(person: Person) -> str:
    """A location with a therapist, where a talk can take place."""
    talk(person)
    where = location(person)
    shifts = [{**day, "location_id": where} for day in WEEK]
    made(person, "/v1/practitioners", name="Somebody", roles=[{"code": "therapist"}], hours=shifts)
    return where


def appointment(person: Person) -> str:
    return made(person, "/v1/appointments", **BOOKING | {"patient_id": patient(person), "location_id": staffed(person)})


def series(person: Person) -> str:
    return made(person, "/v1/series", **REPEATED | {"patient_id": patient(person), "location_id": staffed(person)})


def group(person: Person) -> str:
    """Begun by the first who books it."""
    where = staffed(person)
    document = VISIT_TYPE | {"kind": "group", "group": {"minimum": 2, "maximum": 3}}
    if all(known["code"] != "circle" for known in person.get("/v1/visit-types").json["items"]):
        made(person, "/v1/visit-types", **document | {"code": "circle"})
    ids = {"patient_id": patient(person), "location_id": where, "visit_type": "circle"}
    booked = made(person, "/v1/appointments", **BOOKING | ids)
    return str(person.get(f"/v1/appointments/{booked}").json["group_id"])


def hold(person: Person) -> str:
    return made(person, "/v1/holds", **KEPT | {"location_id": staffed(person)})


def course(person: Person) -> str:
    body = PROTOCOL | {"code": "course"}
    if all(known["code"] != "course" for known in person.get("/v1/protocols").json["items"]):
        talk(person)
        draft = made(person, "/v1/protocols", **body)
        published = person.post(f"/v1/protocols/{draft}/publish", json={"approved_by": "Dr. Example", "note": "Test."})
        assert published.status_code == 200, published.text
    return made(person, "/v1/courses", **COURSE | {"patient_id": patient(person), "location_id": location(person)})


def repair(person: Person) -> str:
    """Of a room in which nothing takes place: there is nothing to be done."""
    answer = person.post("/v1/disruptions", json=AWAY | {"resource_id": room(person)})
    assert answer.status_code == 200, answer.text
    return str(answer.json["token"])


def relaxed_course(person: Person) -> str:
    """A course that was granted something."""
    return stored.relaxed(person, course(person))


def planned_course(person: Person) -> str:
    """A course with a plan on offer."""
    return stored.plan_of(person, course(person))


def message(person: Person) -> str:
    """Written straight into the table: messages are born of visits by rules, which an example need not have."""
    whose = person.get(f"/v1/appointments/{appointment(person)}").json
    now = person.app.extensions["clock"]()
    with person.app.app_context():
        row = Message(
            organization_id=person.organization_id,
            patient_id=UUID(whose["patient_id"]),
            appointment_id=UUID(whose["id"]),
            rule="example",
            kind="reminder",
            channel="sms",
            due_at=now,
            expires_at=now + timedelta(days=1),
            created_at=now,
        )
        db.session.add(row)
        db.session.commit()
        return str(row.id)


def held_patient(person: Person) -> str:
    whom = patient(person)
    made(person, f"/v1/patients/{whom}/holds", **CLINICAL_HOLD)
    return whom


def clinical_hold(person: Person) -> str:
    """Of the patient who was held last."""
    owed = person.get("/v1/tasks", query_string={"kind": "clinical_hold", "limit": "200"}).json["items"]
    return str(person.get(f"/v1/patients/{owed[-1]['patient_id']}/holds").json["items"][-1]["id"])


def task(person: Person) -> str:
    """Owed by the service: tasks are born of what happens elsewhere."""
    now = person.app.extensions["clock"]()
    about = {"patient_id": UUID(patient(person)), "appointment_id": UUID(appointment(person))}
    with person.app.app_context():
        call = Call(now, person.organization_id, "test")
        made = tasks.owe(db.session(), call, kind="example", key=str(new_id()), title="Call", due_at=now, **about)
        db.session.commit()
        return str(made)


SOMEBODY = "00000000-0000-0000-0000-000000000001"
WEEK = [{"weekday": day, "start": "08:00", "end": "18:00"} for day in ("mon", "tue", "wed", "thu", "fri")]

VISIT_TYPE: dict[str, Any] = {
    "code": "talk",
    "name": "Talk",
    "public_name": "Visit",
    "kind": "integration",
    "segments": [{"name": "talk", "minutes": 50, "needs": [{"role": "therapist", "mode": "exclusive"}]}],
    "tasks": [{"key": "form", "label": "Form", "anchor": "discharge", "offset_days": 7}],
}

PROTOCOL: dict[str, Any] = {
    "code": "example",
    "name": "Example",
    "phases": [{"key": "talks", "steps": [{"key": "talk", "visit_type": "talk"}]}],
    "gates": [{"key": "review", "after": {"step": "talk", "count": 1}, "kind": "hard", "rule": "Look again."}],
}

SHIFT: dict[str, Any] = {
    "resource_id": SOMEBODY,
    "location_id": SOMEBODY,
    "start": "2030-03-05T15:00:00+00:00",
    "end": "2030-03-05T16:00:00+00:00",
}

BOOKING: dict[str, Any] = {
    "patient_id": SOMEBODY,
    "visit_type": "talk",
    "location_id": SOMEBODY,
    "start": "2030-03-05T15:00:00+00:00",
}

AWAY: dict[str, Any] = {
    "resource_id": SOMEBODY,
    "from": "2030-03-05T15:00:00+00:00",
    "to": "2030-03-05T16:00:00+00:00",
}

KEPT: dict[str, Any] = {name: value for name, value in BOOKING.items() if name != "patient_id"}

WAITING: dict[str, Any] = {name: BOOKING[name] for name in ("patient_id", "visit_type", "location_id")}

REPEATED: dict[str, Any] = BOOKING | {"rule": "FREQ=WEEKLY;COUNT=2"}

CLINICAL_HOLD: dict[str, Any] = {"reason": "illness", "deadline": "2030-03-05T15:00:00+00:00"}

COURSE: dict[str, Any] = {
    "patient_id": SOMEBODY,
    "protocol": "course",
    "location_id": SOMEBODY,
    "start_after": "2030-03-04",
}


def occurrence(person: Person) -> str:
    """The first visit of a series."""
    return str(person.get(f"/v1/series/{series(person)}").json["appointments"][0]["id"])


EXAMPLES: dict[str, Callable[[Person], str]] = {
    "/v1/patients/<uuid:patient_id>/holds/<uuid:clinical_hold_id>/release patient_id": held_patient,
    "/v1/appointments/<uuid:appointment_id>/cancel-series appointment_id": occurrence,
    "/v1/appointments/<uuid:appointment_id>/reschedule-series appointment_id": occurrence,
    "/v1/courses/<uuid:course_id>/plans/<string:plan_token>/timeline.svg course_id": planned_course,
    "/v1/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/replay webhook_id": webhook,
    "/v1/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id> webhook_id": webhook,
    "/v1/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id> delivery_id": stored.delivery,
    "absence_id": absence,
    "address_id": staff_address,
    "appointment_id": appointment,
    "clinical_hold_id": clinical_hold,
    "/v1/courses/<uuid:course_id>/relaxations/<uuid:relaxation_id> course_id": relaxed_course,
    "course_id": course,
    "delivery_id": stored.delivery,
    "device_id": device,
    "entry_id": waitlist_entry,
    "extra_hours_id": extra_hours,
    "feed_id": calendar_feed,
    "group_id": group,
    "hold_id": hold,
    "job_id": stored.job,
    "key_id": api_key,
    "location_id": location,
    "message_id": message,
    "offer_id": offer,
    "patient_id": patient,
    "plan_token": stored.plan_token,
    "relaxation_id": stored.relaxation,
    "practitioner_id": practitioner,
    "protocol_id": protocol,
    "resource_id": room,
    "room_id": room,
    "series_id": series,
    "task_id": task,
    "token": repair,
    "visit_type_id": visit_type,
    "webhook_id": webhook,
}

WORDS: dict[str, str] = {
    "key": "review",  # the gate of the example course
    "kind": "remind_24h",
    "locale": "en",
    "plan_token": "AAAA",  # nobody's plan
    "task_key": "form",  # the task of the example visit type
}

REMINDER: dict[str, Any] = {
    "key": "remind",
    "kind": "remind_24h",
    "class": "reminder",
    "channels": ["sms"],
    "side": "before",
    "at": {"anchor": "start", "days": -1},
    "expires": {"anchor": "start"},
}

BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/absences": {
        "resource_id": SOMEBODY,
        "start": "2030-03-05T15:00:00+00:00",
        "end": "2030-03-05T16:00:00+00:00",
    },
    "POST /v1/appointments": BOOKING,
    "POST /v1/courses": COURSE,
    "POST /v1/disruptions": AWAY,
    "POST /v1/disruptions/<uuid:token>/accept": {"all": True},
    "POST /v1/disruptions/jobs": AWAY,
    "POST /v1/courses/<uuid:course_id>/supplies": {"received_on": "2030-03-01", "session_ids": [SOMEBODY]},
    "POST /v1/extra-hours": SHIFT,
    "POST /v1/holds": KEPT,
    "POST /v1/message-rules/preview": {"appointment_id": SOMEBODY},
    "POST /v1/patients/<uuid:patient_id>/holds": CLINICAL_HOLD,
    "POST /v1/protocols": PROTOCOL,
    "POST /v1/staff-addresses": {"name": "Front desk", "url": "json://127.0.0.1:9/told"},
    "POST /v1/series": REPEATED,
    "POST /v1/series/preview": REPEATED,
    "POST /v1/visit-types": VISIT_TYPE,
    "POST /v1/waitlist-entries": WAITING,
    "POST /v1/webhooks": {"url": "https://desk.example.org/told"},
    "PUT /v1/message-rules": {"rules": [REMINDER]},
}

QUERIES: dict[str, dict[str, str]] = {
    "GET /v1/availability": {
        "visit_type": "talk",
        "location_id": SOMEBODY,
        "from": "2030-03-05T00:00:00-05:00",
        "to": "2030-03-06T00:00:00-05:00",
    },
    "GET /v1/load": {
        "location_id": SOMEBODY,
        "from": "2030-03-05T00:00:00-05:00",
        "to": "2030-03-06T00:00:00-05:00",
    },
    "GET /v1/availability/explain": {
        "visit_type": "talk",
        "location_id": SOMEBODY,
        "start": "2030-03-05T15:00:00+00:00",
    },
}
