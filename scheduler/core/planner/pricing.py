"""What a plan costs, wish by wish, and who its primary persons are."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.grid import calendar_of
from scheduler.core.planner.planes import QUARTER
from scheduler.core.planner.problem import LEVELS, THERAPIST, Leaf, Main, Plan, Problem, Visit


def priced(problem: Problem, itinerary: Itinerary) -> Plan:
    """The itinerary as a plan, with the primary persons that suit it best, the most wanted of equals."""
    leaves = iter(itinerary.leaves)
    starts: dict[str, int] = {}
    for main, slot in zip(problem.mains, itinerary.mains, strict=True):
        starts[main.session_id] = slot
        if main.leaf is not None:
            starts[main.leaf.session_id] = next(leaves)
    bill = _Bill(problem, starts)
    chronological = sorted(starts.items(), key=lambda start: (start[1], start[0]))
    return Plan(tuple(chronological), sum(bill.parts.values()), bill.parts, bill.primaries)


def misses(problem: Problem, starts: Mapping[str, int], role: str) -> list[int]:
    """For each candidate of a role, how many sessions that need it this one does not serve at these starts."""
    visits = [visit for visit in problem.visits() if role in visit.by]
    slots = [starts[visit.session_id] for visit in visits]
    return [
        sum(
            slot < 0 or not visit.by[role].get(person, 0) >> slot & 1 for visit, slot in zip(visits, slots, strict=True)
        )
        for person in problem.candidates[role]
    ]


def remainders(problem: Problem, starts: Mapping[str, int], role: str) -> list[int]:
    """For each candidate of a role, the points of the pieces that this one leaves where it serves, beyond the least."""
    found = [0] * len(problem.candidates[role])
    if role != THERAPIST or not problem.weights.therapist_remainders:
        return found
    for visit in problem.visits():
        slot = starts[visit.session_id]
        for place, person in enumerate(problem.candidates[role]) if slot >= 0 and visit.own_levels else ():
            if visit.by.get(role, {}).get(person, 0) >> slot & 1:
                risen = sum(level >> slot & 1 for level in visit.own_levels.get(person, ()))
                found[place] += problem.weights.therapist_remainders * risen
    return found


class _Primary(NamedTuple):
    """A candidate by place, the points of the sessions that it does not serve, and of what it leaves of its days."""

    place: int
    absence: int
    remainders: int


class _Bill:
    """The points of one set of starts."""

    def __init__(self, problem: Problem, starts: Mapping[str, int]) -> None:
        self._problem, self._weights, self._starts = problem, problem.weights, starts
        self._calendar = calendar_of(problem.grid)
        self._local = {session_id: self._calendar.local(slot) for session_id, slot in starts.items()}
        primaries = {role: self._primary(role) for role in problem.roles() if problem.candidates[role]}
        self.primaries = {role: problem.candidates[role][each.place] for role, each in primaries.items()}
        names = "finish begin gap time_of_day weekday hours persons leaf_delay leaf_hours moved"
        self.parts = dict.fromkeys([*names.split(), *LEVELS], 0)
        self._charge_chain()
        for visit in problem.visits():
            self._charge_levels(visit)
        for main in problem.mains:
            self._charge_main(main)
            if main.leaf is not None:
                self._charge_leaf(main, main.leaf)
        self.parts["moved"] = sum(self._moved(session_id, slot) for session_id, slot in problem.booked.items())
        self.parts["persons"] = sum(each.absence for each in primaries.values())
        self.parts["therapist_remainders"] += sum(each.remainders for each in primaries.values())

    def _primary(self, role: str) -> _Primary:
        """The candidate who costs least, then misses least, the most wanted of equals."""
        missed = misses(self._problem, self._starts, role)
        required = self._problem.continuity == "required"
        worth = 0 if required else self._weights.person(role)
        left = remainders(self._problem, self._starts, role)
        each = [_Primary(place, worth * missed[place], left[place]) for place in range(len(missed))]
        if required:
            return min(each, key=lambda one: (missed[one.place], one.remainders))
        return min(each, key=lambda one: (one.absence + one.remainders, missed[one.place]))

    def _charge_chain(self) -> None:
        mains, weights = self._problem.mains, self._weights
        self.parts["begin"] = weights.begin * self._day(mains[0])
        self.parts["finish"] = weights.finish * self._day(mains[-1])
        for before, main in pairwise(mains):
            self.parts["gap"] += weights.gap * abs(self._apart(before, main) - main.gap.target) if main.gap else 0
            if before.dosing and main.dosing:
                quarters = abs(self._minute(main) - self._minute(before)) // QUARTER
                self.parts["time_of_day"] += min(weights.time_of_day * quarters, weights.time_of_day_cap)

    def _apart(self, before: Main, main: Main) -> int:
        """The days between two main sessions as the gap counts them."""
        days = range(self._day(before), self._day(main))
        if main.gap is None or not main.gap.clinic_days:
            return len(days)
        return sum(not 0 <= day < self._problem.grid.days or self._problem.open_days >> day & 1 for day in days)

    def _charge_levels(self, visit: Visit) -> None:
        slot = self._starts[visit.session_id]
        for name, levels in visit.levels.items():
            risen = sum(slot >= 0 and level >> slot & 1 for level in levels)
            self.parts[name] += getattr(self._weights, name) * risen

    def _charge_main(self, main: Main) -> None:
        liked = self._problem.preferences.weekdays
        if liked is not None and self._calendar.weekday(self._day(main)) not in liked:
            self.parts["weekday"] += self._weights.weekday
        if self._outside(main):
            self.parts["hours"] += self._weights.hours

    def _charge_leaf(self, main: Main, leaf: Leaf) -> None:
        target = self._starts[main.session_id] + main.reach(leaf).target
        self.parts["leaf_delay"] += self._weights.leaf_delay * abs(self._day(leaf) - self._calendar.local(target)[0])
        if self._outside(leaf):
            self.parts["leaf_hours"] += self._weights.leaf_hours

    def _moved(self, session_id: str, booked: int) -> int:
        if self._starts[session_id] == booked:
            return 0
        (day, minute), was, weights = self._local[session_id], self._calendar.local(booked), self._weights
        days = min(abs(day - was[0]), weights.moved_days_cap)
        return weights.moved + weights.moved_day * days + weights.moved_quarter * (abs(minute - was[1]) // QUARTER)

    def _outside(self, visit: Visit) -> bool:
        """Whether the visit leaves the hours that the patient likes."""
        wish, minute = self._problem.preferences, self._minute(visit)
        early = wish.earliest is not None and minute < wish.earliest
        return early or (wish.latest is not None and minute + visit.minutes > wish.latest)

    def _day(self, visit: Visit) -> int:
        return self._local[visit.session_id][0]

    def _minute(self, visit: Visit) -> int:
        return self._local[visit.session_id][1]
