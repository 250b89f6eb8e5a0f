"""Safety gates as staff see them over HTTP: refused, asked for, more urgent, and the time given to somebody else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.api.examples import WEEK, made, patient
from tests.api.problem import assert_problem
from tests.api.test_waitlist import tick

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from tests.api.conftest import Person
    from tests.plumbing.clock import Clock

RIDE = {"key": "ride", "label": "Ride home", "effect": "blocks", "at": "check_in", "value": "text"}
GATES = [
    {"key": "agreed", "label": "Consent", "effect": "blocks_booking", "clearance": "consent", "due_hours": 72},
    {"key": "labs", "label": "Labs", "effect": "blocks_checkin", "clearance": "labs", "due_hours": 48},
    {
        "key": "escort", "label": "Ride named", "effect": "blocks_checkin", "item": "ride", "due_hours": 24,
        "remind_hours": [8, 4], "release_hours": 2,
    },
    {"key": "mood", "label": "Evaluation", "effect": "warns", "clearance": "evaluation", "due_hours": 12},
]  # fmt: skip
DOSE = {"name": "dose", "minutes": 60, "needs": [{"role": "nurse", "mode": "exclusive"}]}


class Desk:
    """Alice's desk: a site with one nurse, a visit type with four gates, and its worker."""

    def __init__(self, alice: Person, engine: Engine, clock: Clock) -> None:
        self.alice, self.engine, self.clock = alice, engine, clock
        names = {"code": "dose", "name": "Dose", "public_name": "Visit", "kind": "dosing", "modality": "im"}
        made(alice, "/v1/visit-types", **names, segments=[DOSE], checklist=[RIDE], gates=GATES)
        self.site = made(alice, "/v1/locations", name="Main", time_zone="America/New_York", hours=WEEK)
        shifts = [{**each, "location_id": self.site} for each in WEEK]
        made(alice, "/v1/practitioners", name="Fern", roles=[{"code": "nurse"}], hours=shifts)
        self.start = datetime.fromisoformat("2030-03-08T14:00:00-05:00")
        self.wanted: dict[str, Any] = {"visit_type": "dose", "location_id": self.site, "start": self.start.isoformat()}

    def clear(self, who: str, kind: str, outcome: str = "approved") -> None:
        said = {"kind": kind, "outcome": outcome, "valid_from": "2030-01-01", "by": "Dr. Fern"}
        assert self.alice.post(f"/v1/patients/{who}/clearances", json=said).status_code == 201

    def wait(self, hours: float) -> None:
        """Until so many hours before the visit; the worker has done its chores by then."""
        self.clock.set(self.start - timedelta(hours=hours))
        tick(self.engine, self.clock)

    def owed(self, visit: str) -> list[tuple[str, int]]:
        """What a staff list shows of the visit's gates, with how urgent each is."""
        query = {"appointment_id": visit, "kind": "session_gate", "status": "open"}
        found = self.alice.get("/v1/tasks", query_string=query).json["items"]
        return sorted((each["item"], each["level"]) for each in found)

    def check_in(self, visit: str, **body: Any) -> Any:
        return self.alice.post(f"/v1/appointments/{visit}/check-in", json=body)


def test_from_a_refused_booking_to_the_time_let_go_and_taken(alice: Person, engine: Engine, clock: Clock) -> None:
    desk = Desk(alice, engine, clock)
    who = patient(alice)
    refusal = assert_problem(
        alice.post("/v1/appointments", json=desk.wanted | {"patient_id": who}), 409, "gate_not_passed"
    )
    assert [(each["code"], each["item"]) for each in refusal["reasons"]] == [("gate_not_passed", "consent")]
    asked = desk.wanted | {"patient_id": who}
    why = alice.get("/v1/availability/explain", query_string=asked).json
    assert (why["bookable"], why["reasons"]) == (False, refusal["reasons"])
    desk.clear(who, "consent")
    visit = made(alice, "/v1/appointments", **asked)

    for hours, expected in (
        (48.1, []),
        (48, [("labs", 0)]),
        (24, [("escort", 0), ("labs", 0)]),
        (12, [("escort", 0), ("labs", 0), ("mood", 0)]),
        (8, [("escort", 1), ("labs", 0), ("mood", 0)]),
        (4, [("escort", 2), ("labs", 0), ("mood", 0)]),
    ):
        desk.wait(hours)
        assert desk.owed(visit) == expected, hours
    desk.clear(who, "consent", "revoked")
    desk.wait(3)
    assert [item for item, _ in desk.owed(visit)] == ["agreed", "escort", "labs", "mood"], "it was in order, and is not"
    refusal = assert_problem(desk.check_in(visit), 409, "gate_not_passed")
    assert {(each["code"], each.get("item")) for each in refusal["reasons"]} == {
        ("gate_not_passed", "consent"),
        ("gate_not_passed", "labs"),
        ("checklist_incomplete", "ride"),
    }, "all of it at once, and by what it is called"

    desk.wait(2)
    assert alice.get(f"/v1/appointments/{visit}").json["status"] == "booked", "nobody lets go what no policy lets go"
    organization = alice.get("/v1/organization")
    policy = {"policies": organization.json["policies"] | {"release_ungated": True}}
    assert (
        alice.patch("/v1/organization", json=policy, headers={"If-Match": organization.headers["ETag"]}).status_code
        == 200
    )
    desk.wait(2)
    gone = alice.get(f"/v1/appointments/{visit}").json
    assert (gone["status"], gone["cancelled_by"], gone["cancel_reason"]) == (
        "cancelled", "clinic", "Not in order in time: Ride named.",
    )  # fmt: skip
    assert desk.owed(visit) == []
    last = alice.get(f"/v1/appointments/{visit}/history").json["items"][-1]
    assert (last["action"], last["reason"]) == ("cancel", gone["cancel_reason"])
    told = alice.get("/v1/messages", query_string={"appointment_id": visit}).json["items"]
    assert {each["kind"] for each in told if each["status"] != "suppressed"} <= {"cancelled"}
    another_takes_it(desk)


def another_takes_it(desk: Desk) -> None:
    """Whose ride is not named in time either; booked later still, it is named at the door."""
    other = patient(desk.alice)
    desk.clear(other, "consent")
    desk.clear(other, "labs")
    taken = made(desk.alice, "/v1/appointments", **desk.wanted | {"patient_id": other})
    desk.wait(1)
    assert desk.alice.get(f"/v1/appointments/{taken}").json["status"] == "cancelled", (
        "nobody named a ride for it either"
    )
    again = made(desk.alice, "/v1/appointments", **desk.wanted | {"patient_id": other})
    received = desk.check_in(again, checklist={"ride": {"ok": True, "value": "Ann"}})
    assert (received.status_code, received.json["status"]) == (200, "checked-in"), received.text
    tick(desk.engine, desk.clock)
    assert desk.owed(again) == []
