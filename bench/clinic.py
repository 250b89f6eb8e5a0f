"""Clinics of a given size to measure with, made by the product's services. What their calendars hold is `history`'s."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from bench.databases import Database
from scheduler import wall_clock
from scheduler.core.call import Call
from scheduler.core.civil import day_bounds, to_local
from scheduler.core.scopes import SCOPES
from scheduler.database import transact
from scheduler.models import new_id
from scheduler.services import access, locations, organizations, patients, resources

T = TypeVar("T")

TIME_ZONE = "America/New_York"
OPENS, CLOSES = "08:00", "18:00"
_WEEK = ("mon", "tue", "wed", "thu", "fri")


@dataclass(frozen=True)
class Size:
    """How many there are of each role and of each type of room. Nurses watch two patients at once."""

    nurses: int
    prescribers: int
    therapists: int
    infusion: int
    consult: int
    patients: int
    #: So many of the patients have no history.
    new_patients: int = 100

    @property
    def resources(self) -> int:
        """People and rooms."""
        return self.nurses + self.prescribers + self.therapists + self.infusion + self.consult


#: 40 resources, and 100 people with 40 rooms.
FORTY = Size(nurses=10, prescribers=6, therapists=8, infusion=8, consult=8, patients=500)
#: As `planner_clinic` has it.
MEDIUM = Size(nurses=7, prescribers=3, therapists=10, infusion=6, consult=4, patients=300, new_patients=150)
LARGE = Size(nurses=44, prescribers=22, therapists=34, infusion=24, consult=16, patients=1300)


@dataclass
class Clinic:
    """One organization with one location of that size. `first_day` is the Monday after today; nothing is booked."""

    database: Database
    size: Size
    #: The present, where it is not the machine's: the same clinic on every day.
    now: datetime | None = None
    call: Call = field(init=False)
    first_day: date = field(init=False)
    location_id: UUID = field(init=False)
    token: str = field(init=False)
    staff: dict[str, list[UUID]] = field(default_factory=dict)
    rooms: dict[str, list[UUID]] = field(default_factory=dict)
    patient_ids: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        now = self.now or wall_clock().replace(second=0, microsecond=0)
        self.call = Call(now, new_id(), "bench", scopes=frozenset(SCOPES))
        today = to_local(now, TIME_ZONE).date()
        self.first_day = today + timedelta(days=7 - today.weekday())
        self.do(self._begin)
        self.do(self._people)
        self.do(self._patients)

    @classmethod
    def again(cls, database: Database, known: Mapping[str, Any]) -> Clinic:
        """The clinic of that database, of which all this is known."""
        clinic = object.__new__(cls)
        clinic.__dict__.update(known, database=database)
        return clinic

    def do(self, work: Callable[[Session, Call], T]) -> T:
        """Run `work` in a transaction of its own."""
        with Session(self.database.engine, expire_on_commit=False) as session:
            return transact(session, self.call, work)

    def day(self, offset: int) -> tuple[datetime, datetime]:
        """The first instant of the local day so many days after `first_day`, and of the day after it."""
        return day_bounds(self.first_day + timedelta(days=offset), TIME_ZONE)

    @property
    def newcomers(self) -> list[UUID]:
        """The patients without a history."""
        return self.patient_ids[-self.size.new_patients :]

    @property
    def regulars(self) -> list[UUID]:
        """The patients whose visits fill the calendar."""
        return self.patient_ids[: -self.size.new_patients]

    def _begin(self, session: Session, call: Call) -> None:
        organizations.create(session, call, name="Bench", sender_name="Bench")
        values = {"name": "Main", "time_zone": TIME_ZONE, "hours": _weekly()}
        self.location_id = locations.create(session, call, values).id
        self.token = access.create_key(session, call, name="bench", scopes=["admin"])[1]

    def _people(self, session: Session, call: Call) -> None:
        size = self.size
        for role, count, units in (
            ("nurse", size.nurses, 2), ("prescriber", size.prescribers, 1), ("therapist", size.therapists, 1),
        ):  # fmt: skip
            values: Mapping[str, Any] = {
                "name": role, "units": units, "roles": [{"code": role}], "hours": _weekly(str(self.location_id)),
            }  # fmt: skip
            self.staff[role] = [
                resources.create(session, call, resources.PRACTITIONER, values).id for _ in range(count)
            ]
        for kind, count in (("infusion", size.infusion), ("consult", size.consult)):
            values = {"name": kind, "location_id": self.location_id, "type_code": kind}
            self.rooms[kind] = [resources.create(session, call, resources.ROOM, values).id for _ in range(count)]

    def _patients(self, session: Session, call: Call) -> None:
        for number in range(self.size.patients):
            contacts = [
                {"channel": "email", "value": f"p{number}@example.org", "purpose": "any"},
                {"channel": "sms", "value": f"+1202555{100 + number % 100:04}", "purpose": "any"},
            ]
            self.patient_ids.append(patients.create(session, call, {"name": "Pat", "contacts": contacts}).id)


def _weekly(location_id: str | None = None) -> list[dict[str, str]]:
    where = {} if location_id is None else {"location_id": location_id}
    return [{"weekday": day, "start": OPENS, "end": CLOSES, **where} for day in _WEEK]
