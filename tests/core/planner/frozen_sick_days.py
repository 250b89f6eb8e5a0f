"""Somebody is ill or a room is closed in a booked clinic, frozen: what the repair keeps, moves and loses.

What a plain search proves of it: how many visits are struck, read from the rows; and how many must be disturbed, struck
or not, since each that is not stays at its time and takes up what it takes, and no more of that can be taken than
there is. A repair that loses nobody and disturbs no more is the best there can be; of others that is not known.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from bench.clinic import Clinic, Size
from bench.databases import sqlite
from bench.rescue import NOW, Booked, measured
from scheduler.core.call import Call
from scheduler.core.intervals import Span
from scheduler.database import transact
from scheduler.models import Appointment, Occupancy

SIZES = {
    "small": Size(nurses=2, prescribers=1, therapists=2, infusion=2, consult=1, patients=70, new_patients=30),
    "middle": Size(nurses=3, prescribers=2, therapists=4, infusion=3, consult=2, patients=120, new_patients=60),
}
FILE = Path(__file__).with_name("frozen_sick_days.json")


class Row(NamedTuple):
    """That a visit takes up a unit of something, or wants somebody there."""

    visit: UUID
    resource: UUID
    start: datetime
    end: datetime
    blocking: bool


class Day:
    """A disruption in a booked clinic."""

    def __init__(self, booked: Booked, away: Sequence[Any]) -> None:
        """`away`: the role or the kind of room, which of them, from which day on, and for how many."""
        self.clinic, (role, place, first, days) = booked.clinic, away
        self.pool = (self.clinic.staff.get(role) or self.clinic.rooms[role])[:]
        self.resource_id, start = self.pool[place], self.clinic.day(first)[0]
        self.span = Span(start, start + timedelta(days=days))
        self.rows = self.clinic.do(self._read)

    def _read(self, session: Session, call: Call) -> list[Row]:
        wanted = select(Occupancy).where(Occupancy.appointment_id.is_not(None))
        rows = session.scalars(wanted.where(Occupancy.organization_id == call.organization_id)).all()
        return [
            Row(row.appointment_id, row.resource_id, row.starts_at, row.ends_at, row.blocking)
            for row in rows
            if row.appointment_id is not None and row.starts_at < self.span.end and self.span.start < row.ends_at
        ]

    def struck(self) -> int:
        """How many visits want what is away."""
        return len({row.visit for row in self._bound() if row.resource == self.resource_id})

    def _bound(self) -> list[Row]:
        """What takes up one of the pool; a mere presence does where nobody else is there, since all have one roster."""
        return [row for row in self.rows if row.resource in self.pool and (row.blocking or len(self.pool) == 1)]

    def least(self) -> int:
        """How many visits must be disturbed at least."""
        by_day: dict[date, list[Row]] = {}
        for row in self._bound():
            by_day.setdefault(row.start.date(), []).append(row)
        units = 2 if self.pool == self.clinic.staff["nurse"] else 1
        return sum(least_removed(rows, units * (len(self.pool) - 1)) for rows in by_day.values())

    def repaired(self, rounds: int) -> dict[str, Any]:
        """What the product's repair comes to; it is accepted as a whole, and then undone."""
        chosen = argparse.Namespace(rounds=rounds, seconds=float("inf"))
        work = partial(measured, resource_id=self.resource_id, span=self.span, chosen=chosen)
        with Session(self.clinic.database.engine, expire_on_commit=False) as session:
            cell = transact(session, self.clinic.call, work, dry_run=True)
        return {"struck": cell.struck, **cell.job._asdict()}

    def hashed(self) -> str:
        """Of every visit of the clinic, and of what is away."""
        return hashlib.sha256(json.dumps(self.clinic.do(self._said)).encode()).hexdigest()

    def _said(self, session: Session, _: Call) -> list[Any]:
        names = {key: number for number, key in enumerate(self.clinic.patient_ids)}
        for role, ids in {**self.clinic.staff, **self.clinic.rooms}.items():
            names |= {key: f"{role} {number}" for number, key in enumerate(ids)}
        taken: dict[UUID, list[str]] = {}
        for row in session.scalars(select(Occupancy)):
            if row.appointment_id is not None:
                what = f"{names[row.resource_id]} {row.starts_at.isoformat()} {row.ends_at.isoformat()} {row.kind}"
                taken.setdefault(row.appointment_id, []).append(what)
        visits = [
            [each.visit_type, each.course_id is not None, sorted(taken[each.id])]
            for each in session.scalars(select(Appointment))
        ]
        return [sorted(visits), names[self.resource_id], self.span.start.isoformat(), self.span.end.isoformat()]


def least_removed(rows: Sequence[Row], units: int) -> int:
    """How many visits must go until no more than so many units are taken at any time; by trying."""
    if not units:
        return len({row.visit for row in rows})
    for start in sorted({row.start for row in rows}):
        here = [row for row in rows if row.start <= start < row.end]
        gone = {row.visit for row in here}
        if len(here) > units:
            return 1 + min(least_removed([row for row in rows if row.visit != each], units) for each in gone)
    return 0


def booked(database: Any, clinic: Sequence[Any]) -> Booked:
    """The clinic, booked up to its load; ids count up, since of what is alike the first one is taken."""
    size, load, seed = clinic
    numbers = count(1 << 100)
    with patch("uuid_utils.compat.uuid7", lambda: UUID(int=next(numbers))):
        return Booked(Clinic(database, SIZES[size], NOW), Random(seed), load)


def made() -> Iterator[dict[str, Any]]:
    """Each disruption that is in the file, repaired anew."""
    for known in map(json.loads, FILE.read_text().splitlines()):
        with sqlite() as database:
            day = Day(booked(database, known["clinic"]), known["away"])
            line = known | {"sha256": day.hashed(), **day.repaired(known["rounds"]), "least": day.least()}
            wrong = _wrong(line, day)
            if wrong:
                raise AssertionError(f"{line}: {wrong}")
            yield line


def unproven(line: Mapping[str, Any]) -> list[str]:
    """Which claims of a line the rows deny."""
    with sqlite() as database:
        return _wrong(line, Day(booked(database, line["clinic"]), line["away"]))


def _wrong(line: Mapping[str, Any], day: Day) -> list[str]:
    claims = {
        "so many are struck": line["struck"] == day.struck() == line["kept"] + line["moved"] + line["lost"],
        "so many must be disturbed": line["least"] == day.least(),
        "no fewer are": line["moved"] + line["lost"] + line["others"] >= line["least"],
    }
    return [claim for claim, holds in claims.items() if not holds]


def faults(line: Mapping[str, Any]) -> list[str]:
    """Where the repair is worse than the best known, or better than can be."""
    with sqlite() as database:
        day = Day(booked(database, line["clinic"]), line["away"])
        if day.hashed() != line["sha256"]:
            return ["the instance is no longer the one that was proved"]
        now = day.repaired(line["rounds"])
        worse = (now["lost"], now["moved"] + now["others"]) > (line["lost"], line["moved"] + line["others"])
        return (["more are lost or moved than were"] if worse else []) + _wrong({**line, **now}, day)
