"""Several plans for one course over HTTP: any two of them truly differ, and where nothing does there is one."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.examples import COURSE, PROTOCOL, VISIT_TYPE, WEEK, made, patient

if TYPE_CHECKING:
    from tests.api.conftest import Person

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def place(person: Person, most: int) -> str:
    """A location for courses of six talks, at most so many clinic days apart."""
    made(person, "/v1/visit-types", **VISIT_TYPE | {"code": "talk"})
    talks = {
        "key": "talk",
        "visit_type": "talk",
        "count": 6,
        "gap": {"unit": "clinic_days", "min": 1, "target": 1, "max": most},
    }
    doc = PROTOCOL | {"code": "course", "phases": [{"key": "talks", "steps": [talks]}], "continuity": ["therapist"]}
    draft = made(person, "/v1/protocols", **doc | {"gates": []})
    person.post(f"/v1/protocols/{draft}/publish", json={"approved_by": "Dr. Example", "note": "Test."})
    return made(person, "/v1/locations", name="Main", time_zone="America/New_York", hours=WEEK)


def therapist(person: Person, hours: list[dict[str, Any]]) -> str:
    return made(person, "/v1/practitioners", name="Somebody", roles=[{"code": "therapist"}], hours=hours)


def plans(person: Person, where: str, **preferences: Any) -> list[dict[str, Any]]:
    body = COURSE | {"patient_id": patient(person), "location_id": where, "preferences": preferences}
    course_id = made(person, "/v1/courses", **body)
    answer = person.post(f"/v1/courses/{course_id}/plans", json={"through": "all", "alternatives": 5})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json["plans"]
    assert [each["score"] for each in found[1:]] == sorted(each["score"] for each in found[1:])
    assert found[0]["score"] == min(each["score"] for each in found)
    return found


def elsewhere(one: dict[str, Any], other: dict[str, Any]) -> int:
    """How many sessions are on another day, or an hour or more away."""
    count = 0
    for mine, theirs in zip(one["sessions"], other["sessions"], strict=True):
        assert mine["session_id"] == theirs["session_id"]
        here, there = (datetime.fromisoformat(each["start"]) for each in (mine, theirs))
        apart = abs(60 * (here.hour - there.hour) + here.minute - there.minute)
        count += here.date() != there.date() or apart >= 60
    return count


def days_apart(one: dict[str, Any], other: dict[str, Any], edge: str) -> int:
    return abs((date.fromisoformat(one[edge]) - date.fromisoformat(other[edge])).days)


def people(plan: dict[str, Any]) -> list[list[str]]:
    return [sorted(who["resource_id"] for who in each["participants"]) for each in plan["sessions"]]


def test_any_two_that_are_offered_truly_differ(alice: Person) -> None:
    where = place(alice, most=4)
    therapist(alice, [{**day, "location_id": where, "end": "12:00"} for day in WEEK])
    therapist(alice, [{**day, "location_id": where, "start": "13:00"} for day in WEEK])
    found = plans(alice, where, wishes={"weekdays": ["tue", "thu"], "earliest": "13:00"})
    assert len(found) == 5
    for one, other in combinations(found, 2):
        far = max(days_apart(one, other, edge) for edge in ("starts_on", "completes_on"))
        assert far >= 3 or 3 * elsewhere(one, other) >= 6 or people(one) != people(other)


def test_plans_that_nearly_agree_are_not_offered_beside_each_other(alice: Person) -> None:
    where = place(alice, most=1)
    who = therapist(alice, [])
    for day in (4, 5, 6, 7, 8, 11):
        shift = {"resource_id": who, "location_id": where}
        made(alice, "/v1/extra-hours", **shift | span(day, 15))
    assert len(plans(alice, where)) == 1
    made(alice, "/v1/extra-hours", resource_id=who, location_id=where, **span(6, 18))
    assert len(plans(alice, where)) == 1, "one of six talks could be at another hour"
    made(alice, "/v1/extra-hours", resource_id=who, location_id=where, **span(7, 18))
    wish = {"earliest": "12:00"}
    one, other = plans(alice, where, wishes=wish)
    assert elsewhere(one, other) == 2, "two are a third"


def span(day: int, hour: int) -> dict[str, str]:
    """An hour of a day in March, by the clock of UTC."""
    start = datetime.fromisoformat(f"2030-03-{day:02}T{hour}:00:00+00:00")
    return {"start": start.isoformat(), "end": (start + timedelta(minutes=55)).isoformat()}
