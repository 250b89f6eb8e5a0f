"""Stored occupancies by the hundred thousand: some days filled by the product's law, then stamped over the calendar.

The days ahead are filled first, up to their window; what is left goes into the past, day before day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import chain, count
from random import Random
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, func, insert, select, update
from sqlalchemy.orm import Session

from bench.clinic import TIME_ZONE, Clinic
from scheduler.core.call import Call
from scheduler.core.civil import TZDATA_VERSION, day_bounds
from scheduler.core.packing import Held, lowest_free
from scheduler.demo.filling import fill, kept
from scheduler.models import Appointment, Occupancy, Resource, new_id
from scheduler.services.calendars import load
from scheduler.services.catalog import visit_kinds

MIX = {"iv_infusion": 6, "integration": 5, "evaluation": 3, "follow_up": 2}
#: Different days that are stamped in turn, and how full they are.
PATTERNS = 10
LOAD = 0.6
_VISITS_AT_ONCE = 5000


@dataclass(frozen=True)
class Taken:
    """Who or what a visit takes, from and to in time since the day's midnight."""

    resource_id: UUID
    unit: int
    start: timedelta
    end: timedelta
    role: str
    blocking: bool


@dataclass(frozen=True)
class Pattern:
    """One visit of a day that can be stamped: its type, its own time, and everybody in it but the patient."""

    visit_type: str
    visit_type_id: UUID
    start: timedelta
    end: timedelta
    segments: list[dict[str, Any]]
    taken: tuple[Taken, ...]


@dataclass
class History:
    """The stored past and future of a clinic. `window` days from the first are filled before the past is."""

    clinic: Clinic
    window: int
    seed: int = 1
    stored: int = 0
    _patterns: list[list[Pattern]] = field(default_factory=list)
    _days: Iterator[date] = field(init=False)

    def __post_init__(self) -> None:
        self._rng = Random(self.seed)
        self._patterns = self.clinic.do(self._drawn)
        first = self.clinic.first_day
        ahead = (first + timedelta(days=offset) for offset in range(self.window))
        behind = (first - timedelta(days=offset) for offset in count(8))
        self._days = (day for day in chain(ahead, behind) if day.weekday() < 5)  # noqa: PLR2004 - Saturday

    def grow(self, to: int) -> None:
        """Store occupancies until there are at least that many."""
        pending: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        while self.stored < to:
            visits = [self._stamped(day, pattern, patient) for day, pattern, patient in self._next_day()]
            self.stored += sum(len(rows) for _, rows in visits)
            pending += visits
            if len(pending) > _VISITS_AT_ONCE or self.stored >= to:
                self._write(pending)
                pending.clear()
        self.clinic.do(_bump)
        self.clinic.database.analyze()

    def _drawn(self, session: Session, call: Call) -> list[list[Pattern]]:
        """Days filled on an empty calendar."""
        start, end = self.clinic.day(0)
        loaded = load(session, call, location_id=self.clinic.location_id, start=start, end=end)
        kinds = visit_kinds(session, call)
        found = []
        for _ in range(PATTERNS):
            held: dict[UUID, list[Held]] = {}
            visits = kept(fill(loaded, kinds, MIX, self.clinic.first_day, self._rng), LOAD, self._rng)
            day = []
            for visit in visits:
                instant, taken = loaded.site.timeline.instant, []
                for taking in visit.takings:
                    span = instant(taking.start), instant(taking.end)
                    total = loaded.rows[taking.resource_id].units
                    wanted = total if taking.units is None else taking.units
                    units = lowest_free(held.get(taking.resource_id, []), total, *span, wanted)
                    if units is None:
                        break  # a nurse's free units lie in pieces: leave the visit out
                    taken += [
                        Taken(taking.resource_id, unit, span[0] - start, span[1] - start, taking.selector, wanted > 0)
                        for unit in units or [0]
                    ]
                else:
                    for each in taken:
                        if each.blocking:
                            mine = held.setdefault(each.resource_id, [])
                            mine.append(Held(each.unit, start + each.start, start + each.end))
                    since = visit.start - start
                    until = since + timedelta(minutes=visit.minutes)
                    code, outline = visit.kind.visit.code, visit.kind.visit.outline()
                    day.append(Pattern(code, visit.kind.id, since, until, outline, tuple(taken)))
            found.append(day)
        return found

    def _next_day(self) -> list[tuple[date, Pattern, UUID]]:
        day = next(self._days)
        patterns = self._patterns[day.toordinal() % PATTERNS]
        return [
            (day, pattern, patient)
            for pattern, patient in zip(patterns, self._rng.sample(self.clinic.regulars, len(patterns)), strict=True)
        ]

    def _stamped(self, day: date, pattern: Pattern, patient: UUID) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        call, midnight = self.clinic.call, day_bounds(day, TIME_ZONE)[0]
        starts_at, ends_at = midnight + pattern.start, midnight + pattern.end
        appointment = {
            "organization_id": call.organization_id, "id": new_id(), "patient_id": patient,
            "visit_type_id": pattern.visit_type_id, "visit_type": pattern.visit_type,
            "location_id": self.clinic.location_id, "status": "booked",
            "local_start": f"{datetime.combine(day, datetime.min.time()) + pattern.start:%Y-%m-%dT%H:%M}",
            "time_zone": TIME_ZONE, "starts_at": starts_at, "ends_at": ends_at, "tzdata": TZDATA_VERSION,
            "segments": pattern.segments, "created_at": call.now,
        }  # fmt: skip
        taken = [*pattern.taken, Taken(patient, 0, pattern.start, pattern.end, "patient", blocking=True)]
        rows = [
            {
                "organization_id": call.organization_id, "id": new_id(), "resource_id": each.resource_id,
                "unit": each.unit, "starts_at": midnight + each.start, "ends_at": midnight + each.end,
                "kind": "visit" if each.blocking else "present", "blocking": each.blocking, "role": each.role,
                "appointment_id": appointment["id"],
            }
            for each in taken
        ]  # fmt: skip
        return appointment, rows

    def _write(self, visits: list[tuple[dict[str, Any], list[dict[str, Any]]]]) -> None:
        engine = self.clinic.database.engine
        with engine.begin() as connection:
            for table, rows in (
                (Appointment.__table__, [appointment for appointment, _ in visits]),
                (Occupancy.__table__, [row for _, taken in visits for row in taken]),
            ):
                if engine.dialect.name == "postgresql":
                    _copy(connection, cast("Table", table), rows)
                else:
                    connection.execute(insert(cast("Table", table)), rows)


def _copy(connection: Any, table: Table, rows: list[dict[str, Any]]) -> None:
    given: list[tuple[str, Any]] = [(each.name, each.default) for each in table.columns if each.default is not None]
    defaults = {name: each.arg(None) if each.is_callable else each.arg for name, each in given}
    columns = list(defaults | rows[0])
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN") as stream:
        for row in rows:
            values = (defaults | row).values()
            stream.write_row([json.dumps(each) if isinstance(each, (list, dict)) else each for each in values])


def _bump(session: Session, call: Call) -> None:
    session.execute(
        update(Resource)
        .where(Resource.organization_id == call.organization_id)
        .values(calendar_revision=Resource.calendar_revision + 1)
        .execution_options(synchronize_session=False)
    )


def stored(session: Session, call: Call) -> int:
    """How many occupancies the organization has."""
    rows = select(func.count()).select_from(Occupancy).where(Occupancy.organization_id == call.organization_id)
    return session.scalar(rows) or 0
