"""A course's own terms change while it is planned, booked, re-planned and given up: many hands, one course, one truth.

Each test fights over several courses at once, in a real server; what was answered with success holds afterwards.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.models import Appointment
from scheduler.services import protocols
from tests.race import ledger
from tests.race.arena import Arena, protocol
from tests.race.caller import Caller
from tests.race.checker import LIVE, Tables, faults
from tests.race.conftest import House
from tests.race.crowd import at_once
from tests.race.jobs import entry
from tests.race.test_whole_courses import deadlocks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: So many courses are fought over at once.
COURSES = 3
#: A talk must follow a dose within three days, and doses be two to five days apart: on these two days there is no way.
TIGHT = {"weekdays": ["mon", "tue"]}
GRANTED = {"through": "all", "by": "Dr. Able", "reason": "Stable"}
#: How the checker, who knows of no gates, ends and cadences of a patient's own, begins to speak of these.
IN_PART, TOO_CLOSE = "course ", "gaps: "
Told = dict[str, list[dict[str, Any]]]


class Fight:
    """The clinic, its front desk, and courses of one patient each."""

    def __init__(self, house: House) -> None:
        self.arena = Arena(house.engine)
        self.desk: Caller = self.arena.caller(house.server)
        self._before = deadlocks(house.engine)
        self._did: list[dict[str, Any]] = []

    def course(self, patient: int, code: str = "trial", **wishes: Any) -> str:
        """The path of a new course."""
        order = self.arena.order(protocol=code)
        wanted = {name: order[name] for name in ("location_id", "start_after", "protocol")}
        made = self.desk.post("/v1/courses", wanted | {"patient_id": order["patients"][patient], "preferences": wishes})
        assert made.is_good, made.body
        return f"/v1/courses/{made.body['id']}"

    def publish(self, document: dict[str, Any]) -> None:
        """A protocol beside the usual one."""
        self.arena.clinic.do(lambda s, c: protocols.publish(
            s, c, protocols.create(s, c, document).id, None, approved_by="A Clinician", note="for the test"
        ))  # fmt: skip

    def plan(self, path: str, **asked: Any) -> dict[str, Any]:
        told = self.desk.post(f"{path}/plans", asked)
        assert told.is_good, told.body
        return dict(told.body["plans"][0])

    def booked(self, path: str) -> list[dict[str, Any]]:
        told = self.desk.post(f"{path}/bookings", {"plan_token": self.plan(path, through="all")["token"]})
        assert told.is_good, told.body
        self._did.append(entry("post", told))
        return list(told.body["appointments"])

    def offers(self, path: str) -> list[str]:
        """The changes that the explanation offers to the course alone."""
        refused = self.desk.post(f"{path}/plans", {"through": "all"})
        assert refused.code == "no_feasible_plan", refused.body
        return [each["change"] for each in refused.body["relaxations"] if each["grantable"]]

    def etag(self, path: str) -> str:
        return self.desk.get(path).headers["ETag"]

    def at_once(self, orders: Sequence[dict[str, Any]], *known: str) -> Told:
        """What each course's callers were told, in no order; by the course's path. `known` are faults that are none."""
        did = at_once(self.desk, "post", orders, processes=3)
        assert len(did) == len(orders)
        assert [each for each in did if each["status"] in {0, 500, 502, 503, 504}] == []
        found: Told = defaultdict(list)
        for each in did:
            found["/".join(each["path"].split("/")[:4])].append(each)
        tables = Tables(self.arena.engine, self.arena.clinic.call.organization_id)
        assert list(ledger.lost([*self._did, *did], tables, unknown=True)) == [], "cancelled, but not lost"
        wrong = faults(self.arena.engine, self.arena.clinic.call.organization_id)
        assert [each for each in wrong if not each.startswith(known)] == []
        assert deadlocks(self.arena.engine) == self._before
        return found

    def living(self, path: str) -> list[Appointment]:
        """The visits of the course that take place."""
        mine = Appointment.course_id == UUID(path.rpartition("/")[2]), Appointment.status.in_(LIVE)
        with Session(self.arena.engine, expire_on_commit=False) as session:
            return list(session.scalars(select(Appointment).where(*mine)))


@pytest.fixture
def fight(house: House) -> Fight:
    return Fight(house)


def codes(did: Sequence[dict[str, Any]], sent: str) -> Counter[str]:
    """How it went for those that sent such a field: the status when it went well, else the code."""
    return Counter(each["code"] for each in did if sent in each["sent"])


def _day(start: str) -> str:
    return f"{date.fromisoformat(start[:10]):%a}".lower()


@pytest.mark.parametrize("late", ["illegal_transition", "precondition_failed"])
def test_of_many_grants_of_one_course_one_is_written(fight: Fight, late: str) -> None:
    """Whoever is late is told that there is a plan now; or, who named the course as it was, that it has changed."""
    paths = [fight.course(patient, **TIGHT) for patient in range(COURSES)]
    orders = []
    for path in paths:
        offers = fight.offers(path)
        headers = {"if_match": fight.etag(path)} if late == "precondition_failed" else {}
        assert len(offers) >= 2
        orders += [
            {"path": f"{path}/relaxations", "body": GRANTED | {"change": change}, "headers": headers}
            for change in (*offers[:2], *offers[:2])
        ]
    told = fight.at_once(orders)
    for path in paths:
        assert codes(told[path], "change") == {"200": 1, late: 3}
        [won] = [each["sent"]["change"] for each in told[path] if each["status"] == 200]
        assert [each["change"] for each in fight.desk.get(path).body["relaxations"]] == [won]
        assert len(fight.booked(path)) == 5, "what it promised is there"


def test_a_grant_beside_the_booking_of_a_plan(fight: Fight) -> None:
    """The plan goes to the review after the first dose, the grant is for what comes after it."""
    review = {"key": "review", "after": {"step": "dose", "count": 1}, "kind": "hard"}
    fight.publish(protocol("gated", 2) | {"gates": [review]})
    paths, orders = [fight.course(patient, "gated", **TIGHT) for patient in range(COURSES)], []
    for path in paths:
        token, offers = fight.plan(path)["token"], fight.offers(path)
        orders += [{"path": f"{path}/relaxations", "body": GRANTED | {"change": change}} for change in offers[:2]]
        orders += [{"path": f"{path}/bookings", "body": {"plan_token": token}}] * 2
    told = fight.at_once(orders, IN_PART)
    for path in paths:
        booked, granted = codes(told[path], "plan_token"), codes(told[path], "change")
        assert booked["201"] <= 1
        assert booked.keys() <= {"201", "plan_stale"}
        assert granted["200"] <= 1 + booked["201"], "one is for days that a dose booked since may have passed by"
        assert granted.keys() <= {"200", "illegal_transition", "validation_failed"}
        assert booked["201"] + granted["200"] >= 1, "the first finds nothing in its way"
        shown = fight.desk.get(path).body
        assert len(fight.living(path)) == 3 * booked["201"], "whole, or not at all"
        assert len(shown["relaxations"]) == granted["200"]
        assert shown["broken"] == []


def test_wishes_change_beside_the_booking_of_a_plan(fight: Fight) -> None:
    """Whoever is first: no visit is booked on a day that the patient does not want any more, and not named for it."""
    paths = [fight.course(patient) for patient in range(COURSES)]
    orders = []
    for path in paths:
        plan, etag = fight.plan(path, through="all"), fight.etag(path)
        days = [_day(each["start"]) for each in plan["sessions"]]
        left = [day for day in ("mon", "tue", "wed", "thu", "fri") if day != days[1]]
        orders += [{"path": f"{path}/bookings", "body": {"plan_token": plan["token"]}}] * 2
        orders += [
            {"path": path, "method": "PATCH", "body": body, "headers": {"if_match": etag}}
            for body in ({"preferences": {"weekdays": left}}, {"preferences": {"weekdays": left}, "note": "Works"})
        ]
    told = fight.at_once(orders)
    for path in paths:
        booked, changed = codes(told[path], "plan_token"), codes(told[path], "preferences")
        assert booked["201"] <= 1
        assert booked.keys() <= {"201", "plan_stale"}
        assert changed["200"] <= 1, "no update is lost"
        assert changed.keys() <= {"200", "precondition_failed"}
        assert booked["201"] + changed["200"] >= 1
        shown, living = fight.desk.get(path).body, fight.living(path)
        assert len(living) == 5 * booked["201"]
        wanted = shown["preferences"].get("weekdays")
        assert (wanted is not None) == bool(changed["200"])
        against = [row for row in living if wanted and _day(row.local_start) not in wanted]
        assert len(against) == len(shown["unfit"])


def test_a_cadence_is_set_while_a_re_plan_is_accepted(fight: Fight) -> None:
    paths, orders = [fight.course(patient) for patient in range(COURSES)], []
    for path in paths:
        dose = next(each for each in fight.booked(path) if each["visit_type"] == "infusion")
        asked = {"changes": [{"appointment_id": dose["id"], "action": "cancel"}]}
        planned, etag = fight.desk.post(f"{path}/replans", asked), fight.etag(path)
        assert planned.is_good, planned.body
        orders += [{"path": f"{path}/bookings", "body": {"plan_token": planned.body["token"]}}] * 2
        orders += [
            {
                "path": f"{path}/cadence",
                "method": "PUT",
                "body": {"steps": {"dose": {"gap": {"min": least, "target": least, "max": 5}}}, "by": "Dr. Able"},
                "headers": {"if_match": etag},
            }
            for least in (3, 4)
        ]
    told = fight.at_once(orders, IN_PART, TOO_CLOSE)
    for path in paths:
        accepted, paced = codes(told[path], "plan_token"), codes(told[path], "steps")
        assert accepted["201"] <= 1
        assert accepted.keys() <= {"201", "plan_stale"}
        assert paced["200"] <= 1, "no update is lost"
        assert paced.keys() <= {"200", "precondition_failed"}
        assert accepted["201"] + paced["200"] >= 1
        shown = fight.desk.get(path).body
        won = [each["sent"]["steps"] for each in told[path] if "steps" in each["sent"] and each["status"] == 200]
        assert [each["steps"] for each in [shown["own_cadence"]] if each] == won
        if not won:
            assert shown["broken"] == []
        assert {each["code"] for each in shown["broken"]} <= {"gap_too_short"}, "what stood before the cadence"


def test_a_course_is_given_up_while_it_is_booked(fight: Fight) -> None:
    paths, orders = [fight.course(patient) for patient in range(COURSES)], []
    for path in paths:
        token = fight.plan(path, through="all")["token"]
        orders += [{"path": f"{path}/bookings", "body": {"plan_token": token}}] * 2
        orders += [{"path": f"{path}/discontinue", "body": {"reason": "Moves away"}}] * 2
    told = fight.at_once(orders, IN_PART)
    for path in paths:
        booked, ended = codes(told[path], "plan_token"), codes(told[path], "reason")
        assert booked["201"] <= 1
        assert booked.keys() <= {"201", "plan_stale", "illegal_transition"}
        assert ended == {"200": 1, "illegal_transition": 1}
        assert fight.desk.get(path).body["status"] == "revoked"
        assert fight.living(path) == [], "no part of it stays"
