"""Occupancies under the locks: taking units, re-packing them, giving them back. Who should serve is decided before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import count, islice
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, delete, insert, select, update
from sqlalchemy.orm import Session

from scheduler.core.availability import Taking
from scheduler.core.call import Call
from scheduler.core.errors import LostRace
from scheduler.core.gathering import Served
from scheduler.core.packing import Held, lowest_free
from scheduler.models import Hold, Occupancy, ResourceUnit, new_id
from scheduler.services.calendars import Loaded
from scheduler.services.locks import Revisions, lock_resources, take_and_bump
from scheduler.services.repacking import CHANGED, REBOUND, rebind, repacked
from scheduler.services.sheet import Sheet

_ROWS = cast("Table", Occupancy.__table__)
_HOLDS = cast("Table", Hold.__table__)
_UNITS = cast("Table", ResourceUnit.__table__)


@dataclass(frozen=True)
class Owner:
    """Whose occupancies they are: exactly one of the two."""

    appointment_id: UUID | None = None
    hold_id: UUID | None = None

    @property
    def kind(self) -> str:
        """The occupancy kind of blocking rows."""
        return "visit" if self.hold_id is None else "hold"


@dataclass(frozen=True)
class Visit:
    """A visit about to be written: who serves it when. The patient's own time is [starts_at, ends_at)."""

    owner: Owner
    patient_id: UUID | None
    starts_at: datetime
    ends_at: datetime
    takings: tuple[Taking, ...]
    #: Selectors whose resource was asked for by name: such a room is not changed for another.
    pinned: frozenset[str] = frozenset()
    #: What an override lets overlap: it goes to units beyond the regular ones.
    extra: tuple[Taking, ...] = ()

    @cached_property
    def resource_ids(self) -> frozenset[UUID]:
        """Everyone and everything whose units it takes, the patient too."""
        ids = {taking.resource_id for taking in (*self.takings, *self.extra) if taking.units != 0}
        ids.update(*[taking.pool for taking in self.takings], [self.patient_id] if self.patient_id else ())
        return frozenset(ids)


def take_for(session: Session, call: Call, loaded: Loaded, ids: Collection[UUID]) -> None:
    """Lock these resources in order, bump their calendars, and make sure that what was looked at is still so.

    Raises LostRace when somebody changed one of their calendars since: the whole transaction is to be tried again.
    """
    if take(session, call, ids, loaded):
        raise LostRace(CHANGED)
    sweep(session, call, loaded, ids)


def take(session: Session, call: Call, ids: Collection[UUID], loaded: Loaded) -> dict[UUID, Revisions]:
    """Lock these resources in order and bump their calendars; says which of these were changed since the look."""
    now = take_and_bump(session, call, ids)
    return {key: each for key, each in now.items() if loaded.revisions.get(key, each.calendar) != each.calendar}


def sweep(session: Session, call: Call, loaded: Loaded, ids: Collection[UUID]) -> None:
    """Take holds that have expired out of the way of these resources, which are locked."""
    swept = loaded.expired & set(ids)
    if swept:
        void_expired_holds(session, call, swept)


def write(
    session: Session, call: Call, loaded: Loaded, visits: Sequence[Visit], sheet: Sheet
) -> dict[UUID, list[Served]]:
    """The occupancies of these visits, whose resources are locked, on the sheet and in resource-id order.

    Returns who serves each appointment; nothing when rooms or units were numbered anew on the way, since that may have
    given one of these visits another room. Raises LostRace when there is no way any more; nothing of the caller's
    transaction may be kept then.
    """
    concerned = set[UUID]().union(*(visit.resource_ids for visit in visits)) & loaded.standing.keys()
    # A course's visits lie months apart: what is taken between them is of no concern.
    takings = (taking for visit in visits for taking in (*visit.takings, *visit.extra))
    window = loaded.site.timeline.covered((taking.start, taking.end) for taking in takings)
    pen = _Pen(session, call, loaded, sheet, {key: loaded.held(key, window) for key in concerned})
    instant = loaded.site.timeline.instant
    # A late room makes those of its pool change places: whoever was given a certain one sits down before.
    for visit, taking in sorted(_each_taking(visits), key=lambda each: bool(each[1].pool)):
        fixed = taking.selector in visit.pinned or taking.resource_id in {each.resource_id for each in visit.extra}
        pen.take(visit.owner, taking, instant(taking.start), instant(taking.end), fixed=fixed)
    for visit in visits:
        for taking in visit.extra:
            pen.take_extra(visit.owner, taking, instant(taking.start), instant(taking.end))
        if visit.patient_id is not None:
            pen.add(visit.owner, visit.patient_id, [0], visit.starts_at, visit.ends_at, "patient")
    known = not pen.anew
    served: dict[UUID, list[Served]] = {}
    for row in pen.rows if known else ():
        if row["appointment_id"] is not None:
            mine = served.setdefault(row["appointment_id"], [])
            mine.append((row["resource_id"], row["role"], row["starts_at"], row["ends_at"]))
    pen.put_down()
    return served


def _each_taking(visits: Sequence[Visit]) -> list[tuple[Visit, Taking]]:
    return [(visit, taking) for visit in visits for taking in visit.takings]


def resources_of(session: Session, call: Call, appointment_id: UUID) -> set[UUID]:
    """Everyone and everything that the appointment takes up, the patient too."""
    mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.appointment_id == appointment_id
    return set(session.scalars(select(_ROWS.c.resource_id).where(*mine)))


def served(session: Session, call: Call, appointment_id: UUID) -> list[dict[str, Any]]:
    """Who and what serves the appointment, as the audit keeps it: [{selector, resource_id}], without the patient."""
    mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.appointment_id == appointment_id
    rows = session.execute(select(_ROWS.c.role, _ROWS.c.resource_id).where(*mine, _ROWS.c.role != "patient").distinct())
    return [{"selector": role, "resource_id": key} for role, key in sorted((role, str(key)) for role, key in rows)]


def lock_held(session: Session, call: Call, hold_id: UUID, *, also: Collection[UUID] = ()) -> set[UUID]:
    """Lock everyone and everything that the hold takes up, and `also` these; whom it locked.

    Raises LostRace when what it takes up changed at the same moment.
    """
    mine = held_by(session, call, hold_id)
    ids = mine.union(also)
    lock_resources(session, call, ids)
    if held_by(session, call, hold_id) != mine:
        raise LostRace(REBOUND)
    return ids


def held_group(hold: Hold) -> UUID | None:
    """The group in which the hold has a place."""
    known = hold.body.get("group_id")
    return None if known is None else UUID(known)


def held_by(session: Session, call: Call, hold_id: UUID) -> set[UUID]:
    """Everyone and everything that the hold takes up, the patient too."""
    mine = _ROWS.c.organization_id == call.organization_id, _ROWS.c.hold_id == hold_id
    return set(session.scalars(select(_ROWS.c.resource_id).where(*mine)))


def end_hold(
    session: Session, call: Call, hold_id: UUID, locked: Collection[UUID], *, patient_only: bool = False
) -> bool:
    """Give back what the hold takes up, for good (`patient_only`: of the patient); False when it had ended before.

    Raises LostRace when something of it is not among the `locked`: it was given another room at the same moment.
    """
    mine = _HOLDS.c.organization_id == call.organization_id, _HOLDS.c.id == hold_id, _HOLDS.c.ended_at.is_(None)
    ended = update(_HOLDS).where(*mine).values(ended_at=call.now, revision=_HOLDS.c.revision + 1)
    if not session.execute(ended.returning(_HOLDS.c.id)).all():
        return False
    theirs = _ROWS.c.hold_id == hold_id
    _free(session, call, theirs & (_ROWS.c.role == "patient") if patient_only else theirs, locked)
    return True


def release(session: Session, call: Call, appointment_id: UUID, locked: Collection[UUID]) -> None:
    """Give back everything that the appointment takes up.

    Raises LostRace when something of it is not among the `locked`: it was given another room at the same moment.
    """
    _free(session, call, _ROWS.c.appointment_id == appointment_id, locked)


def _free(session: Session, call: Call, theirs: ColumnElement[bool], locked: Collection[UUID]) -> None:
    gone = delete(_ROWS).where(_ROWS.c.organization_id == call.organization_id, theirs)
    if not set(session.scalars(gone.returning(_ROWS.c.resource_id))).issubset(locked):
        raise LostRace(REBOUND)


def void_expired_holds(session: Session, call: Call, ids: Collection[UUID]) -> None:
    """Take expired holds out of the way of these resources; their rows are history, not occupancy."""
    expired = select(_HOLDS.c.id).where(
        _HOLDS.c.organization_id == call.organization_id, _HOLDS.c.expires_at <= call.now
    )
    rows = delete(_ROWS).where(
        _ROWS.c.organization_id == call.organization_id,
        _ROWS.c.resource_id.in_(ids),
        _ROWS.c.hold_id.in_(expired),
    )
    gone = set(session.scalars(rows.returning(_ROWS.c.hold_id)))
    # Whoever extends such a hold by a clock that is behind finds it ended.
    over = _HOLDS.c.organization_id == call.organization_id, _HOLDS.c.id.in_(gone), _HOLDS.c.ended_at.is_(None)
    session.execute(update(_HOLDS).where(*over).values(ended_at=call.now, revision=_HOLDS.c.revision + 1))


@dataclass
class _Pen:
    """Rows being written: numbers the units as it goes, and knows what it has not put down yet."""

    session: Session
    call: Call
    loaded: Loaded
    sheet: Sheet
    held: dict[UUID, list[Held]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    #: Whether rows that are in the table already were touched.
    anew: bool = False

    def take(self, owner: Owner, taking: Taking, start: datetime, end: datetime, *, fixed: bool) -> None:
        """One taking as rows, re-packing units or re-binding rooms when what is free lies in pieces."""
        if taking.units == 0:
            self.add(owner, taking.resource_id, [0], start, end, taking.selector, kind="present")
            return
        if taking.pool:
            self.look_again()
            room, self.held = rebind(self.session, self.call, self.loaded, taking, self.held, fixed=fixed)
            self.held.setdefault(room, []).append(Held(0, start, end))
            self.add(owner, room, [0], start, end, taking.selector, fixed=fixed)
            return
        total = self.loaded.rows[taking.resource_id].units
        wanted = total if taking.units is None else taking.units
        mine = self.held.setdefault(taking.resource_id, [])
        units = lowest_free(mine, total, start, end, wanted)
        if units is None:
            self.look_again()
            who, where = taking.resource_id, self.loaded.site.time_zone
            mine[:], units = repacked(
                self.session, self.call, who, total, start, end, wanted, held=mine, time_zone=where
            )
        mine += [Held(unit, start, end) for unit in units]
        self.add(owner, taking.resource_id, units, start, end, taking.selector, fixed=fixed)

    def take_extra(self, owner: Owner, taking: Taking, start: datetime, end: datetime) -> None:
        """One taking in the lowest units beyond the regular ones that nothing overlaps, made when there are too few."""
        mine = self.held.setdefault(taking.resource_id, [])
        taken = {each.unit for each in mine if each.start < end and start < each.end}
        beyond = (unit for unit in count(self.loaded.rows[taking.resource_id].units) if unit not in taken)
        units = list(islice(beyond, taking.units))
        key = {"organization_id": self.call.organization_id, "resource_id": taking.resource_id}
        known = select(_UNITS.c.unit).where(*(_UNITS.c[name] == value for name, value in key.items()))
        missing = set(units) - set(self.session.scalars(known))
        if missing:
            self.session.execute(insert(_UNITS), [key | {"unit": unit, "extra": True} for unit in sorted(missing)])
        mine += [Held(unit, start, end) for unit in units]
        self.add(owner, taking.resource_id, units, start, end, taking.selector, fixed=True)

    def add(
        self,
        owner: Owner,
        resource_id: UUID,
        units: Sequence[int],
        start: datetime,
        end: datetime,
        role: str,
        *,
        kind: str | None = None,
        fixed: bool = False,
    ) -> None:
        """One row per unit; `kind` only for rows that do not block."""
        self.rows += [
            {
                "organization_id": self.call.organization_id,
                "id": new_id(),
                "resource_id": resource_id,
                "unit": unit,
                "starts_at": start,
                "ends_at": end,
                "kind": kind or owner.kind,
                "blocking": kind is None,
                "role": role,
                "fixed": fixed,
                "appointment_id": owner.appointment_id,
                "hold_id": owner.hold_id,
                "absence_id": None,
            }
            for unit in units
        ]

    def look_again(self) -> None:
        """Put down what is pending: re-binding and re-packing look at what is in the table."""
        self.put_down()
        self.sheet.put_down(self.session)
        self.anew = True

    def put_down(self) -> None:
        """What is pending goes onto the sheet."""
        self.sheet.time_zone = self.loaded.site.time_zone
        self.sheet.add(_ROWS, sorted(self.rows, key=lambda row: (row["resource_id"], row["unit"], row["starts_at"])))
        self.rows.clear()
