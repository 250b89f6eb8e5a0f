"""What a repair looks at: the visits that are struck, those of their courses that may make room, and the calendars."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from scheduler.core.availability import Clinic, Taking
from scheduler.core.bitmap import Timeline
from scheduler.core.call import Call
from scheduler.core.intervals import Span
from scheduler.core.lifecycle import OPEN
from scheduler.models import Appointment, Course, Occupancy, Resource
from scheduler.services import courses, impact
from scheduler.services.calendars import Loaded, load
from scheduler.services.catalog import Kind, visit_kinds
from scheduler.services.course_span import Extent, common_span, extent_of, layout_of
from scheduler.services.disruptions import restaffing
from scheduler.services.plan_groups import without
from scheduler.services.planning import Desk, set_up
from scheduler.services.premises import premises
from scheduler.services.scratch import Scratch

#: A visit that belongs to no course is looked for so many days on.
DAYS = 28


@dataclass(frozen=True)
class Scene:
    """Visits by id. `loose` may be moved, or served by others; `desks` are the courses of the struck ones, by id.

    Those of a group stay at their time: they are served by others together, or not at all.
    """

    struck: tuple[Appointment, ...]
    loose: Mapping[UUID, Appointment]
    takings: Mapping[UUID, tuple[Taking, ...]]
    desks: Mapping[UUID, Desk]
    loaded: Mapping[UUID, Loaded]
    kinds: Mapping[str, Kind]
    scratch: Scratch
    timeline: Timeline

    def slot(self, row: Appointment) -> int:
        """Where the visit stands."""
        return self.timeline.slot(row.starts_at)

    def clinic(self, row: Appointment, loaded: Loaded) -> Clinic:
        """What the visit sees beside all that was put on the scratch paper."""
        kind, site = self.kinds[row.visit_type], self.scratch.site(row.location_id, loaded)
        return replace(site, region=row.patient_region).clinic(kind.visit, kind.demand, cleared=False)


def look(session: Session, call: Call, resource_id: UUID, span: Span) -> Scene | None:
    """Read everything; None when nothing is struck. The resource counts as away, though nobody has said so yet."""
    resource = session.get_one(Resource, (call.organization_id, resource_id))
    hit = impact.by_absence(session, call, impact.roster_of(resource), (), span)
    if not hit:
        return None
    struck = _appointments(session, call, [each.id for each in hit])
    views = _courses(session, call, struck)
    policies = {view.id: premises(session, call, view.row.location_id).policies for view in views}
    soonest = {key: call.now + timedelta(minutes=each.lead_minutes) for key, each in policies.items()}
    loose = {row.id: row for row in struck if row.status in OPEN and row.group_id is None}
    for view in views:  # who comes too soon to be asked to move makes no room for others
        loose |= {
            row.id: row
            for row in view.booked.values()
            if row.status in OPEN and row.group_id is None and row.starts_at >= soonest[view.id]
        }
    ignoring = tuple(sorted(loose))
    never = {row.visit_type for row in loose.values()}  # nobody is asked to move into a group
    groups = restaffing.to_come(session, call, struck)
    gathered = {row.id: row for row in struck if row.group_id in groups}
    alone = [row for row in struck if row.course_id not in policies]
    extents = [extent_of(call, view, layout_of(session, call, view, ignoring=ignoring), "whole") for view in views]
    whole = common_span([*extents, *(_extent(call, row) for row in alone)])
    how: Any = {"ignoring": ignoring, "restaffing": tuple(sorted(gathered)), "span": whole, "look": "whole"}
    desks = {view.id: set_up(session, call, view, **how) for view in views}
    loose |= gathered
    ignoring = tuple(sorted(loose))
    desks = {key: replace(each, groups=without(each.groups, never)) for key, each in desks.items()}
    loaded = _loaded(session, call, alone, loose, whole)
    loaded |= {row.id: desks[row.course_id].loaded for row in struck if row.course_id in desks}
    timeline = next(iter(loaded.values())).site.timeline
    fixed = {row.id for row in loose.values() if keeps_its_room(row, resource_id)}
    scratch = Scratch(away={resource_id: timeline.touched([span])}, fixed=fixed)
    for row in struck:
        scratch.add(row.location_id, loaded[row.id])
    for desk in desks.values():
        scratch.add(desk.course.row.location_id, desk.loaded)
    takings = takings_of(session, call, ignoring, timeline)
    for key in loose.keys() - {row.id for row in struck}:
        scratch.put(key, takings.get(key, ()))
    return Scene(struck, loose, takings, desks, loaded, visit_kinds(session, call), scratch, timeline)


def takings_of(
    session: Session, call: Call, ids: Collection[UUID], timeline: Timeline
) -> dict[UUID, tuple[Taking, ...]]:
    """Who and what the appointments take up now, the patient's own time too."""
    columns = (
        Occupancy.appointment_id,
        Occupancy.resource_id,
        Occupancy.role,
        Occupancy.kind,
        Occupancy.starts_at,
        Occupancy.ends_at,
    )
    rows = session.execute(
        select(*columns, func.count().label("units"))
        .where(Occupancy.organization_id == call.organization_id, Occupancy.appointment_id.in_(ids))
        .group_by(*columns)
        .order_by(Occupancy.starts_at, Occupancy.resource_id)
    )
    found: dict[UUID, tuple[Taking, ...]] = {}
    for row in rows:
        first, past = timeline.slot(row.starts_at), timeline.slot_after(row.ends_at)
        taking = Taking(row.resource_id, row.role, first, past, 0 if row.kind == "present" else row.units)
        found[row.appointment_id] = (*found.get(row.appointment_id, ()), taking)
    return found


def keeps_its_room(row: Appointment, away: UUID) -> bool:
    """Whether its room is not changed for another of its pool: a group's, or one that was asked for by name."""
    named = any(pin["selector"].startswith("room:") and pin["resource_id"] != str(away) for pin in row.pins)
    return named or row.group_id is not None


def within(desk: Desk) -> Desk:
    """The desk up to the last session that is booked: what nobody has booked yet binds nothing."""
    last = max((*desk.standing, *desk.loose), default=-1)
    return replace(desk, specs=desk.specs[: last + 1])


def staying(desk: Desk, sessions: Collection[UUID | None]) -> Desk:
    """The desk with these sessions where they are: nobody serves them, but the others keep their gaps to them."""
    left = {spec.index for spec in desk.specs if desk.session_id(spec) in sessions}
    loose = {index: place for index, place in desk.loose.items() if index not in left}
    stays = {index: place for index, place in desk.loose.items() if index in left}
    return replace(desk, standing={**desk.standing, **stays}, loose=loose)


def _appointments(session: Session, call: Call, ids: Sequence[UUID]) -> tuple[Appointment, ...]:
    wanted = select(Appointment).where(Appointment.organization_id == call.organization_id, Appointment.id.in_(ids))
    return tuple(session.scalars(wanted.order_by(Appointment.starts_at, Appointment.id)))


def _courses(session: Session, call: Call, struck: Sequence[Appointment]) -> list[courses.CourseView]:
    """The courses whose own sessions are struck, with their rows."""
    ids = sorted({row.course_id for row in struck if row.course_id and row.course_session_id})
    wanted = select(Course).where(Course.organization_id == call.organization_id, Course.id.in_(ids))
    return courses.views(session, call, list(session.scalars(wanted.order_by(Course.id))))


def _extent(call: Call, row: Appointment) -> Extent:
    """The time that is looked at for a visit that belongs to no course."""
    since, until = max(call.now, row.starts_at - timedelta(days=1)), row.ends_at + timedelta(days=DAYS)
    return Extent(min(since, row.starts_at), until)


def _loaded(
    session: Session,
    call: Call,
    rows: Sequence[Appointment],
    loose: Mapping[UUID, Appointment],
    span: tuple[datetime, datetime],
) -> dict[UUID, Loaded]:
    """What each of these visits sees: its patient, and once for each location all who are there."""
    found: dict[UUID, dict[UUID, Loaded]] = {}
    for row in rows:
        here = found.setdefault(row.location_id, {})
        if row.patient_id not in here:
            own = (key for key, each in loose.items() if not here or each.patient_id == row.patient_id)
            here[row.patient_id] = load(
                session,
                call,
                location_id=row.location_id,
                start=span[0],
                end=span[1],
                patient_id=row.patient_id,
                ignoring=tuple(sorted(own)),
                only=frozenset() if here else None,
            )
    return {row.id: found[row.location_id][row.patient_id] for row in rows}
