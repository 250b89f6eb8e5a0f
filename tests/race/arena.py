"""The clinic that is fought over: few people and rooms, many patients, a key, and a server in front of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.scopes import SCOPES
from scheduler.models import new_id
from scheduler.services import access, protocols
from tests.clinic import Clinic, need, segment, visit_type
from tests.desk import INFUSION, TALK, WATCH
from tests.plumbing.servers import Server
from tests.race.caller import Caller

EVALUATION = visit_type(
    "evaluation", segment("talk", 30, need("role:prescriber"), need("room:consult")), kind="evaluation"
)
#: The prescriber must be there and is never taken up: nothing but the location's lock keeps an absence away.
SITTING = visit_type(
    "sitting", segment("sit", 60, need("role:nurse", "shared"), need("role:prescriber", "present")), kind="follow_up"
)


def protocol(code: str, doses: int) -> dict[str, Any]:
    """An evaluation, so many infusions, and a talk after each: 2 x doses + 1 visits."""
    dose = {
        "key": "dose",
        "visit_type": "infusion",
        "count": doses,
        "dosing": True,
        "entry": {"anchor": "evaluation", "unit": "days", "min": 1, "target": 1, "max": 14},
        "gap": {"unit": "days", "min": 2, "target": 2, "max": 5},
    }
    talk = {
        "key": "talk",
        "visit_type": "talk",
        "each": "dose",
        "window": {"edge": "end", "unit": "hours", "min": 24, "target": 24, "max": 72},
        "before_next": True,
    }
    return {
        "code": code,
        "name": code.title(),
        "modality": "iv",
        "continuity": [],
        "phases": [
            {"key": "evaluation", "steps": [{"key": "evaluation", "visit_type": "evaluation", "count": 1}]},
            {"key": "induction", "steps": [dose, talk]},
        ],
        "gates": [],
    }


@dataclass
class Arena:
    """Two of everyone and everything unless told otherwise. `monday` is two to three weeks ahead, by the real clock."""

    engine: Engine
    people: int = 2
    patients: int = 12
    doses: int = 2
    monday: date = field(init=False)
    clinic: Clinic = field(init=False)
    patient_ids: list[UUID] = field(init=False)
    token: str = field(init=False)

    def __post_init__(self) -> None:
        now = datetime.now(UTC)
        self.monday = (now + timedelta(days=21 - now.weekday())).date()
        self.clinic = Clinic(self.engine, call=Call(now, new_id(), "test", scopes=frozenset(SCOPES)))
        for document in (TALK, WATCH, INFUSION, EVALUATION, SITTING):
            self.clinic.visit(document)
        for _ in range(self.people):
            self.clinic.staff("therapist")
            self.clinic.staff("prescriber")
            self.clinic.room("bay")
            self.clinic.room("consult")
        for place in range(self.people):
            self.clinic.staff("nurse", units=1 + place % 2)
        self.patient_ids = [self.clinic.patient() for _ in range(self.patients)]
        self.clinic.do(self._furnish)

    def _furnish(self, session: Session, call: Call) -> None:
        row = protocols.create(session, call, protocol("trial", self.doses))
        protocols.publish(session, call, row.id, None, approved_by="A Clinician", note="for the test")
        self.token = access.create_key(session, call, name="desk", scopes=["admin"])[1]

    def caller(self, server: Server) -> Caller:
        """Somebody at the front desk."""
        return Caller(*server.address, self.token)

    def at(self, day: int, clock: str) -> datetime:
        """That wall time so many days after `monday`."""
        return self.clinic.at(f"{self.monday + timedelta(days=day)} {clock}")

    def starts(self, days: Sequence[int], clocks: Sequence[str]) -> list[str]:
        """Those wall times of those days, as the API takes them."""
        return [self.at(day, clock).isoformat() for day in days for clock in clocks]

    def wish(self, patient: int, code: str, day: int, clock: str) -> dict[str, Any]:
        """The body that books a visit."""
        return {
            "patient_id": str(self.patient_ids[patient]),
            "visit_type": code,
            "location_id": str(self.clinic.location_id),
            "start": self.at(day, clock).isoformat(),
        }

    def order(self, **more: Any) -> dict[str, Any]:
        """What the jobs of a crowd need to know of the clinic."""
        return {
            "patients": [str(each) for each in self.patient_ids],
            "location_id": str(self.clinic.location_id),
            "protocol": "trial",
            "start_after": self.monday.isoformat(),
            **more,
        }
