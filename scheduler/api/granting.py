"""By which call each change that an explanation offers is made. Which help, and who may grant them, is the core's."""

from __future__ import annotations

from typing import Any

from scheduler.core.easing import granted
from scheduler.core.errors import NoFeasiblePlan

#: What is granted to the one course.
TO_THE_COURSE = "POST /v1/courses/{course_id}/relaxations"
#: What the patient says otherwise.
WISHES = "PATCH /v1/courses/{course_id}"
#: What is changed where it is kept, by its code.
WHERE_KEPT = {
    "lead_time": "PATCH /v1/organization",
    "horizon": "PATCH /v1/organization",
    "location_closed": "PATCH /v1/locations/{location_id}",
    "outside_hours": "PATCH /v1/locations/{location_id}",
    "patient_busy": "POST /v1/appointments/{appointment_id}/reschedule",
    "resource_absent": "DELETE /v1/absences/{absence_id}",
    "off_duty": "POST /v1/extra-hours",
}
#: One more of a pool, by what it is a pool of.
ONE_MORE = {"role": "POST /v1/practitioners", "room_type": "POST /v1/rooms", "device_type": "POST /v1/devices"}


def relaxations(refusal: NoFeasiblePlan) -> list[dict[str, Any]]:
    """What would help, each rule with the `call` that lifts it; null where no call does."""
    return [
        {**each, "rules": [{**rule, "call": _call(rule, of_one=refusal.of_one_course)} for rule in each["rules"]]}
        for each in refusal.relaxations
    ]


def _call(rule: dict[str, Any], *, of_one: bool) -> str | None:
    code = rule["code"]
    if code in granted.GRANTABLE:
        return TO_THE_COURSE if of_one else WISHES if code in granted.WISHES else None
    return WHERE_KEPT.get(code) or next((call for name, call in ONE_MORE.items() if name in rule), None)
