"""The story: a course is planned and booked over HTTP, then the clock runs forward until the first dose is over.

What it looks like is `screen`'s. Each step returns what came of it, so that a test can read the story too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from scheduler.core.civil import day_bounds, to_local
from scheduler.demo.clinic import CLINICIAN
from scheduler.demo.clock import StoryClock
from scheduler.demo.desk import Desk
from scheduler.demo.seed import PROTOCOL
from scheduler.worker import Worker

#: How far the clock jumps at least, except to a message of the story's own patient.
STRIDE = timedelta(hours=1)
ALTERNATIVES = 3
#: What the desk writes down where a checklist asks for more than a yes.
ANSWERS = {"ride": "A neighbor, by car", "systolic": 120, "diastolic": 80}
LOOK_AHEAD = timedelta(days=28)


@dataclass(frozen=True)
class Booked:
    """A course in the calendar: its patient, location, plans (the best first) and appointments by start."""

    patient: dict[str, Any]
    location: dict[str, Any]
    course: dict[str, Any]
    plans: list[dict[str, Any]]
    appointments: list[dict[str, Any]]

    @property
    def summit(self) -> dict[str, Any]:
        """The visit that the story leads to: the first dose, or the last visit of a course without one."""
        steps = {each["id"]: each["step"] for each in self.course["sessions"]}
        doses = (each for each in self.appointments if steps[each["course_session_id"]] == "dose")
        return next(doses, self.appointments[-1])


@dataclass(frozen=True)
class Sent:
    """A message to the story's patient that has just left, with its text; `at` by the site's wall clock."""

    message: dict[str, Any]
    at: datetime


def begin(desk: Desk, patient_id: str, location_id: str, start_after: date) -> tuple[dict[str, Any], dict[str, Any]]:
    """A course for the patient. Returns patient and course."""
    patient = desk.get(f"/v1/patients/{patient_id}")
    wanted = {
        "patient_id": patient_id,
        "protocol": PROTOCOL,
        "location_id": location_id,
        "start_after": start_after.isoformat(),
    }
    course = desk.post("/v1/courses", wanted)
    # Elsewhere the evaluation and its labs come first; the story's patient was seen before it began.
    labs = {"kind": "labs", "outcome": "approved", "valid_from": start_after.isoformat(), "by": CLINICIAN}
    desk.post(f"/v1/patients/{patient_id}/clearances", labs)
    cleared = {"outcome": "passed", "by": CLINICIAN, "note": "Seen and cleared before, for this demonstration."}
    return patient, desk.put(f"/v1/courses/{course['id']}/gates/clearance", cleared)


def plan(desk: Desk, course: dict[str, Any]) -> list[dict[str, Any]]:
    """Up to three plans, the best first. Raises RefusedRequest (`no_feasible_plan`) when there is none."""
    wanted = {"alternatives": ALTERNATIVES, "through": "all"}
    found: list[dict[str, Any]] = desk.post(f"/v1/courses/{course['id']}/plans", wanted)["plans"]
    return found


def book(desk: Desk, patient: dict[str, Any], course: dict[str, Any], plans: list[dict[str, Any]]) -> Booked:
    """The best plan, all of it in one transaction."""
    answer = desk.post(f"/v1/courses/{course['id']}/bookings", {"plan_token": plans[0]["token"]})
    return _booked(desk, patient, course, plans, answer["appointments"])


def book_first(desk: Desk, patient: dict[str, Any], course: dict[str, Any], now: datetime) -> Booked | None:
    """The course's first session alone, at the first start that is offered; None when there is none."""
    session = course["sessions"][0]
    asked = {"visit_type": session["visit_type"], "location_id": course["location_id"], "patient_id": patient["id"]}
    span = {"from": now.isoformat(), "to": (now + LOOK_AHEAD).isoformat()}
    offers = desk.get("/v1/availability", limit=1, **asked, **span)["items"]
    if not offers:
        return None
    wanted = {**asked, "course_session_id": session["id"], "start": offers[0]["start"]}
    return _booked(desk, patient, course, [], [desk.post("/v1/appointments", wanted)])


def _booked(
    desk: Desk,
    patient: dict[str, Any],
    course: dict[str, Any],
    plans: list[dict[str, Any]],
    appointments: list[dict[str, Any]],
) -> Booked:
    location = desk.get(f"/v1/locations/{course['location_id']}")
    course = desk.get(f"/v1/courses/{course['id']}")
    return Booked(patient, location, course, plans, sorted(appointments, key=lambda each: each["start"]))


def owed(desk: Desk, patient: dict[str, Any]) -> list[dict[str, Any]]:
    """Every message to the patient, by due time."""
    return list(desk.every("/v1/messages", patient_id=patient["id"]))


@dataclass
class Running:
    """The clock running forward with a worker ticking; everybody's messages leave, the patient's are reported."""

    desk: Desk
    clock: StoryClock
    worker: Worker
    patient: dict[str, Any]
    zone: str
    known: set[str] = field(default_factory=set)

    def through(self, visits: Sequence[dict[str, Any]]) -> Iterator[Sent]:
        """Each message to the patient as it leaves, up to the midnight after the last visit; each visit takes place."""
        kinds = {each["code"]: each for each in self.desk.every("/v1/visit-types")}
        for visit in visits:
            kind = kinds[visit["visit_type"]]
            yield from self.until(datetime.fromisoformat(visit["start"]))
            self._record(visit, "check-in", kind, "check_in")
            if kind["kind"] == "dosing":
                self._record(visit, "start", kind, "start")
            yield from self.until(datetime.fromisoformat(visit["end"]))
            self._record(visit, "fulfill", kind, "discharge")
        yield from self.until(end_of_day(visits[-1]))

    def _record(self, visit: dict[str, Any], action: str, kind: dict[str, Any], point: str) -> None:
        """What the desk writes down, with an answer to all that the visit type asks at that point."""
        asked = (each for each in kind.get("checklist", ()) if each["at"] == point)
        answers = {
            each["key"]: {"ok": True} | ({"value": ANSWERS[each["key"]]} if each.get("value") else {}) for each in asked
        }
        self.desk.post(f"/v1/appointments/{visit['id']}/{action}", {"checklist": answers})

    def until(self, end: datetime) -> Iterator[Sent]:
        """Each message to the patient as it leaves, up to `end`."""
        own = self._pending()
        while True:
            self.worker.tick()
            if own is not None and own <= self.clock():
                yield from self._news()
                own = self._pending()
            if self.clock() >= end:
                return
            self.clock.set(self._next(own, end))

    def _next(self, own: datetime | None, end: datetime) -> datetime:
        """The next moment worth a tick: when the patient's next message is due, or anybody's after a stride."""
        due = self.worker.next_due()
        others = max(due, self.clock() + STRIDE) if due is not None else end
        return min(others, end, own if own is not None and own > self.clock() else end)

    def _pending(self) -> datetime | None:
        """When the patient's next message is due."""
        found = self.desk.get("/v1/messages", patient_id=self.patient["id"], status="pending", limit=1)["items"]
        return datetime.fromisoformat(found[0]["due_at"]) if found else None

    def _news(self) -> Iterator[Sent]:
        for message in self.desk.every("/v1/messages", patient_id=self.patient["id"], status="sent"):
            if message["channel"] == "task":  # the staff's, and no letter
                continue
            if message["id"] not in self.known:
                self.known.add(message["id"])
                whole = self.desk.get(f"/v1/messages/{message['id']}")
                yield Sent(whole, to_wall(whole["sent_at"], self.zone))


def to_wall(instant: str, zone: str) -> datetime:
    """An instant of the API's as the site's wall clock shows it, naive."""
    return to_local(datetime.fromisoformat(instant), zone)


def end_of_day(appointment: dict[str, Any]) -> datetime:
    """The midnight after an appointment, where it takes place."""
    zone = appointment["time_zone"]
    return day_bounds(to_wall(appointment["end"], zone).date(), zone)[1]
