"""Routes that change something and write no occupancy; the contests over all others are in `contests`, `by_link`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

VISIT = "POST /v1/appointments/<uuid:appointment_id>"
#: `test_the_peaceful_are_peaceful` watches them.
SEEN = {
    "DELETE /v1/extra-hours/<uuid:extra_hours_id>",
    "DELETE /v1/practitioners/<uuid:practitioner_id>",
    "DELETE /v1/webhooks/<uuid:webhook_id>",
    "PATCH /v1/appointments/<uuid:appointment_id>",
    "PATCH /v1/devices/<uuid:device_id>",
    "PATCH /v1/locations/<uuid:location_id>",
    "PATCH /v1/organization",
    "PATCH /v1/patients/<uuid:patient_id>",
    "PATCH /v1/practitioners/<uuid:practitioner_id>",
    "PATCH /v1/protocols/<uuid:protocol_id>",
    "PATCH /v1/rooms/<uuid:room_id>",
    "PATCH /v1/visit-types/<uuid:visit_type_id>",
    "PATCH /v1/waitlist-entries/<uuid:entry_id>",
    "PATCH /v1/webhooks/<uuid:webhook_id>",
    f"{VISIT}/checklist",
    f"{VISIT}/revoke-links",
    f"{VISIT}/tasks/<task_key>/done",
    "POST /v1/calendar-feeds",
    "POST /v1/devices",
    "POST /v1/disruptions",
    "POST /v1/disruptions/jobs",
    "POST /v1/locations",
    "POST /v1/patients",
    "POST /v1/patients/<uuid:patient_id>/clearances",
    "POST /v1/patients/<uuid:patient_id>/holds",
    "POST /v1/patients/<uuid:patient_id>/revoke-links",
    "POST /v1/practitioners",
    "POST /v1/protocols",
    "POST /v1/protocols/<uuid:protocol_id>/publish",
    "POST /v1/rooms",
    "POST /v1/series/preview",
    "POST /v1/staff-addresses",
    "POST /v1/tasks/<uuid:task_id>/dismiss",
    "POST /v1/waitlist-entries",
    "POST /v1/webhooks",
}
#: Their examples are refused as things stand when their turn comes: of these nothing is seen there.
UNSEEN = {
    "DELETE /v1/devices/<uuid:device_id>",
    "DELETE /v1/locations/<uuid:location_id>",
    "DELETE /v1/rooms/<uuid:room_id>",
    "POST /v1/api-keys",
    "POST /v1/api-keys/<uuid:key_id>/revoke",
    f"{VISIT}/arrive",
    f"{VISIT}/start",
    "POST /v1/calendar-feeds/<uuid:feed_id>/revoke",
    "POST /v1/courses/<uuid:course_id>/complete",
    "POST /v1/courses/<uuid:course_id>/extend",
    "POST /v1/courses/<uuid:course_id>/hold",
    "POST /v1/courses/<uuid:course_id>/resume",
    "POST /v1/courses/<uuid:course_id>/supplies",
    "POST /v1/extra-hours",
    "POST /v1/jobs/<uuid:job_id>/cancel",
    "POST /v1/message-rules/adopt",
    "POST /v1/message-rules/preview",
    "POST /v1/messages/<uuid:message_id>/cancel",
    "POST /v1/messages/<uuid:message_id>/retry",
    "POST /v1/messages/<uuid:message_id>/send-now",
    "POST /v1/plan-batches",
    "POST /v1/staff-addresses/<uuid:address_id>/revoke",
    "POST /v1/tasks/<uuid:task_id>/done",
    "POST /v1/visit-types",
    "POST /v1/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/replay",
    "POST /v1/webhooks/<uuid:webhook_id>/rotate-secret",
    "PUT /v1/courses/<uuid:course_id>/gates/<key>",
    "PUT /v1/message-rules",
    "PUT /v1/message-templates/<kind>/<locale>",
}
#: `test_what_is_said_of_a_course_is_peaceful` watches them.
OF_A_COURSE = {
    "DELETE /v1/courses/<uuid:course_id>/relaxations/<uuid:relaxation_id>",
    "PATCH /v1/courses/<uuid:course_id>",
    "POST /v1/courses",
    "POST /v1/courses/<uuid:course_id>/plans",
    "POST /v1/courses/<uuid:course_id>/relaxations",
    "POST /v1/courses/<uuid:course_id>/replans",
    "PUT /v1/courses/<uuid:course_id>/cadence",
}
PEACEFUL = SEEN | UNSEEN | OF_A_COURSE
#: What patients send on their pages; a form that is granted.
PAGES = {
    "POST /p/<token>/answers": {"ride": "My sister"},
    "POST /p/<token>/confirm": {},
    "POST /p/<token>/preferences": {"locale": "en"},
    "POST /p/<token>/stop": {"stop": "all"},
}
#: What only a provider can sign, and the test that watches it.
SIGNED = {
    "POST /v1/callbacks/<provider>": "test_whoever_picks_up_hears_a_name_and_the_patient_the_rest",
    "POST /v1/calls/<provider>": "test_whoever_picks_up_hears_a_name_and_the_patient_the_rest",
    "POST /v1/inbound/sms/<provider>": "test_a_yes_confirms_the_visit_that_was_asked_about_once",
}


@contextmanager
def watching() -> Iterator[list[str]]:
    """Every statement meanwhile that writes occupancies."""
    seen: list[str] = []

    def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        text = statement.lstrip().upper()
        if text.startswith(("INSERT INTO OCCUPANCIES", "UPDATE OCCUPANCIES", "DELETE FROM OCCUPANCIES")):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", look)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", look)
