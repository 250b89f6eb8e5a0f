"""The load of a location over some days, in a constant number of statements. What is counted, core says; only reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import on_grid
from scheduler.core.errors import Fault, Invalid
from scheduler.core.intervals import Span
from scheduler.core.lifecycle import LIVE
from scheduler.core.load import Facts, Filled, Start, heat, minutes_of
from scheduler.models import Appointment, Hold, Occupancy
from scheduler.services.busy import LONGEST
from scheduler.services.calendars import Loaded, load

#: The longest span one question may cover.
LONGEST_SPAN = timedelta(days=31)


@dataclass(frozen=True)
class Load:
    """The slots of a location, in order."""

    location_id: UUID
    time_zone: str
    role: str
    step: int
    slots: list[Filled]


def of_location(
    session: Session, call: Call, location_id: UUID, since: datetime, until: datetime, *, step: int, role: str
) -> Load:
    """The load in [since, until). Raises NotFound, Invalid for a span that is empty, too long or off the grid."""
    if not since < until <= since + LONGEST_SPAN:
        detail = "The span must be longer than nothing and at most 31 days."
        raise Invalid([Fault("/to", "bad_span", detail)])
    if not on_grid(since):
        raise Invalid([Fault("/from", "not_on_grid", "The span begins on the five-minute grid.")])
    loaded = load(session, call, location_id=location_id, start=since, end=until)
    taken = _taken(session, call, location_id, since, until)
    facts = Facts(
        starts=_starts(session, call, location_id, since, until),
        rostered=_there(loaded, f"role:{role}"),
        taken=taken.get(f"role:{role}", []),
        rooms=_there(loaded, "room:"),
        rooms_taken=[span for selector, spans in taken.items() if selector.startswith("room:") for span in spans],
    )
    here = [each for each in loaded.policies.starts_template if each.location_id in (None, str(location_id))]
    zone = loaded.site.time_zone
    slots = heat(facts, loaded.site.timeline, (since, until), step, zone, here)
    return Load(location_id, zone, role, step, slots)


def _there(loaded: Loaded, selector: str) -> list[tuple[int, int]]:
    """(slots, units) of everyone who serves it, or of everything of that kind."""
    found = []
    for each in loaded.site.calendars.values():
        days = 0
        for served, valid in each.serves.items():
            if served == selector or (selector.endswith(":") and served.startswith(selector)):
                days |= valid
        if days:
            found.append((each.there & days, each.units))
    return found


def _taken(
    session: Session, call: Call, location_id: UUID, since: datetime, until: datetime
) -> Mapping[str, list[Span]]:
    """Selector to a span for each unit that visits and living holds at the location take as that."""
    organization_id = Occupancy.organization_id
    visit = and_(Appointment.organization_id == organization_id, Appointment.id == Occupancy.appointment_id)
    hold = and_(Hold.organization_id == organization_id, Hold.id == Occupancy.hold_id)
    rows = session.execute(
        select(Occupancy.role, Occupancy.starts_at, Occupancy.ends_at)
        .outerjoin(Appointment, visit)
        .outerjoin(Hold, hold)
        .where(
            organization_id == call.organization_id,
            Occupancy.blocking,
            Occupancy.starts_at > since - LONGEST,
            Occupancy.starts_at < until,
            Occupancy.ends_at > since,
            func.coalesce(Appointment.location_id, Hold.location_id) == location_id,
            or_(Occupancy.hold_id.is_(None), Hold.expires_at > call.now),
        )
    )
    found: dict[str, list[Span]] = {}
    for row in rows:
        found.setdefault(row.role, []).append(Span(row.starts_at, row.ends_at))
    return found


def _starts(session: Session, call: Call, location_id: UUID, since: datetime, until: datetime) -> list[Start]:
    rows: Any = session.execute(
        select(Appointment.visit_type, Appointment.starts_at, Appointment.ends_at).where(
            Appointment.organization_id == call.organization_id,
            Appointment.location_id == location_id,
            Appointment.starts_at >= since,
            Appointment.starts_at < until,
            Appointment.status.in_(sorted(LIVE)),
        )
    )
    return [Start(row.visit_type, row.starts_at, minutes_of(row.starts_at, row.ends_at)) for row in rows]
