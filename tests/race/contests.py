"""The contests for one time, by route: who claims it and who disturbs. What must come of them is in the test.

A case is fought for the one therapist at ten o'clock of a day of its own. A new route goes into CONTESTS with its
contest (a page: into `by_link`, a chore of the worker: into `by_worker`), or into `peaceful` when it writes no
occupancies: then it is watched, on real examples, to see if it is so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from scheduler.models import Appointment, Occupancy
from scheduler.services import waitlist
from tests.api.conftest import Person, make_key
from tests.clinic import WEEK, Clinic, need, segment, visit_type, week
from tests.desk import TALK
from tests.plumbing.clock import Clock

if TYPE_CHECKING:
    from flask import Flask

Ask = tuple[str, str, Any]
Chore = Callable[[], object]
EVERY_DAY = (*WEEK, "sat", "sun")
TEN, HALF_PAST = "10:00", "10:30"
CIRCLE = TALK | {"code": "circle", "name": "Circle", "kind": "group", "group": {"minimum": 2, "maximum": 3}}
DOSE = visit_type(
    "dose", segment("dose", 60, need("role:therapist"), need("room:consult")), kind="dosing", modality="im"
)
ONCE = {
    "code": "once",
    "name": "Once",
    "phases": [{"key": "talks", "steps": [{"key": "talk", "visit_type": "talk"}]}],
}


@dataclass(frozen=True)
class Contest:
    """Requests that are sent at once: of the `claims` `least` to `most` are granted; the `others` disturb.

    So do the worker's `chores`.
    """

    claims: Sequence[Ask]
    others: Sequence[Ask] = ()
    least: int = 1
    most: int = 1
    chores: Sequence[Chore] = ()


@dataclass
class Ring:
    """The clinic, its front desk, and the day of the present contest."""

    app: Flask
    engine: Engine
    clock: Clock
    day: date = date(2030, 3, 5)
    clinic: Clinic = field(init=False)
    desk: Person = field(init=False)
    therapist: UUID = field(init=False)
    urgency: int = 0

    def __post_init__(self) -> None:
        self.clinic = Clinic(self.engine, hours=week(days=EVERY_DAY))
        self.clinic.call = replace(self.clinic.call, now=self.clock())
        for document in (TALK, CIRCLE, DOSE):
            self.clinic.visit(document)
        self.therapist = self.clinic.staff("therapist")
        self.clinic.room("consult")
        token = make_key(self.engine, self.clock, self.clinic.call.organization_id, "admin")[1]
        self.desk = Person(self.app, self.clinic.call.organization_id, token)

    def next_day(self) -> None:
        """A day on which nothing is booked yet; the clock stands at its morning."""
        self.day += timedelta(days=1)
        self.clock.set(self.at("06:00"))
        self.clinic.call = replace(self.clinic.call, now=self.clock())

    def at(self, clock: str, days: int = 0) -> datetime:
        return self.clinic.at(f"{self.day + timedelta(days=days)} {clock}")

    def wish(self, clock: str = TEN, **more: Any) -> dict[str, Any]:
        ids = {"patient_id": str(self.clinic.patient()), "location_id": str(self.clinic.location_id)}
        return ids | {"visit_type": "talk", "start": self.at(clock).isoformat()} | more

    def ask(self, path: str, body: Any = None, method: str = "POST") -> Ask:
        return method, f"/v1/{path}", body

    def bookings(self, count: int = 2, clock: str = TEN) -> list[Ask]:
        return [self.ask("appointments", self.wish(clock)) for _ in range(count)]

    def made(self, path: str, body: Any = None) -> Any:
        answer = self.desk.post(f"/v1/{path}", json=body)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json

    def visit(self, clock: str = TEN) -> str:
        return str(self.made("appointments", self.wish(clock))["id"])

    def gone(self) -> str:
        """A visit at ten that was called off."""
        key = self.visit()
        self.made(f"appointments/{key}/cancel", {"reason": "ill", "by": "patient"})
        return key

    def hold(self) -> str:
        return str(
            self.made("holds", {name: value for name, value in self.wish().items() if name != "patient_id"})["id"]
        )

    def waits(self) -> str:
        """Somebody waits for any time, more urgently than all before: the entry."""
        body = {name: value for name, value in self.wish().items() if name != "start"}
        self.urgency += 1
        return str(self.made("waitlist-entries", body | {"priority": self.urgency})["id"])

    def offer(self) -> tuple[str, str]:
        """Ten o'clock offered to somebody on the waitlist: (entry, offer)."""
        entry = self.waits()
        self.gone()
        while self.clinic.do(waitlist.sweep):
            pass
        [offer] = self.desk.get(f"/v1/waitlist-entries/{entry}").json["offers"]
        return entry, str(offer["id"])

    def series(self, clock: str) -> str:
        """The first visit of two, on days running."""
        return str(self.made("series", self.wish(clock, rule="FREQ=DAILY;COUNT=2"))["appointments"][0]["id"])

    def course(self) -> tuple[str, dict[str, Any]]:
        """A course of one talk, booked where its plan has it: its id and its visit."""
        ids = {"patient_id": str(self.clinic.patient()), "location_id": str(self.clinic.location_id)}
        key = self.made("courses", ids | {"protocol": "once", "start_after": self.day.isoformat()})["id"]
        token = self.made(f"courses/{key}/plans", {})["plans"][0]["token"]
        [visit] = self.made(f"courses/{key}/bookings", {"plan_token": token})["appointments"]
        return str(key), visit

    def all_at_once(self, asked: Sequence[Ask], chores: Sequence[Chore] = ()) -> list[Any]:
        """The answers, and then what the chores gave back."""
        works = [*(partial(self.send, *each) for each in asked), *chores]
        gate, answers = threading.Barrier(len(works)), list[Any]([None] * len(works))

        def run(place: int) -> None:
            gate.wait()
            answers[place] = works[place]()

        threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def send(self, method: str, path: str, body: Any) -> Any:
        form = "data" if path.startswith("/p/") else "json"
        options = {form: body} if body is not None else {}
        tag = {"If-Match": '"1"'} if method == "DELETE" else {}
        return self.desk.call(method, path, headers=tag, **options)

    def stray(self) -> int:
        """Occupancies of visits that do not take place."""
        gone = select(Appointment.id).where(Appointment.status.in_(("cancelled", "noshow")))
        with Session(self.engine) as session:
            return session.scalar(select(func.count()).where(Occupancy.appointment_id.in_(gone))) or 0


def booking(ring: Ring) -> Contest:
    return Contest(ring.bookings(5))


def joining(ring: Ring) -> Contest:
    """Three come to one circle, and whoever wants the therapist alone comes too late, or first."""
    circle = [ring.ask("appointments", ring.wish(visit_type="circle")) for _ in range(4)]
    return Contest(circle, most=3, least=3)


def cancelling_a_group(ring: Ring) -> Contest:
    joined = ring.made("appointments", ring.wish(visit_type="circle"))
    gone = ring.ask(f"groups/{joined['group_id']}/cancel", {"reason": "ill"})
    return Contest(ring.bookings(3), [gone], least=0)


def holding(ring: Ring) -> Contest:
    holds = [ring.ask("holds", {k: v for k, v in ring.wish().items() if k != "patient_id"}) for _ in range(3)]
    return Contest([*holds, *ring.bookings()])


def using_a_hold(ring: Ring) -> Contest:
    held = ring.made("holds", {k: v for k, v in ring.wish().items() if k != "patient_id"})
    more = {"hold_id": held["id"], "hold_token": held["token"]}
    return Contest([ring.ask("appointments", ring.wish(**more)) for _ in range(3)] + ring.bookings())


def moving(ring: Ring) -> Contest:
    visits = [ring.visit(clock) for clock in ("08:00", "12:00", "14:00")]
    body = {"start": ring.at(TEN).isoformat()}
    return Contest([ring.ask(f"appointments/{key}/reschedule", body) for key in visits] + ring.bookings())


def cancelling(ring: Ring) -> Contest:
    gone = ring.ask(f"appointments/{ring.visit()}/cancel", {"reason": "ill", "by": "patient"})
    return Contest(ring.bookings(3), [gone, gone], least=0)


def confirming(ring: Ring) -> Contest:
    key = ring.visit()
    with Session(ring.engine) as session, session.begin():
        session.execute(update(Appointment).where(Appointment.id == UUID(key)).values(status="pending"))
    return Contest([ring.ask(f"appointments/{key}/confirm", {}), *ring.bookings()])


def arriving(ring: Ring) -> Contest:
    key = ring.visit()
    ring.clock.set(ring.at("10:05"))
    return Contest(ring.bookings(3, HALF_PAST), [ring.ask(f"appointments/{key}/check-in", {})] * 2, least=0)


def leaving(how: str, body: dict[str, Any], *, received: bool) -> Callable[[Ring], Contest]:
    """The visit ends at twenty past, and what is left of its time is free."""

    def contest(ring: Ring) -> Contest:
        key = ring.visit()
        ring.clock.set(ring.at("10:05"))
        if received:
            ring.made(f"appointments/{key}/check-in", {})
        ring.clock.set(ring.at("10:20"))
        return Contest(ring.bookings(3, HALF_PAST), [ring.ask(f"appointments/{key}/{how}", body)], least=0)

    return contest


def undoing(ring: Ring) -> Contest:
    return Contest([ring.ask(f"appointments/{ring.gone()}/undo", {}) for _ in range(3)] + ring.bookings(1))


def giving_up_a_hold(ring: Ring) -> Contest:
    return Contest(ring.bookings(3), [ring.ask(f"holds/{ring.hold()}", method="DELETE")], least=0)


def extending(ring: Ring) -> Contest:
    key = ring.hold()
    ring.clock.move(timedelta(minutes=4, seconds=59))
    return Contest(ring.bookings(3), [ring.ask(f"holds/{key}/extend", {})], least=0)


def accepting(ring: Ring) -> Contest:
    entry, offer = ring.offer()
    asked = ring.ask(f"waitlist-entries/{entry}/accept", {"offer_id": offer})
    return Contest([asked, asked, *ring.bookings()])


def declining(ring: Ring) -> Contest:
    entry, offer = ring.offer()
    asked = ring.ask(f"waitlist-entries/{entry}/decline", {"offer_id": offer})
    return Contest(ring.bookings(3), [asked], least=0)


def leaving_the_list(ring: Ring) -> Contest:
    entry, _ = ring.offer()
    return Contest(ring.bookings(3), [ring.ask(f"waitlist-entries/{entry}", method="DELETE")], least=0)


def repeating(ring: Ring) -> Contest:
    rule = {"rule": "FREQ=DAILY;COUNT=2"}
    return Contest([ring.ask("series", ring.wish(**rule)) for _ in range(3)] + ring.bookings(1))


def moving_a_series(ring: Ring) -> Contest:
    firsts = [ring.series(clock) for clock in ("08:00", "12:00")]
    body = {"start": ring.at(TEN).isoformat(), "scope": "all"}
    return Contest([ring.ask(f"appointments/{key}/reschedule-series", body) for key in firsts] + ring.bookings(1))


def cancelling_a_series(ring: Ring) -> Contest:
    body = {"reason": "ill", "by": "patient", "scope": "all"}
    return Contest(ring.bookings(3), [ring.ask(f"appointments/{ring.series(TEN)}/cancel-series", body)], least=0)


def booking_courses(ring: Ring) -> Contest:
    """Two plans that were offered the same time."""
    asked = []
    for _ in range(2):
        body = {
            "patient_id": str(ring.clinic.patient()),
            "protocol": "once",
            "location_id": str(ring.clinic.location_id),
        }
        key = ring.made("courses", body | {"start_after": ring.day.isoformat()})["id"]
        token = ring.made(f"courses/{key}/plans", {})["plans"][0]["token"]
        asked.append(ring.ask(f"courses/{key}/bookings", {"plan_token": token}))
    return Contest(asked)


def planning_anew(ring: Ring) -> Contest:
    """A new plan would move its visit to ten."""
    key, visit = ring.course()
    moved = {"appointment_id": visit["id"], "action": "move", "start": ring.at(TEN).isoformat()}
    token = ring.made(f"courses/{key}/replans", {"changes": [moved]})["token"]
    asked = ring.ask(f"courses/{key}/bookings", {"plan_token": token})
    return Contest([asked, asked, *ring.bookings()])


def giving_up_a_course(ring: Ring) -> Contest:
    key, visit = ring.course()
    claims = [ring.ask("appointments", ring.wish() | {"start": visit["start"]}) for _ in range(3)]
    return Contest(claims, [ring.ask(f"courses/{key}/discontinue", {"reason": "moved away"})], least=0)


def repairing(ring: Ring) -> Contest:
    """The repair would move the visit to a time that others want."""
    _, visit = ring.course()
    away = {"resource_id": str(ring.therapist), "from": visit["start"], "to": visit["end"]}
    offer = ring.made("disruptions", away)
    [moved] = offer["diff"]["moved"]
    claims = [ring.ask("appointments", ring.wish() | {"start": moved["to"]}) for _ in range(2)]
    return Contest([ring.ask(f"disruptions/{offer['token']}/accept", {"all": True}), *claims])


def overriding(ring: Ring) -> Contest:
    """Whoever may overlap gets extra units, all of them; whoever may not is refused."""
    ring.visit()
    lifted = {"override": {"rules": ["resource_busy"], "reason": "no other way"}}
    claims = [ring.ask("appointments", ring.wish(**lifted)) for _ in range(3)]
    return Contest(claims, ring.bookings(), least=3, most=3)


def going_away(ring: Ring) -> Contest:
    span = {"start": ring.at(TEN).isoformat(), "end": ring.at("11:00").isoformat()}
    return Contest(ring.bookings(3), [ring.ask("absences", {"resource_id": str(ring.therapist)} | span)], least=0)


def coming_back(ring: Ring) -> Contest:
    span = {"start": ring.at(TEN).isoformat(), "end": ring.at("11:00").isoformat()}
    key = ring.made("absences", {"resource_id": str(ring.therapist)} | span)["id"]
    return Contest(ring.bookings(3), [ring.ask(f"absences/{key}", method="DELETE")], least=0)


def releasing(ring: Ring) -> Contest:
    """A dose that is held when it should begin is let go with the hold, and what is left of its time is free."""
    wish = ring.wish(visit_type="dose")
    ring.made("appointments", wish)
    path = f"patients/{wish['patient_id']}/holds"
    key = ring.made(path, {"reason": "illness", "deadline": ring.at("20:00").isoformat()})["id"]
    ring.clock.set(ring.at("10:20"))
    released = ring.ask(f"{path}/{key}/release", {"by": "Dr. Lee", "note": "Well again."})
    return Contest(ring.bookings(3, HALF_PAST), [released], least=0)


VISIT = "POST /v1/appointments/<uuid:appointment_id>"
CONTESTS: dict[str, list[Callable[[Ring], Contest]]] = {
    "POST /v1/appointments": [booking, using_a_hold, joining, overriding],
    "POST /v1/groups/<uuid:group_id>/cancel": [cancelling_a_group],
    "POST /v1/holds": [holding],
    "DELETE /v1/holds/<uuid:hold_id>": [giving_up_a_hold],
    "POST /v1/holds/<uuid:hold_id>/extend": [extending],
    f"{VISIT}/reschedule": [moving],
    f"{VISIT}/cancel": [cancelling],
    f"{VISIT}/confirm": [confirming],
    f"{VISIT}/check-in": [arriving],
    f"{VISIT}/fulfill": [leaving("fulfill", {}, received=True)],
    f"{VISIT}/not-dosed": [leaving("not-dosed", {"reason": "unwell"}, received=True)],
    f"{VISIT}/no-show": [leaving("no-show", {}, received=False)],
    f"{VISIT}/entered-in-error": [leaving("entered-in-error", {"reason": "the wrong patient"}, received=False)],
    f"{VISIT}/undo": [undoing],
    f"{VISIT}/reschedule-series": [moving_a_series],
    f"{VISIT}/cancel-series": [cancelling_a_series],
    "POST /v1/series": [repeating],
    "POST /v1/waitlist-entries/<uuid:entry_id>/accept": [accepting],
    "POST /v1/waitlist-entries/<uuid:entry_id>/decline": [declining],
    "DELETE /v1/waitlist-entries/<uuid:entry_id>": [leaving_the_list],
    "POST /v1/courses/<uuid:course_id>/bookings": [booking_courses, planning_anew],
    "POST /v1/courses/<uuid:course_id>/discontinue": [giving_up_a_course],
    "POST /v1/disruptions/<uuid:token>/accept": [repairing],
    "POST /v1/patients/<uuid:patient_id>/holds/<uuid:clinical_hold_id>/release": [releasing],
    "POST /v1/absences": [going_away],
    "DELETE /v1/absences/<uuid:absence_id>": [coming_back],
}
