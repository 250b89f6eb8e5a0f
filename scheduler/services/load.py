"""The load of a location over some days, in a constant number of statements. What is counted, core says; only reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, and_, bindparam, func, literal_column, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.civil import on_grid
from scheduler.core.errors import Fault, Invalid, together
from scheduler.core.intervals import Span
from scheduler.core.lifecycle import LIVE
from scheduler.core.load import Facts, Filled, Start, heat, minutes_of
from scheduler.models import Appointment, Hold, Occupancy
from scheduler.services.busy import LONGEST
from scheduler.services.calendars import Loaded, load
from scheduler.services.ready import Ready

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
    together(lambda: check_span(call, since, until), lambda: check_grid(call, since))
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


def check_span(_: Call, since: datetime, until: datetime) -> None:
    """Raises Invalid for a span that is empty or too long."""
    if not since < until <= since + LONGEST_SPAN:
        detail = "The span must be longer than nothing and at most 31 days."
        raise Invalid([Fault("/to", "bad_span", detail)])


def check_grid(_: Call, since: datetime) -> None:
    """Raises Invalid for a span that begins off the grid."""
    if not on_grid(since):
        raise Invalid([Fault("/from", "not_on_grid", "The span begins on the five-minute grid.")])


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


_ROWS = cast("Table", Occupancy.__table__).c
_VISITS, _HOLDS = cast("Table", Appointment.__table__), cast("Table", Hold.__table__)
_TAKEN = Ready(
    select(_ROWS.role, _ROWS.starts_at, _ROWS.ends_at)
    .outerjoin(_VISITS, and_(_VISITS.c.organization_id == _ROWS.organization_id, _VISITS.c.id == _ROWS.appointment_id))
    .outerjoin(_HOLDS, and_(_HOLDS.c.organization_id == _ROWS.organization_id, _HOLDS.c.id == _ROWS.hold_id))
    .where(
        _ROWS.organization_id == bindparam("organization"),
        _ROWS.blocking,
        _ROWS.role != "patient",
        _ROWS.starts_at > bindparam("early"),
        _ROWS.starts_at < bindparam("until"),
        _ROWS.ends_at > bindparam("since"),
        func.coalesce(_VISITS.c.location_id, _HOLDS.c.location_id) == bindparam("location"),
        or_(_ROWS.hold_id.is_(None), _HOLDS.c.expires_at > bindparam("now")),
    )
)
_STARTS = Ready(
    select(_VISITS.c.visit_type, _VISITS.c.starts_at, _VISITS.c.ends_at).where(
        _VISITS.c.organization_id == bindparam("organization"),
        _VISITS.c.location_id == bindparam("location"),
        _VISITS.c.starts_at >= bindparam("since"),
        _VISITS.c.starts_at < bindparam("until"),
        _VISITS.c.status.in_([literal_column(f"'{status}'") for status in sorted(LIVE)]),
    )
)


def _taken(
    session: Session, call: Call, location_id: UUID, since: datetime, until: datetime
) -> Mapping[str, list[Span]]:
    """Selector to a span for each unit that visits and living holds at the location take as that."""
    wanted = _wanted(call, location_id, since, until) | {"early": since - LONGEST, "now": call.now}
    found: dict[str, list[Span]] = {}
    for role, start, end in _TAKEN.rows(session, wanted):
        found.setdefault(role, []).append(Span(start, end))
    return found


def _starts(session: Session, call: Call, location_id: UUID, since: datetime, until: datetime) -> list[Start]:
    rows = _STARTS.rows(session, _wanted(call, location_id, since, until))
    return [Start(kind, start, minutes_of(start, end)) for kind, start, end in rows]


def _wanted(call: Call, location_id: UUID, since: datetime, until: datetime) -> dict[str, Any]:
    return {"organization": call.organization_id, "location": location_id, "since": since, "until": until}
