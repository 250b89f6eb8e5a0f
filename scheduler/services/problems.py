"""A course's desk as the planner's problem: starts by visit type, people by role, gaps and windows by the protocol.

What is read for a desk, and how plans become visits, is `planning`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from uuid import UUID

from scheduler.core.availability import Clinic
from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.civil import to_local
from scheduler.core.course import SessionSpec
from scheduler.core.course_doses import dose_caps, dose_spans, rested
from scheduler.core.course_limits import bound_spans, caps, day_spans, gap_of
from scheduler.core.demand import Demand
from scheduler.core.gathering import all_starts, joined_starts, leading
from scheduler.core.planner import Gap, Grid, Leaf, Main, Problem, Weights, Window
from scheduler.core.planner.fullness import Fullness, fullness
from scheduler.core.planner.remainders import PIECES, Remainders
from scheduler.core.site import valid_days
from scheduler.services import continuity
from scheduler.services.catalog import Kind
from scheduler.services.opening_days import days_within

if TYPE_CHECKING:
    from scheduler.services.planning import Desk
#: Role to person to the starts that this person can serve.
By = Mapping[str, Mapping[Hashable, int]]
T = TypeVar("T")
#: The starts that a kind of visit has, by its code.
StartsOf = Callable[[str], int]

#: Starts are looked for at these minutes of the clock first; between them where a visit that may stay stands there, or
#: where nothing is found.
ROW_MINUTES = 15
#: What a visit is worth that stays, at the least: no wish of the protocol is worth moving one that need not be.
STAYING = 5_000
#: No day is ruled out.
EVERY_DAY = -1


class Ranks(NamedTuple):
    """What a visit's starts would rise above or leave: `Main.levels` and `own_levels` of the planner."""

    levels: Mapping[str, tuple[int, ...]]
    own: Mapping[Hashable, tuple[int, ...]]


NO_RANKS = Ranks({}, {})


def clinics_of(desk: Desk) -> dict[str, Clinic]:
    """What planning each kind of visit sees."""
    return {code: desk.clinic(kind) for code, kind in desk.kinds.items()}


def problem_of(desk: Desk, clinics: Mapping[str, Clinic] | None = None) -> Problem:
    """The planner's problem of that desk, with all that ranks its plans."""
    clinics = clinics_of(desk) if clinics is None else clinics
    timeline = desk.loaded.site.timeline
    starts = {code: all_starts(desk.kinds[code].demand, clinic) for code, clinic in clinics.items()}
    full = fullness(desk.loaded.site.calendars.values(), timeline)
    weights = weights_of(desk)
    ranks = {code: _ranks(desk, weights, full, code, clinic) for code, clinic in clinics.items()}
    return _problem(desk, starts, {code: _served_by(desk, code, clinics[code]) for code in clinics}, ranks)


def rules_of(desk: Desk, starts_of: StartsOf | None = None) -> Problem:
    """The same for whoever asks only whether there is a plan: nobody counts heads, or who serves unless one must.

    `starts_of` knows the starts already.
    """
    clinics = clinics_of(desk) if starts_of is None or desk.preferences.continuity == "required" else {}
    find = starts_of or (lambda code: all_starts(desk.kinds[code].demand, clinics[code]))
    bound = desk.preferences.continuity == "required"
    by = {code: _served_by(desk, code, clinics[code]) if bound else {} for code in desk.kinds}
    return _problem(desk, {code: find(code) for code in desk.kinds}, by, dict.fromkeys(desk.kinds, NO_RANKS))


def _ranks(desk: Desk, weights: Weights, full: Fullness, code: str, clinic: Clinic) -> Ranks:
    """What one kind of visit would rise above and leave; nothing where it joins a group, at work in any case."""
    kind = desk.kinds[code]
    levels = full.levels(kind.demand)
    left, own = _left(desk, weights, kind, clinic)
    ranks = Ranks({**levels, **left}, own)
    if not clinic.groups:
        return ranks
    begun = {slot: some for slot, some in clinic.groups.items() if any(each.is_begun for each in some)}
    others = ~joined_starts(kind.demand, replace(clinic, groups=begun))
    return Ranks(_among(ranks.levels, others), _among(ranks.own, others))


def _left(desk: Desk, weights: Weights, kind: Kind, clinic: Clinic) -> Ranks:
    """The useless pieces of a day beside such a visit, where they have a price."""
    worth = {"dosing": weights.room_remainders, "integration": weights.therapist_remainders}.get(kind.visit.kind)
    if not worth:
        return NO_RANKS
    left = Remainders(tuple(each.demand for each in desk.every.values() if each.visit.enabled))
    if kind.visit.kind == "dosing":
        return Ranks({"room_remainders": left.of_rooms(kind.demand, clinic)}, {})
    levels, own = left.of_therapists(kind.demand, clinic)
    return Ranks({"therapist_remainders": levels}, own)


def _promised(desk: Desk, spec: SessionSpec) -> tuple[int, ...]:
    """For whom and what the visit was booked with by name: the starts elsewhere at which they are not free for it."""
    pins, kind, site = desk.promised.get(spec.index, ()), desk.kinds[spec.visit_type], desk.loaded.site
    if not pins or spec.index in desk.standing or kind.visit.group:
        return ()
    booked = desk.loose.get(spec.index)
    stays = 0 if booked is None else 1 << site.timeline.slot(booked.starts_at)
    found = []
    for pin in pins:
        calendar = site.calendars.get(pin.resource_id)
        wanted = [each for each in kind.demand.threads if each.selector == pin.selector and not each.present]
        if calendar is not None and wanted:
            free = reduce(and_, (calendar.starts(thread) for thread in wanted))
            found.append(site.timeline.everything & ~free & ~stays)
    return tuple(found)


def _among(levels: Mapping[T, tuple[int, ...]], starts: int) -> Mapping[T, tuple[int, ...]]:
    return {name: tuple(level & starts for level in masks) for name, masks in levels.items()}


def _ranks_of(desk: Desk, spec: SessionSpec, ranks: Mapping[str, Ranks]) -> Ranks:
    """Those of its kind and its own; what a session leaves that stands is nobody's choice any more."""
    found = ranks[spec.visit_type]
    if found is not NO_RANKS and (promised := _promised(desk, spec)):
        return Ranks({**found.levels, "dropped": promised}, found.own)
    if spec.index not in desk.standing or found.levels.keys().isdisjoint(PIECES):
        return found
    return Ranks({name: masks for name, masks in found.levels.items() if name not in PIECES}, {})


def days_seen(desk: Desk) -> int:
    """How many local days are looked at: a part of the first and of the last is not."""
    return desk.loaded.site.timeline.days - 2


def weights_of(desk: Desk) -> Weights:
    """What the location's organization takes for how bad."""
    return Weights(**desk.loaded.policies.planning_weights)


def moving_least(problem: Problem) -> Problem:
    """The same for what is booked already: no plan that moves more visits is better."""
    weights = problem.weights
    return replace(problem, weights=replace(weights, moved=max(STAYING, weights.moved)))


def rows_of(desk: Desk) -> int:
    """The minutes of the clock at which starts are looked for: where a visit may stay between the rows, every slot."""
    off_the_rows = any(place.starts_at.minute % ROW_MINUTES for place in desk.loose.values())
    return SLOT_MINUTES if off_the_rows else desk.row_minutes


def _problem(desk: Desk, starts: Mapping[str, int], by: Mapping[str, By], ranks: Mapping[str, Ranks]) -> Problem:
    timeline, zone = desk.loaded.site.timeline, desk.loaded.site.time_zone
    specs = {spec.index: spec for spec in desk.wanted}
    leaves = {spec.anchor: spec for spec in specs.values() if spec.kind == "leaf"}
    mains = [spec for spec in specs.values() if spec.kind == "main"]
    own = {spec.index: _ranks_of(desk, spec, ranks) for spec in specs.values()}
    first_day = to_local(timeline.origin, zone).date() + timedelta(days=1)
    pinned, booked = (
        {str(desk.session_id(specs[i])): timeline.slot(place.starts_at) for i, place in places.items() if i in specs}
        for places in (desk.standing, desk.loose)
    )
    visits = [desk.kinds[spec.visit_type].visit for spec in mains]
    return Problem(
        grid=Grid(timeline.origin, timeline.slots, zone, first_day, days_seen(desk), rows_of(desk)),
        mains=tuple(
            Main(
                session_id=str(desk.session_id(spec)),
                minutes=desk.kinds[spec.visit_type].visit.minutes,
                starts=within(starts[spec.visit_type], _days(desk, spec, first=place == 0)),
                by=_by(desk, spec, by),
                gap=None if place == 0 else _gap(desk, mains[place - 1], spec),
                leaf=_leaf(desk, leaves.get(spec.index), starts, by, own),
                dosing=spec.dosing,
                phase=spec.phase,
                levels=own[spec.index].levels,
                own_levels=own[spec.index].own,
            )
            for place, spec in enumerate(mains)
        ),
        candidates={role: _candidates(desk, role) for role in desk.protocol.continuity},
        continuity=desk.preferences.continuity,
        preferences=desk.preferences.wishes,
        weights=weights_of(desk),
        spans=(*day_spans(mains), *bound_spans(mains), *dose_spans(visits)),
        pinned=pinned,
        booked=booked,
        caps=(*caps(mains), *dose_caps(visits)),
        open_days=_open_days(desk, mains, first_day, days_seen(desk)),
    )


def _gap(desk: Desk, before: SessionSpec, spec: SessionSpec) -> Gap:
    """What lies between two main sessions; a dose that stands keeps others away by when it is, or was given."""
    if desk.standing.keys() & {before.index, spec.index}:
        return gap_of(spec)
    return rested(gap_of(spec), *(desk.kinds[each.visit_type].visit for each in (before, spec)))


def _days(desk: Desk, spec: SessionSpec, *, first: bool) -> int:
    """The slots of the days on which the first session may fall, and any whose supply must be given by some day."""
    use_by = None if spec.index in desk.standing else spec.use_by
    least, _, most = (spec.gap or (0, 0, None)) if first else (None, 0, None)
    since = None if least is None else desk.course.row.start_after + timedelta(days=least)
    until = None if most is None else desk.course.row.start_after + timedelta(days=most)
    if use_by is not None:
        until = use_by if until is None else min(until, use_by)
    bounds = {key: day.isoformat() for key, day in (("valid_from", since), ("valid_to", until)) if day is not None}
    return valid_days([bounds], desk.loaded.site.time_zone, desk.loaded.site.timeline) if bounds else EVERY_DAY


def within(starts: int, days: int) -> int:
    """The starts on these days; the very same number where that is all of them, by which equal visits are known."""
    return starts if days == EVERY_DAY else starts & days


def _leaf(
    desk: Desk,
    spec: SessionSpec | None,
    starts: Mapping[str, int],
    by: Mapping[str, By],
    own: Mapping[int, Ranks],
) -> Leaf | None:
    if spec is None or spec.window is None:
        return None
    window = spec.window
    return Leaf(
        session_id=str(desk.session_id(spec)),
        minutes=desk.kinds[spec.visit_type].visit.minutes,
        starts=starts[spec.visit_type],
        by=_by(desk, spec, by),
        window=Window(window.minimum, window.target, window.maximum, window.edge),
        before_next=spec.before_next,
        same_day=spec.same_day,
        levels=own[spec.index].levels,
        own_levels=own[spec.index].own,
    )


def _served_by(desk: Desk, code: str, clinic: Clinic) -> By:
    """For each role that one person should keep: who can serve every part of the visit that needs it, and when."""
    served: dict[str, Mapping[Hashable, int]] = {}
    for role in desk.protocol.continuity:
        threads = [t for t in desk.kinds[code].demand.threads if t.selector == f"role:{role}" and not t.present]
        if threads:
            served[role] = {
                each.resource_id: reduce(and_, (each.starts(thread) for thread in threads)) & clinic.timeline.everything
                for each in clinic.pool(threads[0])
            }
            if clinic.groups:
                served[role] = _or_in_groups(desk, desk.kinds[code].demand, clinic, role, served[role])
    return served


def _or_in_groups(
    desk: Desk, demand: Demand, clinic: Clinic, role: str, own: Mapping[Hashable, int]
) -> dict[Hashable, int]:
    """The same with the groups that can be joined, where whoever serves the group serves the visit."""
    everywhere, selector = joined_starts(demand, clinic), f"role:{role}"
    leads = leading(demand, clinic, selector)
    if continuity.is_required(desk) and continuity.wants_two(demand, selector):
        # Of two who serve at once nobody must be the same: whichever group there is will do.
        return {who: own.get(who, 0) | everywhere for who in {*own, *_candidates(desk, role)}}
    if not continuity.is_required(desk):  # where there is a group it is joined
        own = {who: starts & ~everywhere for who, starts in own.items()}
    return {who: own.get(who, 0) | leads.get(who, 0) for who in {*own, *leads}}


def _by(desk: Desk, spec: SessionSpec, by: Mapping[str, By]) -> By:
    """Who can serve the session; one that stands is served by whom it is served by, though they are not free then."""
    if spec.index not in desk.standing:
        return by[spec.visit_type]
    slot = desk.loaded.site.timeline.slot(desk.standing[spec.index].starts_at)
    people = desk.serving.get(spec.index, {})
    return {role: dict.fromkeys(people.get(role, ()), 1 << slot) for role in by[spec.visit_type] if slot >= 0}


def _candidates(desk: Desk, role: str) -> tuple[UUID, ...]:
    """Who may be the course's own person for a role: those the patient named, or anyone who has it."""
    calendars = desk.loaded.site.calendars
    able = [key for key, each in calendars.items() if f"role:{role}" in each.serves]
    named = [key for key in desk.preferences.practitioner_ids if key in able]
    return tuple(named or able)


def _open_days(desk: Desk, mains: Sequence[SessionSpec], first_day: date, days: int) -> int:
    """The local days on which the location is open for some of it; only asked for where a gap counts them."""
    if not any(spec.clinic_days for spec in mains):
        return -1
    site = desk.loaded.site
    places = {(day - first_day).days for day in days_within(site.counted, site.timeline, site.time_zone)}
    return sum(1 << place for place in places if 0 <= place < days)
