"""A clinician's trial of a template that ships, in a full clinic, over a change of clocks and a holiday week.

Course, plan, booking with the rest pencilled, gate, doses, a missed one, planned anew, held, resumed, ended.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from scheduler.config import Settings
from scheduler.database import engine_options
from tests.api.fullclinic import CLOSED, NOW, ZONE, fill_a_clinic
from tests.plumbing.clock import Clock

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.api.fullclinic import Clinic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Short enough to be lived through; with the least and the most days between two of its doses.
TEMPLATE, BETWEEN = "esketamine_mddsi", (2, 5)
#: A course that finds no place begins later: the second time after the calendar's full weeks.
STARTS = ("2026-10-19", "2026-11-30")
ANSWERS = {"ride": "Ann Example, by car", "systolic": 120, "diastolic": 80}


@pytest.fixture
def full(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Clinic]:
    """The clinic that each trial has a copy of."""
    path = Path(shutil.copy(sqlite_template, tmp_path_factory.mktemp("full") / "full.db"))
    url = f"sqlite:///{path}"
    engine = create_engine(url, **engine_options(url))
    made = fill_a_clinic(engine)
    engine.dispose()
    return path, made


@dataclass
class Desk:
    """A clinician's desk: `get` and `post` answer with documents, and fail with what is wrong."""

    client: FlaskClient
    clock: Clock
    clinic: Clinic
    kinds: dict[str, dict[str, Any]] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.clinic.key}"} | more.pop("headers", {})
        return self.client.open(f"/v1{path}", method=method, json=body, headers=headers, query_string=more)

    def call(self, method: str, path: str, status: int, body: Any = None, **more: Any) -> Any:
        answer = self.ask(method, path, body, **more)
        assert answer.status_code == status, (method, path, answer.text)
        return answer.json

    def get(self, path: str, **query: Any) -> Any:
        return self.call("GET", path, 200, **query)

    def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        return self.call("POST", path, status, body or {})

    def visits(self, course: dict[str, Any]) -> list[dict[str, Any]]:
        """What of the course lies ahead, by start."""
        found = self.get("/appointments", course_id=course["id"], limit=200)["items"]
        return sorted((each for each in found if each["status"] in {"booked", "pending"}), key=lambda v: v["start"])

    def answers(self, visit: dict[str, Any], point: str) -> dict[str, Any]:
        items = self.kinds[visit["visit_type"]].get("checklist") or ()
        asked = (each for each in items if each["at"] == point)
        return {
            each["key"]: {"ok": True, **({"value": ANSWERS[each["key"]]} if each.get("value") else {})}
            for each in asked
        }

    def take_place(self, visit: dict[str, Any]) -> None:
        """The visit from check-in to discharge."""
        path, kind = f"/appointments/{visit['id']}", self.kinds[visit["visit_type"]]
        start, end = at(visit["start"]), at(visit["end"])
        self.clock.set(start)
        self.post(f"{path}/check-in", {"checklist": self.answers(visit, "check_in")})
        if kind["kind"] == "dosing":
            self.clock.set(start + timedelta(minutes=30))
            last = {"last_device_at": self.clock().isoformat()} if kind["modality"] == "esketamine" else {}
            self.post(f"{path}/start", {"checklist": self.answers(visit, "start"), **last})
        self.clock.set(max(end, self.clock() + timedelta(hours=2, minutes=1)))
        self.post(f"{path}/fulfill", {"checklist": self.answers(visit, "discharge")})


@pytest.fixture
def desk(full: tuple[Path, Clinic], tmp_path: Path) -> Iterator[Desk]:
    from scheduler import create_app
    from scheduler.database import db

    path, clinic = full
    clock = Clock(NOW)
    app = create_app(Settings(database_url=f"sqlite:///{shutil.copy(path, tmp_path / 'trial.db')}"), clock=clock)
    yield Desk(app.test_client(), clock, clinic)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def begun(desk: Desk, start_after: str) -> dict[str, Any]:
    """A course of the template for a new patient, once a clinician has approved it."""
    desk.kinds = {each["code"]: each for each in desk.get("/visit-types", limit=200)["items"]}
    [draft] = desk.get("/protocols", code=TEMPLATE)["items"]
    patient = desk.post("/patients", {"name": "Pat Example", "contacts": [
        {"channel": "email", "value": "pat@example.org", "purpose": "any"}]}, status=201)  # fmt: skip
    enrolled = {
        "kind": "esketamine_rems_enrollment",
        "outcome": "approved",
        "valid_from": "2026-10-01",
        "by": "Dr. Lee",
    }
    desk.post(f"/patients/{patient['id']}/clearances", enrolled, status=201)
    wanted = {
        "patient_id": patient["id"],
        "protocol": TEMPLATE,
        "location_id": desk.clinic.location_id,
        "start_after": start_after,
    }
    if draft["status"] == "active":
        return desk.post("/courses", wanted, status=201)  # type: ignore[no-any-return]
    desk.post(f"/protocols/{draft['id']}/publish", {"approved_by": "Dr. Lee", "note": "Read."})
    return desk.post("/courses", wanted, status=201)  # type: ignore[no-any-return]


def test_a_course_from_its_first_plan_to_its_end(desk: Desk) -> None:
    assert 0.8 < desk.clinic.load < 0.9
    for start_after in STARTS:
        course = begun(desk, start_after)
        path = f"/courses/{course['id']}"
        answer = desk.ask("POST", f"{path}/plans", {"through": "all", "alternatives": 2})
        if answer.status_code == 200:
            break
        the_refusal_says_what_to_do(answer.json)
    best, other = answer.json["plans"]
    a_plan_reads_as_a_clinician_expects(course, best)
    assert other["score"] >= best["score"]
    booked = desk.post(f"{path}/bookings", {"plan_token": best["token"]}, status=201)["appointments"]
    assert [visit["status"] for visit in booked] == ["booked", *["pending"] * (len(booked) - 1)]
    the_first_gate_lets_its_sessions_be_confirmed(desk, course)
    the_second_dose_is_missed_and_the_rest_planned_anew(desk, course)
    a_held_course_gives_no_dose(desk, course)
    the_course_comes_to_its_end(desk, course)


def the_refusal_says_what_to_do(refusal: dict[str, Any]) -> None:
    """What is in the way, and who can make what easier; here somebody lets the patient begin later."""
    assert refusal["code"] == "no_feasible_plan"
    assert all(each["detail"] for each in refusal["blocking"])
    assert refusal["relaxations"]
    assert all(each["change"] and each["who"] and each["completes_on"] for each in refusal["relaxations"])


def a_plan_reads_as_a_clinician_expects(course: dict[str, Any], plan: dict[str, Any]) -> None:
    """Every session, in wall time that no change of clocks shifts, on no holiday, doses as far apart as they should."""
    assert len(plan["sessions"]) == len(course["sessions"])
    assert sum(plan["score_parts"].values()) == plan["score"]
    days = []
    for session in plan["sessions"]:
        start = datetime.fromisoformat(session["start"])
        assert 8 <= start.hour < 18
        assert start.weekday() < 5
        assert not any(first <= session["start"][:10] <= last for first, last in CLOSED)
        assert session["time_zone"] == ZONE
        winter = "2026-11-01" <= session["start"][:10] < "2027-03-14"
        assert start.utcoffset() == timedelta(hours=-5 if winter else -4)
        if session["step"] == "dose":
            days.append(start.date())
    assert all(BETWEEN[0] <= (later - sooner).days <= BETWEEN[1] for sooner, later in pairwise(days))


def the_first_gate_lets_its_sessions_be_confirmed(desk: Desk, course: dict[str, Any]) -> None:
    path, gates = f"/courses/{course['id']}", [each for each in course["gates"] if each["kind"] == "hard"]
    evaluation = desk.visits(course)[0]
    desk.take_place(evaluation)
    after_it = [each for each in gates if each["after_session_id"] == evaluation["course_session_id"]]
    for gate in after_it:
        decision = {"outcome": "passed", "by": "Dr. Lee", "note": "Fit for it."}
        desk.call("PUT", f"{path}/gates/{gate['key']}", 200, decision)
    if after_it:
        [plan] = desk.post(f"{path}/plans", {})["plans"]
        desk.post(f"{path}/bookings", {"plan_token": plan["token"]}, status=201)
    assert desk.visits(course)[0]["status"] == "booked"


def the_second_dose_is_missed_and_the_rest_planned_anew(desk: Desk, course: dict[str, Any]) -> None:
    """A dose is given, with what lies around it; the second visit for one is missed."""
    path, given = f"/courses/{course['id']}", 0
    while True:
        visit = desk.visits(course)[0]
        if desk.kinds[visit["visit_type"]]["kind"] == "dosing":
            if given == 1:
                break
            given += 1
        desk.take_place(visit)
    desk.clock.set(at(visit["start"]) + timedelta(minutes=20))
    told = desk.post(f"{path}/replans", {"changes": [{"appointment_id": visit["id"], "action": "noshow"}]})
    diff = told["diff"]
    again = next(each for each in diff["moved"] if each["session_id"] == visit["course_session_id"])
    assert (again["from"], again["why"]) == (visit["start"], "it was missed")
    assert all(each["why"] for each in diff["moved"])
    assert not any(each["code"] == "gap_too_short" for each in diff["broken"])
    booked = desk.post(f"{path}/bookings", {"plan_token": told["token"]}, status=201)["appointments"]
    assert {each["course_session_id"] for each in booked} == {each["session_id"] for each in diff["moved"]}
    shown = desk.get(path)
    assert [each["session_id"] for each in shown["broken"]] == [each["session_id"] for each in diff["broken"]]
    news = [
        each
        for each in desk.get("/messages", patient_id=course["patient_id"], limit=200)["items"]
        if each["status"] == "pending"
        and each["kind"] in {"course_changed", "rescheduled", "cancelled", "booked"}
        and each["channel"] == "email"
    ]
    assert len(news) == 1, "one message for the whole change"


def a_held_course_gives_no_dose(desk: Desk, course: dict[str, Any]) -> None:
    path = f"/courses/{course['id']}"
    dose = next(v for v in desk.visits(course) if desk.kinds[v["visit_type"]]["kind"] == "dosing")
    desk.post(f"{path}/hold", {"reason": "Blood pressure"})
    desk.clock.set(at(dose["start"]))
    refused = desk.post(f"/appointments/{dose['id']}/check-in", {}, status=409)
    assert refused["code"] == "on_hold"
    assert desk.post(f"{path}/resume", {"reason": "Well again"})["status"] == "active"
    desk.take_place(dose)


def the_course_comes_to_its_end(desk: Desk, course: dict[str, Any]) -> None:
    """It is completed once nothing of it is ahead, and not before."""
    path = f"/courses/{course['id']}"
    early = desk.post(f"{path}/complete", {"by": "Dr. Lee"}, status=409)
    assert "not over yet" in early["detail"]
    for visit in desk.visits(course):
        desk.take_place(visit)
    assert {each["status"] for each in desk.get(path)["sessions"]} == {"done"}
    assert desk.post(f"{path}/complete", {"by": "Dr. Lee", "note": "In remission."})["status"] == "completed"
    assert desk.post(f"{path}/plans", {}, status=409)["code"] == "illegal_transition"
