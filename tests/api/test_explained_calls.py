"""Each change that an explanation offers names the call that makes it: by that, the promised plan is there."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scheduler.api import granting
from scheduler.core.easing import WHO
from tests.api.test_course_terms import Ward, ward
from tests.clinic import need, segment, visit_type, week
from tests.coursework import DOSE, protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

__all__ = ["ward"]

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)

DAYLONG = visit_type("daylong", segment("day", 600, need("role:host")))


def timely(most: int = 7) -> dict[str, Any]:
    """A course of one dose that begins within so many days."""
    document = protocol(1)
    document["phases"][0]["steps"][0]["entry"] = {"unit": "days", "min": 0, "target": 0, "max": most}
    return document


def sent(it: Ward, method: str, path: str, body: Any = None) -> Any:
    """The request, with the tag of what it changes."""
    tag = {} if method == "POST" else {"If-Match": it.desk.get(path).headers["ETag"]}
    told = it.desk.call(method, path, headers=tag, **({} if body is None else {"json": body}))
    assert told.status_code < 300, told.text
    return told.json


def one(it: Ward, kind: str, name: str) -> str:
    items = it.desk.get(f"/v1/{kind}").json["items"]
    return f"/v1/{kind}/{next(each['id'] for each in items if each['name'] == name)}"


def site(it: Ward) -> str:
    return f"/v1/locations/{it.clinic.location_id}"


def policy(**values: int) -> Callable[[Ward], None]:
    return lambda it: sent(it, "PATCH", "/v1/organization", {"policies": values})


def at_site(**values: Any) -> Callable[[Ward], None]:
    return lambda it: sent(it, "PATCH", site(it), values)


def named(change: str) -> list[str]:
    """The dates in a sentence."""
    days = re.findall(r"\d+ [A-Z][a-z]+", change)
    return [f"{datetime.strptime(f'{day} 2030 +0000', '%d %B %Y %z'):%Y-%m-%d}" for day in days]


def reopened(it: Ward, change: str) -> None:
    """On the days that the change names, and no others."""
    first, last = (datetime.fromisoformat(CLOSED[0][key]) for key in ("from", "to"))
    opened = {datetime.fromisoformat(day) for day in named(change)}
    days = {first + timedelta(days=each) for each in range((last - first).days + 1)} - opened
    closures = [dict.fromkeys(("from", "to"), f"{day:%Y-%m-%d}") for day in sorted(days)]
    at_site(closures=closures)(it)


def without(kind: str, name: str) -> Callable[[Ward], None]:
    return lambda it: sent(it, "DELETE", one(it, kind, name))


def busy(it: Ward) -> None:
    """The patient has something else to do here, all day."""
    it.clinic.staff("host")
    it.clinic.visit(DAYLONG)
    wish = {"patient_id": it.course["patient_id"], "visit_type": "daylong", "location_id": str(it.clinic.location_id)}
    sent(it, "POST", "/v1/appointments", wish | {"start": it.clinic.at("2030-03-04 08:00").isoformat()})


def away(it: Ward) -> None:
    times = {"start": "2030-03-04T00:00:00-05:00", "end": "2030-06-01T00:00:00-04:00"}
    sent(it, "POST", "/v1/absences", times | {"resource_id": one(it, "practitioners", "nurse").rpartition("/")[2]})


def off_duty(it: Ward) -> None:
    hours = [each | {"location_id": str(it.clinic.location_id)} for each in week(days=("sun",))]
    sent(it, "PATCH", one(it, "practitioners", "nurse"), {"hours": hours})


def postponed(it: Ward) -> None:
    [key] = [each["id"] for each in it.desk.get("/v1/appointments?limit=200").json["items"]]
    later = {"start": it.clinic.at("2030-06-03 08:00").isoformat()}
    sent(it, "POST", f"/v1/appointments/{key}/reschedule", later)


def back(it: Ward) -> None:
    [key] = [each["id"] for each in it.desk.get("/v1/absences").json["items"]]
    sent(it, "DELETE", f"/v1/absences/{key}")


def shifts(it: Ward, change: str) -> None:
    """On the days that the change names."""
    who = {"resource_id": one(it, "practitioners", "nurse").rpartition("/")[2]}
    for date in named(change):
        times = {"start": it.clinic.at(f"{date} 08:00").isoformat(), "end": it.clinic.at(f"{date} 18:00").isoformat()}
        sent(it, "POST", "/v1/extra-hours", who | times | {"location_id": str(it.clinic.location_id)})


def another_nurse(it: Ward) -> None:
    hours = [each | {"location_id": str(it.clinic.location_id)} for each in week()]
    sent(it, "POST", "/v1/practitioners", {"name": "Another", "roles": [{"code": "nurse"}], "hours": hours})


def by_device(it: Ward) -> None:
    """A dose takes a pump from now on, and there is none."""
    [key] = [each["id"] for each in it.desk.get("/v1/visit-types").json["items"] if each["code"] == "dose"]
    segments = [each | {"needs": [*each["needs"], need("device:pump")]} for each in DOSE["segments"]]
    sent(it, "PATCH", f"/v1/visit-types/{key}", {"segments": segments})


def a_device(it: Ward) -> None:
    where = {"name": "Pump", "location_id": str(it.clinic.location_id), "device_type": "pump"}
    sent(it, "POST", "/v1/devices", where)


def another_room(it: Ward) -> None:
    where = {"name": "Another", "location_id": str(it.clinic.location_id), "room_type": "bay"}
    sent(it, "POST", "/v1/rooms", where)


LOCATION, ORGANIZATION = "PATCH /v1/locations/{location_id}", "PATCH /v1/organization"
CLOSED = [{"from": "2030-03-04", "to": "2030-05-30"}]
CASES: dict[str, tuple[str, int, Callable[[Ward], None], str, Callable[..., None]]] = {
    "lead_time": ("lead_time", 7, policy(lead_minutes=43_200), ORGANIZATION, policy(lead_minutes=0)),
    "horizon": ("horizon", 7, policy(horizon_days=1), ORGANIZATION, policy(horizon_days=365)),
    "hours": ("outside_hours", 7, at_site(hours=week("08:00", "09:00")), LOCATION, at_site(hours=week())),
    "closed": ("location_closed", 7, at_site(closures=CLOSED), LOCATION, reopened),
    "patient": ("patient_busy", 0, busy, "POST /v1/appointments/{appointment_id}/reschedule", postponed),
    "absent": ("resource_absent", 7, away, "DELETE /v1/absences/{absence_id}", back),
    "off duty": ("off_duty", 7, off_duty, "POST /v1/extra-hours", shifts),
    "nurse": ("no_resource", 7, without("practitioners", "nurse"), "POST /v1/practitioners", another_nurse),
    "room": ("no_resource", 7, without("rooms", "bay"), "POST /v1/rooms", another_room),
    "device": ("no_resource", 7, by_device, "POST /v1/devices", a_device),
}


@pytest.mark.parametrize("case", CASES)
def test_the_call_that_is_named_leads_to_the_plan_that_was_promised(ward: Any, case: str) -> None:
    code, most, prepare, call, follow = CASES[case]
    it = ward(timely(most))
    prepare(it)
    refused = it.desk.post(f"{it.path}/plans", json={"through": "all"})
    assert (refused.status_code, refused.json["code"]) == (422, "no_feasible_plan"), refused.text
    offers = {tuple(rule["code"] for rule in each["rules"]): each for each in refused.json["relaxations"]}
    assert (code,) in offers, refused.text
    offer = offers[code,]
    assert (offer["grantable"], offer["rules"][0]["call"]) == (False, call)
    if follow in {shifts, reopened}:
        follow(it, offer["change"])
    else:
        follow(it)
    assert it.plan(through="all")["completes_on"] == offer["completes_on"]


def test_what_is_granted_to_the_course_says_so(ward: Any) -> None:
    it = ward(protocol(2), weekdays=["mon", "tue"])
    offers = it.desk.post(f"{it.path}/plans", json={"through": "all"}).json["relaxations"]
    calls = {each["grantable"]: {rule["call"] for rule in each["rules"]} for each in offers}
    assert calls[True] == {granting.TO_THE_COURSE}


def test_nothing_is_granted_to_a_course_that_cannot_be_planned_anew(ward: Any) -> None:
    """The patient says otherwise where the wishes are kept, and the re-plan that was promised is there."""
    it = ward(timely(), blackouts=[{"from": "2030-03-20", "to": "2031-12-31"}])
    it.book(it.plan(through="all"))
    dose = next(each for each in it.course["sessions"] if each["step"] == "dose")
    gone = [{"appointment_id": dose["appointment_id"], "action": "cancel"}]
    it.change(preferences={"blackouts": [{"from": "2030-03-05", "to": "2032-12-31"}]})
    refused = it.desk.post(f"{it.path}/replans", json={"changes": gone})
    assert (refused.status_code, refused.json["code"]) == (422, "no_feasible_plan"), refused.text
    offers = refused.json["relaxations"]
    assert {each["grantable"] for each in offers} == {False}
    wish = next(each for each in offers if [rule["code"] for rule in each["rules"]] == ["blackout"])
    assert (wish["who"], wish["rules"][0]["call"]) == ("patient", granting.WISHES)
    it.change(preferences={"blackouts": None})
    assert it.replan(*gone)["diff"]["moved"]


def test_every_call_that_is_named_exists(app: Flask) -> None:
    named = {granting.TO_THE_COURSE, granting.WISHES, *granting.WHERE_KEPT.values(), *granting.ONE_MORE.values()}
    rules = [(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), rule.methods or ()) for rule in app.url_map.iter_rules()]
    assert named <= {f"{method} {path}" for path, methods in rules for method in methods}
    assert "manager" in WHO
