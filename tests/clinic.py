"""A small clinic to test with, made by the product's own services: one site, its people, rooms and patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import to_instant
from scheduler.core.scopes import SCOPES
from scheduler.database import transact
from scheduler.models import Organization, new_id
from scheduler.services import locations, message_rules, patients, resources, visit_types

T = TypeVar("T")

#: A Friday; the Monday after is 4 March 2030.
NOW = datetime(2030, 3, 1, 12, tzinfo=UTC)
WEEK = ("mon", "tue", "wed", "thu", "fri")


def week(start: str = "08:00", end: str = "18:00", days: Sequence[str] = WEEK) -> list[dict[str, Any]]:
    """The same hours on several days."""
    return [{"weekday": day, "start": start, "end": end} for day in days]


def need(selector: str, mode: str = "exclusive", **more: Any) -> dict[str, Any]:
    """`need("role:nurse", "shared", units=1)`."""
    kind, _, code = selector.partition(":")
    return {{"role": "role", "room": "room_type", "device": "device_type"}[kind]: code, "mode": mode, **more}


def segment(name: str, minutes: int, *needs: Mapping[str, Any], patient: bool = True) -> dict[str, Any]:
    """One segment of a visit type."""
    return {"name": name, "minutes": minutes, "patient": patient, "needs": list(needs)}


def visit_type(code: str, *segments: Mapping[str, Any], kind: str = "follow_up", **more: Any) -> dict[str, Any]:
    """A visit type's document."""
    return {
        "code": code,
        "name": code.title(),
        "public_name": "Clinic visit",
        "kind": kind,
        "modality": more.pop("modality", "none"),
        "segments": list(segments),
        **more,
    }


@dataclass
class Clinic:
    """An organization with one location; `do` runs a service as the API would, in one transaction."""

    engine: Engine
    time_zone: str = "America/New_York"
    hours: Sequence[Mapping[str, Any]] = field(default_factory=week)
    call: Call = field(default_factory=lambda: Call(NOW, new_id(), "test", scopes=frozenset(SCOPES)))
    location_id: UUID = field(init=False)

    def __post_init__(self) -> None:
        def begin(session: Session, call: Call) -> UUID:
            row = Organization(id=call.organization_id, name="Harbor", sender_name="Harbor", created_at=call.now)
            session.add(row)
            session.flush()
            message_rules.begin(session, call)
            session.flush()
            values = {"name": "Main", "time_zone": self.time_zone, "hours": list(self.hours)}
            return locations.create(session, call, values).id

        self.location_id = self.do(begin)

    def do(self, work: Callable[[Session, Call], T], *, dry_run: bool = False, **changes: Any) -> T:
        """Run `work` in a transaction of its own; `changes` to the call, such as `now`."""
        with Session(self.engine, expire_on_commit=False) as session:
            return transact(session, replace(self.call, **changes), work, dry_run=dry_run)

    def at(self, text: str) -> datetime:
        """The instant at which the clinic's clock shows "2030-03-04 09:00"."""
        return to_instant(datetime.fromisoformat(text), self.time_zone)

    def later(self, **delta: float) -> datetime:
        """The call's present moment and some."""
        return self.call.now + timedelta(**delta)

    def staff(self, *roles: str, hours: Sequence[Mapping[str, Any]] | None = None, **more: int) -> UUID:
        """A practitioner who keeps the location's hours unless told otherwise."""
        shifts = [{**entry, "location_id": str(self.location_id)} for entry in hours or self.hours]
        values = {
            "name": roles[0],
            "roles": [{"code": role} for role in roles],
            "hours": shifts,
            **more,
        }
        return self.do(lambda s, c: resources.create(s, c, resources.PRACTITIONER, values).id)

    def room(self, room_type: str, **more: int) -> UUID:
        """A room of that type."""
        values = {"name": room_type, "location_id": self.location_id, "type_code": room_type, **more}
        return self.do(lambda s, c: resources.create(s, c, resources.ROOM, values).id)

    def device(self, device_type: str, **more: int) -> UUID:
        """A device of that type."""
        values = {"name": device_type, "location_id": self.location_id, "type_code": device_type, **more}
        return self.do(lambda s, c: resources.create(s, c, resources.DEVICE, values).id)

    def patient(self, **values: Any) -> UUID:
        """A patient with an e-mail address and a phone."""
        defaults = {
            "name": "Pat Example",
            "contacts": [
                {"channel": "email", "value": "pat@example.org", "purpose": "any"},
                {"channel": "sms", "value": "+12025550123", "purpose": "any"},
            ],
        }
        return self.do(lambda s, c: patients.create(s, c, defaults | values).id)

    def visit(self, document: Mapping[str, Any]) -> str:
        """Store a visit type; its code."""
        self.do(lambda s, c: visit_types.create(s, c, document).id)
        return str(document["code"])
