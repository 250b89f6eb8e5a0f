"""A clinician's trial of templates that ship, in a full clinic, over a change of clocks and a holiday week.

Course, refusal, plan, booking with the rest pencilled, gates, doses, a missed one, planned anew, held, resumed, ended.
At length (`--hypothesis-profile=long`) with all templates, over HTTP to gunicorn on PostgreSQL, and no week half empty.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from itertools import pairwise
from json import dumps, loads
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import URL, create_engine

from scheduler.config import Settings
from scheduler.database import engine_options
from tests.api.fullclinic import CLOSED, NOW, ZONE, fill_a_clinic
from tests.clinic import week
from tests.plumbing import postgres
from tests.plumbing.clock import Clock
from tests.plumbing.effort import at_length
from tests.plumbing.servers import PATIENCE, Server, serving
from tests.plumbing.timed import VARIABLE, FileClock

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.api.fullclinic import Clinic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Templates, and what stands in the way of the first plan: the full calendar, a wish, or nothing.
TEMPLATES: dict[str, dict[str, Any] | None] = {
    "iv_ketamine_induction": {"weekdays": ["tue"]},
    "esketamine_trd": {"weekdays": ["mon"]},
    "esketamine_mddsi": {},
}
#: For so many weeks the calendar is full.
WEEKS = 6
#: All seven, lived through at length.
if at_length():
    TEMPLATES |= dict.fromkeys(("iv_ketamine", "im_ketamine", "oral_sl_clinic", "oral_sl_home"))
    WEEKS = 40
START = "2026-10-19"
#: What a clinician states of a patient before the first dose.
CLEARED = ("esketamine_rems_enrollment", "labs", "consent", "chaperone", "medication_delivered")
ANSWERS = {"ride": "Ann Example, by car", "systolic": 120, "diastolic": 80}


@pytest.fixture(scope="module")
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[URL, Clinic]]:
    """The clinic that each trial has a copy of: in SQLite, or at length in PostgreSQL, full over the whole course."""
    with ExitStack() as stack:
        if at_length():
            places = map(request.getfixturevalue, ("postgres_server", "postgres_template"))
            url = stack.enter_context(postgres.database(*places))
        else:
            path = tmp_path_factory.mktemp("full") / "full.db"
            url = URL.create("sqlite", database=str(shutil.copy(request.getfixturevalue("sqlite_template"), path)))
        text = url.render_as_string(hide_password=False)
        engine = create_engine(text, **engine_options(text))
        made = fill_a_clinic(engine, WEEKS)
        engine.dispose()
        yield url, made


@dataclass
class Desk:
    """A clinician's desk: `get` and `post` answer with documents, and fail with what is wrong."""

    client: FlaskClient | Wire
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
        self.clock.set(max(start, self.clock()))
        where = {"patient_region": "US-NY"} if kind.get("video") else {}
        self.post(f"{path}/check-in", {"checklist": self.answers(visit, "check_in"), **where})
        if kind["kind"] == "dosing":
            self.clock.set(start + timedelta(minutes=30))
            last = {"last_device_at": self.clock().isoformat()} if kind["modality"] == "esketamine" else {}
            self.post(f"{path}/start", {"checklist": self.answers(visit, "start"), **last})
        self.clock.set(max(end, self.clock() + timedelta(hours=2, minutes=1)))
        self.post(f"{path}/fulfill", {"checklist": self.answers(visit, "discharge")})


@dataclass
class Wire:
    """A real server, spoken to as a test client is."""

    server: Server

    def open(self, path: str, *, method: str, json: Any, headers: dict[str, str], query_string: Any) -> Any:
        connection = HTTPConnection(*self.server.address, timeout=PATIENCE)
        with closing(connection):
            body = None if json is None else dumps(json)
            whole = f"{path}?{urlencode(query_string)}"
            connection.request(method, whole, body, {"Content-Type": "application/json"} | headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        shown = loads(text) if "json" in answer.headers.get("Content-Type", "") else None
        return SimpleNamespace(status_code=answer.status, text=text, json=shown, headers=answer.headers)


@pytest.fixture
def desk(full: tuple[URL, Clinic], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A desk at a clinic of its own: at length before a real server on PostgreSQL, else before the application."""
    if at_length():
        yield from _before_a_server(*full, tmp_path, request.getfixturevalue("postgres_server"))
    else:
        yield from _before_the_application(*full, tmp_path)


def _before_a_server(url: URL, clinic: Clinic, folder: Path, address: URL) -> Iterator[Desk]:
    clock = FileClock(NOW, folder / "now")
    settings = {VARIABLE: str(clock.path)}
    with postgres.database(address, url) as own:
        text = own.render_as_string(hide_password=False)
        with serving(text, folder, application="tests.plumbing.timed:app", settings=settings) as server:
            yield Desk(Wire(server), clock, clinic)
            assert "Traceback" not in server.log


def _before_the_application(url: URL, clinic: Clinic, folder: Path) -> Iterator[Desk]:
    from scheduler import create_app
    from scheduler.database import db

    path = str(url.database)
    clock = Clock(NOW)
    app = create_app(Settings(database_url=f"sqlite:///{shutil.copy(path, folder / 'trial.db')}"), clock=clock)
    yield Desk(app.test_client(), clock, clinic)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def begun(desk: Desk, template: str, start_after: str, patient_id: str, **wishes: Any) -> dict[str, Any]:
    """A course of the template for the patient."""
    wanted = {
        "patient_id": patient_id,
        "protocol": template,
        "location_id": desk.clinic.location_id,
        "start_after": start_after,
        "preferences": {"patient_region": "US-NY", **wishes},
    }
    return desk.post("/courses", wanted, status=201)  # type: ignore[no-any-return]


def a_patient(desk: Desk) -> str:
    patient = desk.post("/patients", {"name": "Pat Example", "contacts": [
        {"channel": "email", "value": "pat@example.org", "purpose": "any"}]}, status=201)  # fmt: skip
    for kind in CLEARED:
        said = {"kind": kind, "outcome": "approved", "valid_from": "2026-10-01", "by": "Dr. Lee"}
        desk.post(f"/patients/{patient['id']}/clearances", said, status=201)
    return str(patient["id"])


def approved(desk: Desk, template: str) -> dict[str, Any]:
    """The template's document, once a clinician has turned it on, where it is off, and approved it."""
    [draft] = desk.get("/protocols", code=template)["items"]
    desk.kinds = {each["code"]: each for each in desk.get("/visit-types", limit=200)["items"]}
    if not draft.get("enabled", True):
        home = desk.kinds["oral_home"]
        for path in (f"/protocols/{draft['id']}", f"/visit-types/{home['id']}"):
            tag = {"If-Match": desk.ask("GET", path).headers["ETag"]}
            desk.call("PATCH", path, 200, {"enabled": True}, headers=tag)
    return desk.post(f"/protocols/{draft['id']}/publish", {"approved_by": "Dr. Lee", "note": "Read."})  # type: ignore[no-any-return]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_course_from_its_first_plan_to_its_end(desk: Desk, template: str) -> None:
    assert 0.8 < desk.clinic.load < 0.9
    document, patient_id, wish = approved(desk, template), a_patient(desk), TEMPLATES[template]
    start = START if wish is None else a_refusal_that_leads_on(desk, template, patient_id, wish)
    course = begun(desk, template, start, patient_id)
    path = f"/courses/{course['id']}"
    [plan] = desk.post(f"{path}/plans", {"through": "all"})["plans"]
    a_plan_reads_as_a_clinician_expects(document, course, plan)
    booked = desk.post(f"{path}/bookings", {"plan_token": plan["token"]}, status=201)["appointments"]
    assert [visit["status"] for visit in booked] == ["booked", *["pending"] * (len(booked) - 1)]
    the_second_dose_is_missed_and_planned_anew(desk, course, document)
    a_held_course_gives_no_dose(desk, course)
    the_course_comes_to_its_end(desk, course, document)


def a_refusal_that_leads_on(desk: Desk, template: str, patient_id: str, wish: dict[str, Any]) -> str:
    """What was refused, and the first offer granted that others than a prescriber can: the course's first day then."""
    course = begun(desk, template, START, patient_id, **wish)
    refusal = desk.post(f"/courses/{course['id']}/plans", {"through": "all"}, status=422)
    the_refusal_says_what_to_do(refusal)
    offer = next(each for each in refusal["relaxations"] if each["who"] != "prescriber")
    start = datetime.fromisoformat(START)
    for rule, change in zip(offer["rules"], offer["change"].split("; and "), strict=True):
        if rule["code"] == "entry":
            assert rule["who"] == "front_desk"
            start += timedelta(days=int(change.removeprefix("begin up to ").removesuffix(" days later")))
        elif rule["code"] == "no_resource":
            one_more(desk, rule)
        else:
            assert (rule["code"], rule["who"]) == ("weekdays", "patient"), "they come on another weekday after all"
    return start.date().isoformat()


def one_more(desk: Desk, rule: dict[str, Any]) -> None:
    """A manager finds who or what was said to help."""
    assert rule["who"] == "manager"
    if "room_type" in rule:
        room = {"name": "One more", "location_id": desk.clinic.location_id, "room_type": rule["room_type"]}
        desk.post("/rooms", room, status=201)
        return
    hours = [{**each, "location_id": desk.clinic.location_id} for each in week()]
    roles = [{"code": rule["role"], "regions": ["US-NY"]}]
    desk.post("/practitioners", {"name": "One more", "roles": roles, "hours": hours}, status=201)


def the_refusal_says_what_to_do(refusal: dict[str, Any]) -> None:
    """What is in the way, and who can make what easier; here somebody lets the patient begin later."""
    assert refusal["code"] == "no_feasible_plan"
    assert all(each["detail"] for each in refusal["blocking"])
    assert refusal["relaxations"]
    assert all(each["change"] and each["who"] and each["completes_on"] for each in refusal["relaxations"])


def a_plan_reads_as_a_clinician_expects(document: dict[str, Any], course: dict[str, Any], plan: dict[str, Any]) -> None:
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
    least, most = apart(document)
    assert len(days) > 1
    assert all(least <= (later - sooner).days <= most for sooner, later in pairwise(days))


def apart(document: dict[str, Any]) -> tuple[int, int]:
    """The least and the most days between two doses of its first series."""
    steps = [step for phase in document["phases"] for step in phase["steps"]]
    rules = document.get("cadences", {}).get(document.get("default_cadence"), {})
    dose = next(step for step in steps if step["key"] == "dose")
    gap = rules.get("dose", dose).get("gap") or dose["gap"]
    return gap["min"], gap["max"]


def next_visit(desk: Desk, course: dict[str, Any]) -> dict[str, Any]:
    """The next visit, confirmed: once its gates are passed, a plan brings it."""
    visit = desk.visits(course)[0]
    if visit["status"] == "pending":
        path, shown = f"/courses/{course['id']}", desk.get(f"/courses/{course['id']}")
        done = {each["id"] for each in shown["sessions"] if each["status"] == "done"}
        waiting = [g for g in shown["gates"] if g["outcome"] == "pending" and g["after_session_id"] in done]
        assert waiting
        refused = desk.post(f"/appointments/{visit['id']}/confirm", {}, status=409)
        assert refused["code"] == "gate_not_passed"
        for gate in waiting:
            decision = {"outcome": "passed", "by": "Dr. Lee", "note": "Fit for it."}
            desk.call("PUT", f"{path}/gates/{gate['key']}", 200, decision)
        [plan] = desk.post(f"{path}/plans", {})["plans"]
        desk.post(f"{path}/bookings", {"plan_token": plan["token"]}, status=201)
        visit = desk.visits(course)[0]
    assert visit["status"] == "booked"
    return visit


def the_second_dose_is_missed_and_planned_anew(desk: Desk, course: dict[str, Any], document: dict[str, Any]) -> None:
    """A dose is given, with what lies around it; the second visit for one is missed."""
    path, given = f"/courses/{course['id']}", 0
    while True:
        visit = next_visit(desk, course)
        if desk.kinds[visit["visit_type"]]["kind"] == "dosing":
            if given == 1:
                break
            given += 1
        desk.take_place(visit)
    desk.clock.set(at(visit["start"]) + timedelta(minutes=20))
    the_protocols_own_rule_is_suggested(desk, course, document, visit)
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


def is_later(desk: Desk, course: dict[str, Any], visit: dict[str, Any]) -> bool:
    """Whether the visit is for a dose of a later phase than the first with doses."""
    doses = {s["id"]: s["phase"] for s in course["sessions"] if desk.kinds[s["visit_type"]]["kind"] == "dosing"}
    return doses.get(visit["course_session_id"]) not in {None, next(iter(doses.values()))}


def the_protocols_own_rule_is_suggested(
    desk: Desk, course: dict[str, Any], document: dict[str, Any], visit: dict[str, Any]
) -> str | None:
    """What the document says for its phase of a dose that was missed or not given, or nothing: its code."""
    branch = "maintenance_and_worse" if is_later(desk, course, visit) else "during_induction"
    code = document.get("missed_session", {}).get(branch)
    for action in ("noshow", "not_dosed"):
        changes = [{"appointment_id": visit["id"], "action": action}]
        told = desk.post(f"/courses/{course['id']}/replans", {"changes": changes})["suggestions"]
        assert [(each["session_id"], each["code"]) for each in told] == (
            [(visit["course_session_id"], code)] if code else []
        )
    return code


def a_held_course_gives_no_dose(desk: Desk, course: dict[str, Any]) -> None:
    path = f"/courses/{course['id']}"
    while desk.kinds[(dose := next_visit(desk, course))["visit_type"]]["kind"] != "dosing":
        desk.take_place(dose)
    desk.post(f"{path}/hold", {"reason": "Blood pressure"})
    desk.clock.set(max(at(dose["start"]), desk.clock()))
    refused = desk.post(f"/appointments/{dose['id']}/check-in", {}, status=409)
    assert refused["code"] == "on_hold"
    assert desk.post(f"{path}/resume", {"reason": "Well again"})["status"] == "active"
    desk.take_place(dose)


def the_course_comes_to_its_end(desk: Desk, course: dict[str, Any], document: dict[str, Any]) -> None:
    """It is completed once nothing of it is ahead, and not before; a dose late in it could be missed as well."""
    path = f"/courses/{course['id']}"
    early = desk.post(f"{path}/complete", {"by": "Dr. Lee"}, status=409)
    assert "not over yet" in early["detail"]
    later = None
    while desk.visits(course):
        visit = next_visit(desk, course)
        if later is None and is_later(desk, course, visit):
            desk.clock.set(max(at(visit["start"]), desk.clock()))
            later = the_protocols_own_rule_is_suggested(desk, course, document, visit)
        desk.take_place(visit)
    assert later or course["protocol"] != "esketamine_trd", "its later phases have a rule of their own"
    assert {each["status"] for each in desk.get(path)["sessions"]} == {"done"}
    assert desk.post(f"{path}/complete", {"by": "Dr. Lee", "note": "In remission."})["status"] == "completed"
    assert desk.post(f"{path}/plans", {}, status=409)["code"] == "illegal_transition"
