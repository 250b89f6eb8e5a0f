"""The look at a plan's places with everyone concerned locked: its own people first, all who could serve if need be.

A look without locks would be overtaken again and again at a busy desk: a course wants nearly everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.availability import Calendar, Clinic, Taking, assign, occupied
from scheduler.core.bar import Bar
from scheduler.core.call import Call
from scheduler.core.civil import to_local
from scheduler.core.course import SessionSpec
from scheduler.core.errors import PlanStale, Reason, Refused
from scheduler.core.explain import why_not
from scheduler.core.gathering import OpenGroup, joined
from scheduler.core.second_look import broken
from scheduler.core.spacing import Booked, binding, session_rules
from scheduler.core.visit_day import deadline
from scheduler.models import Appointment, StoredPlan
from scheduler.services import continuity, groups, opening_days, plan_groups
from scheduler.services.booking import draft
from scheduler.services.catalog import Kind
from scheduler.services.finding import Found, Wanted
from scheduler.services.locks import lock_resources
from scheduler.services.planning import Desk
from scheduler.services.settling import concerned

#: Refusals that a fresh plan would not cure.
_LASTING = frozenset({"gate_not_passed", "location_not_certified", "on_hold"})
#: Each visit of a plan with its place in the calendar.
Places = list[tuple[Appointment, Found]]


def look(
    session: Session,
    call: Call,
    stored: StoredPlan,
    read: Callable[[], Desk],
    *,
    freed: Collection[UUID] = (),
    agreed: Collection[UUID] = (),
    joining: Collection[UUID] = (),
) -> tuple[Desk, Places]:
    """The plan's visits where they fit now, under locks that keep it so, and the desk that they were seen at.

    `read` reads the desk; `freed` are resources that its visits had before, `agreed` the sessions whose times were
    agreed whatever the patient wishes, `joining` the groups that may be joined: they are locked. The
    calendars are read before the locks and again only where they have changed, so that nobody waits for that. Raises as
    `places_of` does.
    """
    desk, kept = read(), groups.kept(session, call, joining)
    own = {*freed, *kept, *_people(stored), desk.course.row.patient_id}
    with session.begin_nested() as savepoint:
        seen = _locked(session, call, desk, own, read)
        places = places_of(call, seen, stored, agreed, joining)
        if concerned(places) <= own:
            return seen, places
        savepoint.rollback()  # the locks go with it: more of them, in order, can only be taken by whoever holds none
    seen = _locked(session, call, desk, {*freed, *kept, *desk.loaded.rows}, read)
    return seen, places_of(call, seen, stored, agreed, joining)


def _locked(session: Session, call: Call, desk: Desk, ids: Collection[UUID], read: Callable[[], Desk]) -> Desk:
    """The desk as it is with these locked, read again only if one of their calendars has changed."""
    now, known = lock_resources(session, call, ids), desk.loaded.revisions
    return read() if any(known.get(key, revision) != revision for key, revision in now.items()) else desk


def _people(stored: StoredPlan) -> set[UUID]:
    """Everyone and everything that the plan was made with."""
    return {UUID(each) for entry in stored.body["sessions"] for each in (*entry["people"], *entry.get("pool", ()))}


def places_of(
    call: Call, desk: Desk, stored: StoredPlan, agreed: Collection[UUID] = (), joining: Collection[UUID] = ()
) -> Places:
    """Each session of the plan as a visit, checked against the calendar, its neighbors and its gates.

    Of groups only those count that are `joining`.
    """
    desk = replace(desk, groups=plan_groups.among(desk.groups, joining))
    passed = frozenset(gate.key for gate in desk.course.gates if gate.outcome in {"passed", "waived"})
    site, timeline = desk.loaded.site, desk.loaded.site.timeline
    by_id = {desk.session_id(spec): spec for spec in desk.specs}
    entries = [entry for entry in stored.body["sessions"] if "pencilled" not in entry]
    planned = [(by_id[UUID(entry["session_id"])], entry) for entry in entries]
    going = {spec.index: _booked(entry, site.time_zone) for spec, entry in planned}
    all_booked = binding(desk.specs, going.keys(), desk.standing, call.now) | going
    opened = opening_days.at_site(desk.specs, site)
    faults = broken(desk.specs, all_booked, [spec.index for spec, _ in planned], opened)
    if faults:  # something of the course was booked or moved by hand since
        raise PlanStale(f"The plan no longer keeps the rules of its protocol: {faults[0]}.")
    calendars = site.calendars
    places = []
    for spec, entry in planned:
        wall = to_local(datetime.fromisoformat(entry["start"]), site.time_zone)
        unsuited = None if UUID(entry["session_id"]) in agreed else desk.preferences.against(wall)
        if unsuited is not None:  # the patient has said so since
            raise PlanStale(f"Session {spec.sequence} does not suit the patient any more. {unsuited.detail}")
        kind = desk.kinds[spec.visit_type]
        confirmed = all(gate in passed for gate in spec.gates)
        others = {index: place for index, place in all_booked.items() if index != spec.index}
        gates = {*passed, *spec.gates}
        rules = session_rules(desk.specs, spec.index, others, gates, kind.visit.minutes, opened)
        bars = (*rules.bars(timeline, site.time_zone), *desk.dose_bars(kind))
        clinic = _clinic(desk, spec, bars, calendars, cleared=confirmed)
        start = datetime.fromisoformat(entry["start"])
        slot = timeline.slot(start)
        people, same = [UUID(each) for each in entry["people"]], continuity.by_token(desk, entry)
        prefer = [*people, UUID(entry["group"])] if entry.get("group") else people
        group, takings = _served(kind, replace(clinic, bound=same) if same else clinic, slot, prefer)
        if same and takings is None and _served(kind, clinic, slot, prefer)[1] is not None:
            raise _other_people(spec, same)
        if spec.index in desk.standing or takings is None:
            reasons = () if spec.index in desk.standing else why_not(kind.demand, clinic, slot)
            raise _stale(spec, reasons, joins=bool(entry.get("group")))
        # What a visit leaves to the others is of all people, not only of those licensed for a visit by video.
        calendars = occupied(replace(clinic, calendars=calendars), takings).calendars
        course = desk.course.row
        region = desk.preferences.patient_region if kind.visit.video else None
        wanted = Wanted(course.patient_id, spec.visit_type, course.location_id, start, patient_region=region)
        found = Found(kind, desk.loaded, to_local(start, site.time_zone), start, takings, group=group)
        appointment = draft(call, wanted, found, status="booked" if confirmed else "pending")
        appointment.course_id, appointment.course_session_id = course.id, desk.session_id(spec)
        if not confirmed:
            until = deadline(desk.protocol, desk.specs, spec, all_booked, passed, site.time_zone)
            appointment.pencilled_until = until
        places.append((appointment, found))
    return places


def _clinic(
    desk: Desk, spec: SessionSpec, bars: tuple[Bar, ...], calendars: Mapping[UUID, Calendar], *, cleared: bool
) -> Clinic:
    """The clinic as that session's booking sees it, with the course's rules and the visits before it in place."""
    kind = desk.kinds[spec.visit_type]
    region = desk.preferences.patient_region
    site = replace(desk.loaded.site, further=bars, calendars=calendars, region=region, asked=spec.asked)
    return desk.with_groups(kind, site.clinic(kind.visit, kind.demand, cleared=cleared))


def _served(
    kind: Kind, clinic: Clinic, slot: int, prefer: Sequence[UUID]
) -> tuple[OpenGroup | None, tuple[Taking, ...] | None]:
    """The group that it joins, where nobody else is taken up, or people of its own; None and None: neither."""
    group = joined(kind.demand, clinic, slot, prefer)
    return group, assign(kind.demand, clinic, slot, prefer) if group is None else ()


def _stale(spec: SessionSpec, reasons: Sequence[Reason], *, joins: bool) -> PlanStale | Refused:
    lasting = [reason for reason in reasons if reason.code in _LASTING]
    if lasting:
        return Refused(lasting)
    if joins and all(reason.role is not None for reason in reasons):
        return PlanStale(f"Session {spec.sequence} finds no place any more in the group that it was to join.")
    why = f" {reasons[0].detail}" if reasons else " It is booked already."
    return PlanStale(f"Session {spec.sequence} no longer fits the calendar.{why}")


def _other_people(spec: SessionSpec, same: continuity.Bound) -> PlanStale:
    roles = " and ".join(f"the same {selector.partition(':')[2].replace('_', ' ')}" for selector in sorted(same))
    return PlanStale(f"The course requires {roles} throughout: session {spec.sequence} could be served by others only.")


def _booked(entry: Mapping[str, Any], time_zone: str) -> Booked:
    start, end = datetime.fromisoformat(entry["start"]), datetime.fromisoformat(entry["end"])
    return Booked(to_local(start, time_zone).date(), start, end)
