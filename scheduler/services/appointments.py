"""Appointments as they are read: one, or a page of them, with who serves them. Changes live in `booking`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, or_, select
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import NotFound
from scheduler.core.gathering import Served
from scheduler.core.visit_day import Times
from scheduler.models import Appointment, GroupPlace, Occupancy, Series
from scheduler.models.among import among
from scheduler.services.groups import served_in
from scheduler.services.locks import lock_row
from scheduler.services.paging import Page, page
from scheduler.services.ready import Ready

#: Where a moment stands in time: an instant, or a slot.
T = TypeVar("T", datetime, int)

#: What the first part of a selector says about the resource behind it.
KINDS = {"role": "practitioner", "room": "room", "device": "device"}

_ROWS = cast("Table", Occupancy.__table__).c
#: Every answer that shows a visit asks it.
_SERVED = Ready(
    select(_ROWS.appointment_id, _ROWS.resource_id, _ROWS.role, _ROWS.starts_at, _ROWS.ends_at).where(
        _ROWS.organization_id == bindparam("organization"), among(_ROWS.appointment_id, "ids")
    )
)
_VISITS = cast("Table", Appointment.__table__)


class Participation(NamedTuple):
    """Someone or something that serves one segment of a visit. Instants are aware UTC."""

    resource_id: UUID
    kind: str
    role: str
    segment: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class AppointmentView:
    """An appointment with its segments in time and its participants. `revision` is the ETag."""

    row: Appointment
    segments: tuple[Mapping[str, Any], ...]
    participants: tuple[Participation, ...]

    @property
    def id(self) -> UUID:
        """The appointment's."""
        return self.row.id

    @property
    def revision(self) -> int:
        """The appointment's."""
        return self.row.revision


@dataclass(frozen=True)
class Filter:
    """Which appointments a list shows; None leaves a field open. `since` and `until` bound the start, half-open."""

    location_id: UUID | None = None
    patient_id: UUID | None = None
    resource_id: UUID | None = None
    course_id: UUID | None = None
    series_id: UUID | None = None
    group_id: UUID | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def get(session: Session, call: Call, appointment_id: UUID) -> AppointmentView:
    """One appointment. Raises NotFound."""
    return view(session, call, row_of(session, call, appointment_id))


def row_of(session: Session, call: Call, appointment_id: UUID, *, lock: bool = False) -> Appointment:
    """The row, locked for a change when asked. Raises NotFound."""
    key = (call.organization_id, appointment_id)
    row = lock_row(session, call, Appointment, appointment_id) if lock else session.get(Appointment, key)
    if row is None:
        detail = f"No appointment {appointment_id}."
        raise NotFound(detail)
    return row


def view(
    session: Session, call: Call, row: Appointment, *, served: Mapping[UUID, Sequence[Served]] = MappingProxyType({})
) -> AppointmentView:
    """The row with its participants."""
    return views(session, call, [row], served=served)[0]


def views(
    session: Session,
    call: Call,
    rows: Sequence[Appointment],
    *,
    served: Mapping[UUID, Sequence[Served]] = MappingProxyType({}),
) -> list[AppointmentView]:
    """The rows with their participants, in one statement for all, and one for the groups among them if there are.

    `served` is what the caller knows already, by appointment.
    """
    served = {**served, **_occupancies(session, call, [row.id for row in rows if row.id not in served])}
    together = served_in(session, call, rows)
    found = []
    for row in rows:
        segments = segments_of(row)
        # A group is served by whoever serves one of its visits.
        mine = served.get(row.id, ()) if row.group_id is None else together.get(row.group_id, ())
        found.append(AppointmentView(row, segments, participants(segments, mine)))
    return found


def listed(
    session: Session, call: Call, wanted: Filter, *, limit: int, cursor: str | None = None
) -> Page[AppointmentView]:
    """A page of appointments by start. `resource_id` finds those that the resource serves or is served in."""
    mine = _VISITS.c
    chosen = select(_VISITS).where(mine.organization_id == call.organization_id)
    for column, value in (
        (mine.location_id, wanted.location_id),
        (mine.patient_id, wanted.patient_id),
        (mine.course_id, wanted.course_id),
        (mine.series_id, wanted.series_id),
        (mine.status, wanted.status),
    ):
        if value is not None:
            chosen = chosen.where(column == value)
    if wanted.series_id is not None:  # by its patient, who has an index
        whose = select(Series.patient_id).where(
            Series.organization_id == call.organization_id, Series.id == wanted.series_id
        )
        chosen = chosen.where(mine.patient_id == whose.scalar_subquery())
    if wanted.group_id is not None:
        places = select(GroupPlace.appointment_id).where(
            GroupPlace.organization_id == call.organization_id, GroupPlace.group_id == wanted.group_id
        )
        chosen = chosen.where(mine.id.in_(places))
    if wanted.since is not None:
        chosen = chosen.where(mine.starts_at >= wanted.since)
    if wanted.until is not None:
        chosen = chosen.where(mine.starts_at < wanted.until)
    if wanted.resource_id is not None:
        served = select(Occupancy.appointment_id).where(
            Occupancy.organization_id == call.organization_id, Occupancy.resource_id == wanted.resource_id
        )
        gathered = select(GroupPlace.group_id).where(
            GroupPlace.organization_id == call.organization_id, GroupPlace.appointment_id.in_(served)
        )
        chosen = chosen.where(or_(mine.id.in_(served), mine.group_id.in_(gathered)))
    found = page(session, call, chosen, [mine.starts_at, mine.id], limit=limit, cursor=cursor)
    return Page(views(session, call, found.items), found.next_cursor)


def segments_of(row: Appointment) -> tuple[Mapping[str, Any], ...]:
    """The segments in time: {name, start, end, needs?}, aware UTC."""
    return in_time(row.segments, row.starts_at)


def in_time(outline: Sequence[Mapping[str, Any]], begins: datetime) -> tuple[Mapping[str, Any], ...]:
    """A visit's outline from that instant on. Outlines of old visits do not say what a segment needs."""
    return tuple(
        {
            **segment,
            "start": begins + timedelta(minutes=segment["start"]),
            "end": begins + timedelta(minutes=segment["end"]),
        }
        for segment in outline
    )


def participants(segments: Sequence[Mapping[str, Any]], served: Sequence[Served]) -> tuple[Participation, ...]:
    """(resource, selector, start, end) of a visit, cut at the edges of its segments, in order of time.

    Who only turns over while a segment that needs them no more goes on takes no part in it.
    """
    edges = [(segment["name"], segment["start"], segment["end"], segment.get("needs")) for segment in segments]
    found = []
    for resource_id, selector, pieces in stays(served):
        kind, role = as_what(selector)
        found += [Participation(resource_id, kind, role, *part) for part in cut(edges, selector, pieces)]
    return tuple(sorted(found, key=_in_order))


def _in_order(each: Participation) -> tuple[datetime, str, str, UUID]:
    """How participants are listed."""
    return each.start, each.kind, each.role, each.resource_id


def as_what(selector: str) -> tuple[str, str]:
    """The kind of resource, and as what it serves."""
    kind, _, role = selector.partition(":")
    return KINDS[kind], role


def stays(served: Iterable[tuple[UUID, str, T, T]]) -> list[tuple[UUID, str, tuple[tuple[T, T], ...]]]:
    """(resource, selector, pieces) of whoever shows; unbroken pieces are one, in however many units they are."""
    found: dict[tuple[int, str], tuple[UUID, list[tuple[T, T]]]] = {}
    for resource_id, selector, start, end in served:
        if selector.partition(":")[0] in KINDS:
            found.setdefault((resource_id.int, selector), (resource_id, []))[1].append((start, end))
    return [(who, selector, _joined(pieces)) for (_, selector), (who, pieces) in found.items()]


def cut(
    edges: Iterable[tuple[str, T, T, Collection[str] | None]], selector: str, pieces: Iterable[tuple[T, T]]
) -> list[tuple[str, T, T]]:
    """The (segment, start, end) in which somebody takes part with these pieces; in instants, slots, whatever."""
    return [
        (name, max(since, start), min(until, end))
        for since, until in pieces
        for name, start, end, needs in edges
        if max(since, start) < min(until, end) and (needs is None or selector in needs)
    ]


def _joined(pieces: list[tuple[T, T]]) -> tuple[tuple[T, T], ...]:
    if len(pieces) == 1:
        return tuple(pieces)
    joined: list[tuple[T, T]] = []
    for start, end in sorted(pieces):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return tuple(joined)


def _occupancies(session: Session, call: Call, ids: Sequence[UUID]) -> dict[UUID, list[Served]]:
    if not ids:
        return {}
    return grouped(_SERVED.rows(session, {"organization": call.organization_id, "ids": list(ids)}))


def grouped(rows: Iterable[Sequence[Any]]) -> dict[UUID, list[Served]]:
    """Rows that begin with an appointment and go on with what serves it, by appointment."""
    found: dict[int, tuple[UUID, list[Served]]] = {}
    for owner, resource_id, role, start, end in rows:
        found.setdefault(owner.int, (owner, []))[1].append((resource_id, role, start, end))
    return dict(found.values())


def times_of(row: Appointment) -> Times:
    """The plan and the real times of an appointment."""
    return Times(
        row.starts_at,
        row.ends_at,
        row.arrived_at,
        row.checked_in_at,
        row.dosed_at,
        row.last_device_at,
        row.fulfilled_at,
    )
