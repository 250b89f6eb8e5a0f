"""An organization's real calendars as the floor of a batch search: courses take up people and rooms on scratch paper.

The search itself is `core/planner/batch`; nothing here touches the database.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from scheduler.core.availability import Clinic, Taking, exact_starts, thread_starts
from scheduler.core.demand import Demand, Stretch
from scheduler.core.gathering import all_starts, joined_starts
from scheduler.core.planner import Problem
from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.explain import feasible
from scheduler.core.planner.floor import Placement
from scheduler.core.planner.market import Use, Uses, spread
from scheduler.core.planner.pricing import priced
from scheduler.core.planner.rivals import Block, Lane, Needs
from scheduler.core.planner.trail import Prices, Trail, free_where
from scheduler.services.plan_groups import place_in
from scheduler.services.planned_groups import PlannedGroups, planned
from scheduler.services.planning import EFFORT, CoursePlan, Desk, finer, people, solve, solve_either
from scheduler.services.problems import problem_of, rules_of
from scheduler.services.scratch import Scratch, of_patient

#: What each resource is taken for, and by which course.
Held = dict[UUID, list[tuple[int, Taking]]]


class CourseFloor:
    """One desk a course; what is put takes up its room for all of them."""

    def __init__(self, desks: Sequence[Desk]) -> None:
        self.desks = desks
        self._scratch = Scratch()
        self._begun = PlannedGroups()
        self._taken: dict[int, tuple[Taking, ...]] = {}
        self._problems: dict[int, Problem] = {}
        for desk in desks:
            self._scratch.add(desk.course.row.location_id, desk.loaded)

    def plan(self, course: int) -> Placement | None:
        """The cheapest plan beside everything that stands."""
        return _placement(self._now(course))

    def alone(self, course: int) -> Placement | None:
        """The same with nothing of the batch there.

        Pieces of a day cost nothing here: others may take up what is next to one.
        """
        return _placement(self._bare(course), _without_remainders)

    def plan_anywhere(self, course: int) -> Placement | None:
        """Some plan beside everything that stands, between the quarters of the hour where there is none on them."""
        desk = self._now(course)
        found = solve_either(desk, effort=EFFORT, glance=True)
        return _placed(desk, found[0]) if found else None

    def is_possible(self, course: int) -> bool:
        """Whether it has a plan on any start that can be booked, with nothing of the batch there."""
        return feasible(rules_of(finer(self._bare(course))))

    def trail(self, course: int, *, wishes: bool) -> Trail | None:
        """Of the course with nothing of the batch there."""
        problem = self._problem(course)
        return Trail(problem, wishes=wishes) if Trail.leads(problem) else None

    def open(self, course: int) -> Prices:
        """By type of visit; on which days a session may be, its trail knows."""
        now, size = self._now(course), self._problem(course).grid.slots
        starts = {code: all_starts(kind.demand, now.clinic(kind)) for code, kind in now.kinds.items()}
        free = {code: free_where(mask, size) for code, mask in starts.items()}
        return {session_id: free[code] for session_id, code in self._types(course)}

    def along(self, course: int, way: Itinerary) -> Placement | None:
        """With people and rooms."""
        now = self._now(course)
        found = people(now, priced(problem_of(now), way))
        return None if found is None else _placed(now, found)

    def needs(self, course: int) -> Mapping[str, Needs]:
        """Those who hold the people and rooms that the course would need."""
        bare, now = self._bare(course), self._now(course)
        held: Held = {}
        for other, takings in self._taken.items():
            for taking in takings:
                held.setdefault(taking.resource_id, []).append((other, taking))
        kinds = {
            code: list(_needs(kind.demand, bare.clinic(kind), now.clinic(kind), held))
            for code, kind in bare.kinds.items()
        }
        return {session_id: kinds[code] for session_id, code in self._types(course)}

    def uses(self, course: int) -> Uses:
        """Of the people and rooms of its location; none of a group, which may be joined."""
        bare, where = self._bare(course), self.desks[course].course.row.location_id
        kinds = {
            code: [] if kind.visit.group else list(_uses(where, kind.demand, bare.clinic(kind)))
            for code, kind in bare.kinds.items()
        }
        return {session_id: kinds[code] for session_id, code in self._types(course)}

    def put(self, course: int, placement: Placement) -> None:
        """Let it take up its people and rooms."""
        found: CoursePlan = placement.plan
        desk = self.desks[course]
        timeline, patient_id = desk.loaded.site.timeline, desk.course.row.patient_id
        own = [of_patient(patient_id, timeline, each.start, each.end) for each in found.sessions]
        taken: list[Taking] = []
        for each in found.sessions:
            group = planned(desk, each)
            if group is not None:
                if self._begun.enter(course, group):
                    self._scratch.put(group.id, group.takings)
                taken += group.takings
            elif each.group is not None:
                own.append(place_in(each.group, timeline))
            else:
                own += each.takings
                taken += each.takings
        self._taken[course] = tuple(taken)
        self._scratch.put(course, own)

    def lift(self, course: int, placement: Placement) -> None:
        """Give them back; what a group takes up when the last of its courses goes."""
        del placement, self._taken[course]
        self._scratch.lift(course)
        for group in self._begun.leave(course):
            self._scratch.lift(group.id)

    def _now(self, course: int) -> Desk:
        return self._begun.beside(self._scratch.desk(self.desks[course]))

    def _bare(self, course: int) -> Desk:
        return self._scratch.desk(self.desks[course], bare=True)

    def _problem(self, course: int) -> Problem:
        if course not in self._problems:
            self._problems[course] = problem_of(self._bare(course))
        return self._problems[course]

    def _types(self, course: int) -> list[tuple[str, str]]:
        """The type of visit of each session that is wanted."""
        desk = self.desks[course]
        return [(str(desk.session_id(spec)), spec.visit_type) for spec in desk.wanted]


def _uses(location_id: UUID, demand: Demand, bare: Clinic) -> Iterator[Use]:
    """What a visit takes up: whoever is merely present is taken up by nobody."""
    starts = exact_starts(demand, bare)
    for thread, count in demand.counts.items():
        if thread.present:
            continue
        for stretch in thread.stretches:
            slots = spread(starts, stretch.start, stretch.end)
            offers: dict[Hashable, tuple[int, int]] = {
                (each.resource_id, units): (each.free(units) & each.serves[thread.selector] & slots, 1)
                for each in bare.pool(thread)
                for units in range(1, each.units + 1)
            }
            yield Use((location_id, thread.selector), stretch.start, stretch.end, offers, count)


def _needs(demand: Demand, bare: Clinic, now: Clinic, held: Held) -> Iterator[Sequence[Lane]]:
    """Who could serve each thread of a visit, alone in the clinic and now; who is merely present is nobody's rival.

    Nor is anybody at a start at which the visit joins a group.
    """
    begun = [Lane(joined_starts(demand, now), 0, ())] if now.groups else []
    for thread in demand.counts:
        pool = bare.pools.get(thread.selector)
        if thread.present:
            continue
        if pool is not None and len(thread.stretches) == 1 and thread.selector not in bare.pins:
            # The rooms may change places, so that together they are one lane.
            blocks = _blocks(thread.around(pool.buffers), held, pool.rooms)
            able, free = thread_starts(thread, bare), thread_starts(thread, now)
            yield [*begun, Lane(able, free, blocks, max(2, len(pool.rooms)))]
            continue
        yield begun + [
            Lane(
                able,
                now.calendars[each.resource_id].starts(thread),
                _blocks(thread.around(each.buffers), held, (each.resource_id,)),
                each.units,
            )
            for each, able in bare.able(thread)
        ]


def _blocks(stretches: Sequence[Stretch], held: Held, who: Sequence[UUID]) -> tuple[Block, ...]:
    """The starts at which the stretches would meet what each course takes of these."""
    return tuple(
        Block(course, taking.start - stretch.end + 1, taking.end - stretch.start)
        for each in who
        for course, taking in held.get(each, ())
        if taking.units != 0
        for stretch in stretches
    )


def _without_remainders(problem: Problem) -> Problem:
    return replace(problem, weights=replace(problem.weights, room_remainders=0, therapist_remainders=0))


def _placement(desk: Desk, narrowed: Callable[[Problem], Problem] = lambda it: it) -> Placement | None:
    found = solve(desk, narrowed=narrowed, glance=True)
    return _placed(desk, found[0]) if found else None


def _placed(desk: Desk, found: CoursePlan) -> Placement:
    sessions, origin = found.sessions, desk.loaded.site.timeline.origin
    takings = [taking for each in sessions for taking in each.takings if taking.units != 0]
    days = frozenset((each.start - origin).days for each in sessions)
    return Placement(found.plan.cost, days, found, sum(each.end - each.start for each in takings))
