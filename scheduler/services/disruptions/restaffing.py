"""A group that is served by others at its own time: the law by which a repair offers that, and carries it out.

Nobody in it moves and nobody leaves it: the room and the staff are chosen once, for all who are in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from scheduler.core.availability import Taking, assign
from scheduler.core.call import Call
from scheduler.core.licences import licensed_in_all
from scheduler.core.lifecycle import LIVE, OPEN
from scheduler.core.site import Site
from scheduler.models import Appointment, Occupancy
from scheduler.services.catalog import Kind
from scheduler.services.continuity import Bound

_WHOLE = "A group moves as a whole: its session has to be seen to."


def to_come(session: Session, call: Call, rows: Iterable[Appointment]) -> set[UUID]:
    """The groups of these visits in which no visit has begun: what is under way is left to whoever is there."""
    ids = {row.group_id for row in rows if row.group_id is not None}
    if not ids:
        return set()
    begun = select(Appointment.group_id).where(
        Appointment.organization_id == call.organization_id,
        Appointment.group_id.in_(ids),
        Appointment.status.in_(sorted(LIVE - OPEN)),
    )
    return ids - set(session.scalars(begun))


def living(session: Session, call: Call, group_ids: Collection[UUID]) -> set[UUID]:
    """The visits that are in these groups, which are locked."""
    wanted = select(Appointment.id).where(
        Appointment.organization_id == call.organization_id,
        Appointment.group_id.in_(group_ids),
        Appointment.status.in_(sorted(LIVE)),
    )
    return set(session.scalars(wanted))


def carriers(session: Session, call: Call, ids: Collection[UUID]) -> set[UUID]:
    """Those of these visits that take up the room and the staff of their group: they go on doing so."""
    if not ids:
        return set()
    theirs = Occupancy.organization_id == call.organization_id, Occupancy.appointment_id.in_(ids)
    found = session.scalars(select(Occupancy.appointment_id).where(*theirs, Occupancy.role != "patient"))
    return {key for key in found if key is not None}


def served(
    kind: Kind, site: Site, rows: Sequence[Appointment], bound: Bound, prefer: Sequence[UUID]
) -> tuple[Taking, ...] | None:
    """Who and what can serve the group that these visits are, as all its rules want; None when nobody can.

    `site` counts as free whoever serves it now and is not away. Of these, whom a patient asked for by name stays; so do
    those in `prefer` as far as can be.
    """
    if not _is_as_it_began(kind, rows[0]):
        return None
    # It stands there already, with its patients: no rule about when visits may be is asked again.
    clinic = replace(site, patient=None, region=None).clinic(kind.visit, kind.demand, cleared=False)
    regions = sorted({row.patient_region for row in rows if row.patient_region is not None})
    if kind.visit.video and regions:
        licensed = licensed_in_all(clinic.calendars, kind.demand.selectors, regions)
        clinic = replace(clinic, calendars=licensed)
    slot = site.timeline.slot(rows[0].starts_at)
    takings = assign(kind.demand, replace(clinic, bars=(), bound=bound), slot, prefer)
    named = {UUID(pin["resource_id"]) for row in rows for pin in row.pins} & set(prefer)
    return takings if takings is not None and named <= {each.resource_id for each in takings} else None


def why_not(kind: Kind, row: Appointment, unbound: Sequence[Taking] | None, *, bound: bool) -> tuple[str, str]:
    """Code and detail for a visit of a group that nobody serves.

    `unbound` is who could if no course required the same person; `bound` whether this one's does.
    """
    if not _is_as_it_began(kind, row):
        return "group", f"The group is not what its visit type says by now. {_WHOLE}"
    if unbound is None:
        return "group", f"Nobody else, or nothing else, is free to serve its group at its time. {_WHOLE}"
    if bound:
        return "same_person", "Its course requires the same person throughout: nobody stands in for its group."
    detail = "The course of another patient in the group requires the same person throughout: nobody stands in."
    return "group", f"{detail} {_WHOLE}"


def _is_as_it_began(kind: Kind, row: Appointment) -> bool:
    """Whether the group lasts as long as its visit type says by now; else nobody can say whom it needs when."""
    return row.ends_at - row.starts_at == timedelta(minutes=kind.visit.minutes)
