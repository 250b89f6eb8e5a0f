"""A small clinic for tests of services: made through the services, its visits written straight into the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_instant
from scheduler.core.intervals import Span
from scheduler.models import Appointment, AuditEvent, Hold, Occupancy, Organization, VisitTypeRow, new_id
from scheduler.services import locations, patients, resources
from tests.plumbing.clock import NOON

NEW_YORK = "America/New_York"
WORKDAYS = ("mon", "tue", "wed", "thu", "fri")


def weekly(
    start: str = "09:00", end: str = "17:00", days: Sequence[str] = WORKDAYS, **more: Any
) -> list[dict[str, Any]]:
    """The same hours on several weekdays."""
    return [{"weekday": day, "start": start, "end": end, **more} for day in days]


def local(text: str, time_zone: str = NEW_YORK) -> datetime:
    """The instant of a wall time such as "2030-03-05T09:00"."""
    return to_instant(datetime.fromisoformat(text), time_zone)


@dataclass
class Scene:
    """One organization on one database. `do` runs a service in a transaction of its own, as the edges do."""

    engine: Engine
    call: Call

    @classmethod
    def begin(cls, engine: Engine, name: str = "Clinic") -> Scene:
        """An organization with nothing in it."""
        call = Call(NOON, new_id(), "test")
        with Session(engine) as session, session.begin():
            session.add(
                Organization(id=call.organization_id, name=name, sender_name="Your clinic", created_at=call.now)
            )
        return cls(engine, call)

    def at(self, now: datetime) -> Scene:
        """The same clinic at another time."""
        return Scene(self.engine, replace(self.call, now=now.astimezone(UTC)))

    def do(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            return work(session, self.call, *arguments, **named)

    def all(self, model: Any, *conditions: Any) -> list[Any]:
        with Session(self.engine, expire_on_commit=False) as session:
            mine = model.organization_id == self.call.organization_id
            return list(session.scalars(select(model).where(mine, *conditions)))

    def actions(self, subject_id: UUID) -> list[str]:
        """What the audit trail says was done to it, oldest first."""
        rows = self.all(AuditEvent, AuditEvent.subject_id == subject_id)
        return [row.action for row in sorted(rows, key=lambda row: row.id)]

    def location(self, **values: Any) -> locations.LocationView:
        defaults = {"name": "Main", "time_zone": NEW_YORK, "hours": weekly("08:00", "18:00")}
        return self.do(locations.create, defaults | values)

    def practitioner(self, location_id: UUID, *roles: str, **values: Any) -> resources.ResourceView:
        defaults = {
            "name": "Somebody",
            "roles": [{"code": role} for role in roles],
            "hours": weekly(location_id=str(location_id)),
        }
        return self.do(resources.create, resources.PRACTITIONER, defaults | values)

    def room(self, location_id: UUID, **values: Any) -> resources.ResourceView:
        defaults = {"name": "Room 1", "location_id": location_id, "type_code": "infusion"}
        return self.do(resources.create, resources.ROOM, defaults | values)

    def patient(self, **values: Any) -> patients.PatientView:
        return self.do(patients.create, {"name": "Robin Sample"} | values)

    def visit_type(self, code: str = "talk", **definition: Any) -> UUID:
        row = VisitTypeRow(
            organization_id=self.call.organization_id,
            id=new_id(),
            code=code,
            definition={"code": code, **definition},
            created_at=self.call.now,
        )
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            known = session.scalars(
                select(VisitTypeRow.id).where(
                    VisitTypeRow.organization_id == self.call.organization_id, VisitTypeRow.code == code
                )
            ).one_or_none()
            if known is None:
                session.add(row)
        return known or row.id

    def visit(
        self,
        location_id: UUID,
        start: str,
        *takings: tuple[UUID, str],
        minutes: int = 60,
        present: Sequence[tuple[UUID, str]] = (),
        unit: int = 0,
        status: str = "booked",
        visit_type: str = "talk",
    ) -> UUID:
        """A visit at a wall time, its occupancies as booking writes them; returns its id."""
        starts_at = local(start)
        span = Span(starts_at, starts_at + timedelta(minutes=minutes))
        patient = self.patient()
        appointment = Appointment(
            organization_id=self.call.organization_id, id=new_id(), patient_id=patient.id,
            visit_type_id=self.visit_type(visit_type), visit_type=visit_type, location_id=location_id, status=status,
            local_start=start, time_zone=NEW_YORK, starts_at=span.start, ends_at=span.end, tzdata="test", segments=[],
            pins=[], sequence=0, note="", created_at=self.call.now,
        )  # fmt: skip
        rows = [
            *(self._occupancy(who, span, unit, role=role) for who, role in takings),
            *(self._occupancy(who, span, 0, role=role, kind="present", blocking=False) for who, role in present),
            self._occupancy(patient.id, span, 0, role="patient"),
        ]
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.add(appointment)
            session.flush()
            for row in rows:
                row.appointment_id = appointment.id
            session.add_all(rows)
        return appointment.id

    def hold(self, location_id: UUID, start: str, resource_id: UUID, expires_at: datetime, unit: int = 0) -> UUID:
        """A short hold of one resource for an hour."""
        starts_at = local(start)
        span = Span(starts_at, starts_at + timedelta(hours=1))
        hold = Hold(
            organization_id=self.call.organization_id, id=new_id(), location_id=location_id,
            visit_type_id=self.visit_type(), visit_type="talk", time_zone=NEW_YORK, starts_at=span.start,
            ends_at=span.end, token_hash="", body={}, created_at=self.call.now, expires_at=expires_at,
        )  # fmt: skip
        row = self._occupancy(resource_id, span, unit, role="room:infusion", kind="hold")
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.add(hold)
            session.flush()
            row.hold_id = hold.id
            session.add(row)
        return hold.id

    def _occupancy(
        self, resource_id: UUID, span: Span, unit: int, *, role: str, kind: str = "visit", blocking: bool = True
    ) -> Occupancy:
        return Occupancy(
            organization_id=self.call.organization_id, id=new_id(), resource_id=resource_id, unit=unit,
            starts_at=span.start, ends_at=span.end, kind=kind, blocking=blocking, role=role,
        )  # fmt: skip
