"""A running course gets other wishes, a cadence of one patient's own, and changes that an explanation offered."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from scheduler.core.easing import Rule, granted
from scheduler.models import Course, new_id
from scheduler.services import access, courses
from tests.api.conftest import Person
from tests.clinic import Clinic
from tests.coursework import approve, open_course_clinic, protocol

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine


class Ward:
    """A clinic over HTTP, and one course in it."""

    def __init__(self, app: Flask, engine: Engine, document: dict[str, Any], **wishes: Any) -> None:
        self._app = app
        self.clinic: Clinic = open_course_clinic(engine)
        approve(self.clinic, document)
        self.desk = self.person("admin")
        body = {"patient_id": str(self.clinic.patient()), "protocol": "trial", "start_after": "2030-03-04"}
        body |= {"location_id": str(self.clinic.location_id), "preferences": wishes}
        made = self.desk.post("/v1/courses", json=body)
        assert made.status_code == 201, made.text
        self.path = f"/v1/courses/{made.json['id']}"

    def person(self, *scopes: str) -> Person:
        token = self.clinic.do(lambda s, c: access.create_key(s, c, name="desk", scopes=scopes)[1])
        return Person(self._app, self.clinic.call.organization_id, token)

    @property
    def course(self) -> dict[str, Any]:
        return dict(self.desk.get(self.path).json)

    def plan(self, **asked: Any) -> dict[str, Any]:
        told = self.desk.post(f"{self.path}/plans", json=asked)
        assert told.status_code == 200, told.text
        return dict(told.json["plans"][0])

    def book(self, plan: dict[str, Any]) -> list[dict[str, Any]]:
        booked = self.desk.post(f"{self.path}/bookings", json={"plan_token": plan["token"]})
        assert booked.status_code == 201, booked.text
        return list(booked.json["appointments"])

    def replan(self, *changes: dict[str, Any]) -> dict[str, Any]:
        told = self.desk.post(f"{self.path}/replans", json={"changes": list(changes)})
        assert told.status_code == 200, told.text
        return dict(told.json)

    def change(self, **body: Any) -> dict[str, Any]:
        done = self.desk.patch(self.path, json=body, headers={"If-Match": self.desk.get(self.path).headers["ETag"]})
        assert done.status_code == 200, done.text
        return dict(done.json)

    def starts(self, kind: str) -> list[datetime]:
        """The local starts of the course's visits of that step."""
        ids = [each["appointment_id"] for each in self.course["sessions"] if each["step"] == kind]
        visits = [self.desk.get(f"/v1/appointments/{key}").json for key in ids if key]
        zone = ZoneInfo(self.clinic.time_zone)
        return [datetime.fromisoformat(each["start"]).astimezone(zone) for each in visits]

    def audited(self, action: str) -> list[dict[str, Any]]:
        events = self.desk.get("/v1/audit-events?limit=200").json["items"]
        return [each for each in events if each["action"] == action]


@pytest.fixture
def ward(app: Flask, engine: Engine) -> Any:
    return lambda document, **wishes: Ward(app, engine, document, **wishes)


def test_a_patient_who_can_come_on_other_days_only_is_planned_anew_for_them(ward: Any) -> None:
    """The call changes nothing booked, names what does not suit any more, and a re-plan moves that and no more."""
    it = ward(protocol(3))
    it.book(it.plan(through="all"))
    before = it.starts("dose") + it.starts("talk")
    days = {"mon", "tue", "wed", "thu", "fri"} - {f"{before[0]:%a}".lower()}
    rehearsed = it.desk.patch(
        f"{it.path}?dry_run=true",
        json={"preferences": {"weekdays": sorted(days)}},
        headers={"If-Match": it.desk.get(it.path).headers["ETag"]},
    )
    assert rehearsed.json["unfit"]
    assert it.course["unfit"] == []
    told = it.change(preferences={"weekdays": sorted(days)}, note="Works on the other day")
    wrong = {each["session_id"] for each in told["unfit"]}
    assert {each["code"] for each in told["unfit"]} == {"outside_preferences"}
    assert (told["preferences"]["weekdays"], told["note"]) == (sorted(days), "Works on the other day")
    assert it.starts("dose") + it.starts("talk") == before, "nothing booked was changed"
    planned = it.replan()
    moved = {each["session_id"]: each for each in planned["diff"]["moved"]}
    assert wrong <= moved.keys()
    assert all(moved[key]["why"] == "it does not suit the patient any more" for key in wrong)
    it.book(planned)
    assert it.course["unfit"] == []
    assert it.course["broken"] == []
    assert {f"{each:%a}".lower() for each in it.starts("dose") + it.starts("talk")} <= days
    [event] = it.audited("course.change")
    assert event["before"]["preferences"] == {}
    assert event["after"]["preferences"] == {"weekdays": sorted(days)}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_plan_that_does_not_suit_any_more_is_stale(ward: Any) -> None:
    """It was made before the patient said otherwise; the fresh one is as they wish now. So it is with a re-plan."""
    it = ward(protocol(2))

    def stale(plan: dict[str, Any]) -> dict[str, Any]:
        told = it.desk.post(f"{it.path}/bookings", json={"plan_token": plan["token"]})
        assert (told.status_code, told.json["code"]) == (409, "plan_stale"), told.text
        assert "does not suit the patient any more" in told.json["detail"]
        return dict(told.json["plan"])

    plan = it.plan(through="all")
    it.change(preferences={"earliest": "11:30"})
    it.book(stale(plan))
    assert min(f"{each:%H:%M}" for each in it.starts("dose") + it.starts("talk")) >= "11:30"
    last = [each for each in it.course["sessions"] if each["step"] == "dose"][-1]
    planned = it.replan({"appointment_id": last["appointment_id"], "action": "cancel"})
    day = next(each["to"] for each in planned["diff"]["moved"] if each["session_id"] == last["id"])[:10]
    it.change(preferences={"blackouts": [{"from": day, "to": day}]})
    it.book(stale(planned))
    assert day not in {f"{each:%Y-%m-%d}" for each in it.starts("dose") + it.starts("talk")}
    assert it.course["unfit"] == []


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_what_was_agreed_against_a_wish_stays_agreed(ward: Any) -> None:
    it = ward(protocol(2), weekdays=["mon", "tue", "wed", "thu", "fri"], latest="16:00")
    visits = it.book(it.plan(through="all"))
    last = max(visits, key=lambda each: each["start"])
    late = last["start"][:11] + "16:45" + last["start"][16:]
    assert it.desk.post(f"/v1/appointments/{last['id']}/reschedule", json={"start": late}).status_code == 200
    told = it.change(preferences={"latest": "15:00"})
    assert told["unfit"] == [], "it never suited, and was agreed as it is"
    assert it.replan()["diff"]["moved"] == []
    away = it.change(preferences={"blackouts": [{"from": last["start"][:10], "to": last["start"][:10]}]})
    assert {each["code"] for each in away["unfit"]} <= {"blackout"}


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_visit_that_can_move_nowhere_stays_where_it_is(ward: Any) -> None:
    it = ward(protocol(2, gap=(2, 2, 2)))
    it.book(it.plan(through="all"))
    before = it.starts("dose")
    away = [{"from": "2030-03-05", "to": "2031-12-31"}]
    told = it.change(preferences={"blackouts": away})
    assert len(told["unfit"]) == len([each for each in told["sessions"] if each["appointment_id"]]) - 1
    assert it.replan()["diff"]["moved"] == [], "no limit of the protocol is exceeded for a wish"
    assert it.starts("dose") == before
    it.clinic.do(lambda s, c: granted_to(courses.row_of(s, c, UUID(told["id"])), away[0]))
    assert it.course["unfit"] == [], "they come after all"


def granted_to(row: Course, away: dict[str, str]) -> None:
    """The patient's word that they come in spite of being away."""
    days = [date.fromisoformat(away[key]) for key in ("from", "to")]
    rules = granted.stored([Rule("blackout", "patient", start=days[0], end=days[1])])
    told = {"change": "they come", "who": "patient", "by": "Somebody", "reason": "Asked for"}
    row.relaxations = [told | {"id": str(new_id()), "at": "2030-03-04T12:00:00+00:00", "rules": rules}]


def test_another_practitioner_alone_is_wanted_from_now_on(ward: Any) -> None:
    it = ward(protocol(2))
    it.book(it.plan(through="all"))
    other = it.clinic.staff("therapist")
    it.clinic.room("consult")
    told = it.change(preferences={"practitioner_ids": [str(other)], "continuity": "required"})
    assert {each["code"] for each in told["unfit"]} == {"other_practitioner"}
    planned = it.replan()
    assert {each["session_id"] for each in planned["diff"]["moved"]} == {each["session_id"] for each in told["unfit"]}
    booked = it.book(planned)
    served = [
        {each["resource_id"] for each in visit["participants"] if each["role"] == "therapist"} for visit in booked
    ]
    assert served == [{str(other)}, {str(other)}]
    assert it.course["unfit"] == []


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_change_is_refused_whole(ward: Any) -> None:
    it = ward(protocol(2), earliest="10:00")
    etag = it.desk.get(it.path).headers["ETag"]

    def asked(body: dict[str, Any], **headers: str) -> tuple[int, set[str]]:
        told = it.desk.patch(it.path, json=body, headers={"If-Match": etag} | headers)
        return told.status_code, {each["code"] for each in told.json.get("errors", ())} or {told.json["code"]}

    assert asked({"preferences": {"latest": "09:00"}}) == (422, {"ends_before_start"})
    assert asked({"preferences": {"practitioner_ids": [it.course["id"]]}}) == (422, {"unknown_practitioner"})
    assert asked({"preferences": {"optional_steps": []}}) == (422, {"unknown_field"}), "made with the course"
    assert asked({}, **{"If-Match": '"other"'}) == (412, {"precondition_failed"})
    assert it.change(preferences={"earliest": None}, start_after="2030-03-11")["preferences"] == {}
    assert it.course["sessions"][0]["window"]["earliest"] == "2030-03-11"
    it.book(it.plan())
    etag = it.desk.get(it.path).headers["ETag"]
    assert asked({"start_after": "2030-03-04"}) == (409, {"illegal_transition"})
    it.desk.post(f"{it.path}/discontinue", json={"reason": "asked for"})
    etag = it.desk.get(it.path).headers["ETag"]
    assert asked({"note": "too late"}) == (409, {"illegal_transition"})


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_a_gate_is_a_clinicians_to_open_and_whoever_plans_is_told_of_it(ward: Any) -> None:
    """No override lifts a gate; so nobody passes it who may not decide it, whatever name they write."""
    it = ward(protocol(2, gate=1))
    it.book(it.plan())
    refused = it.desk.post(f"{it.path}/plans", json={})
    assert [each["code"] for each in refused.json["errors"]] == ["nothing_to_plan"]
    assert refused.json["errors"][0]["detail"].startswith("Every session up to the gate 'review' is booked: ")
    passed = {"outcome": "passed", "by": "Dr. Lee"}
    by_desk = it.person("front_desk").put(f"{it.path}/gates/review", json=passed)
    assert (by_desk.status_code, by_desk.json["code"]) == (403, "insufficient_scope")
    assert it.person("clinician").put(f"{it.path}/gates/review", json=passed).status_code == 200
    assert it.plan()["sessions"]
