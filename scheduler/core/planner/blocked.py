"""Why no plan exists, in the simplest stable words: the first session with which the course becomes impossible."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from datetime import date, timedelta
from typing import Literal

import numpy as np

from scheduler.core.planner.explain import feasible
from scheduler.core.planner.glance import Glance
from scheduler.core.planner.grid import Bools, Ints
from scheduler.core.planner.leaves import follow
from scheduler.core.planner.planes import OPEN, Choice, Planes, Sheet, possible
from scheduler.core.planner.problem import Blocked, Leaf, Main, Problem

Days = tuple[tuple[date, int], ...]


def blocked(problem: Problem, *, first: int | None = None) -> Blocked | None:
    """The first session that cannot be placed after the ones before it; None when a plan exists. `first`: `feasible`'s.

    Its days are those that the gaps, or its window, leave after the starts that the sessions before it may have; which
    person serves them, and spans, are not asked there.
    """
    ids = [visit.session_id for visit in problem.visits()]
    longest = Glance(Planes(problem)).impossible or len(ids)
    if feasible(_beginning(problem, longest), first=first):
        return None
    length = _shortest(problem, longest, first)
    beginning = _beginning(problem, length)
    days = _Reach(beginning).days_of_last()
    return Blocked(ids[length - 1], _cause(beginning, days), days)


def _shortest(problem: Problem, longest: int, first: int | None) -> int:
    """How many sessions the shortest beginning has that is impossible, as that of so many is.

    Where the days alone tell, it is mostly that one. A plan for more sessions holds one for fewer, so that otherwise it
    is found by halving.
    """
    if longest == 1 or feasible(_beginning(problem, longest - 1), first=first):
        return longest
    shorter = range(1, longest)
    return 1 + bisect_left(shorter, 1, key=lambda length: not feasible(_beginning(problem, length), first=first))


def _beginning(problem: Problem, length: int) -> Problem:
    """The problem of the first `length` sessions alone."""
    mains: list[Main] = []
    for main in problem.mains:
        if length > 0:
            mains.append(main if length > 1 else replace(main, leaf=None))
            length -= 1 if main.leaf is None else 2
    ids = {main.session_id for main in mains} | {main.leaf.session_id for main in mains if main.leaf is not None}
    return replace(
        problem,
        mains=tuple(mains),
        spans=tuple(span for span in problem.spans if span.last < len(mains)),
        caps=tuple(replace(cap, last=min(cap.last, len(mains) - 1)) for cap in problem.caps if cap.first < len(mains)),
        discords=tuple(each for each in problem.discords if {session_id for session_id, _ in each} <= ids),
        pinned={session_id: slot for session_id, slot in problem.pinned.items() if session_id in ids},
    )


def _cause(problem: Problem, days: Days) -> Literal["no_start", "no_fit", "continuity", "span", "cap"]:
    if not any(starts for _, starts in days):
        return "no_start"
    if feasible(replace(problem, continuity="none")):
        return "continuity"
    if feasible(replace(problem, spans=())):
        return "span"
    return "cap" if feasible(replace(problem, spans=(), caps=())) else "no_fit"


class _Reach:
    """Which starts are left to each session by the ones before it, as far as neighbors tell."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._planes = problem, Planes(problem)
        self._lanes: tuple[Choice, ...] = ((OPEN,) * len(self._planes.roles),)

    def days_of_last(self) -> Days:
        """The days left to the last session, and its own starts on each."""
        place = len(self._problem.mains) - 1
        main = self._problem.mains[place]
        if main.leaf is None:
            sheet = self._sheet(main)
            return self._counted(self._days_of(place), sheet.days[np.nonzero(possible(sheet.cost))[1]])
        options = self._planes.options(main.leaf, (), self._lanes, self._planes.whole)
        return self._counted(self._days_of_leaf(place, main, main.leaf), options.day[possible(options.cost[:, 0])])

    def _sheet(self, main: Main) -> Sheet:
        return self._planes.sheet(main, (), self._lanes, self._planes.whole)

    def _counted(self, days: set[int], days_of_starts: Ints) -> Days:
        first = self._problem.grid.first_day
        return tuple((first + timedelta(days=day), int((days_of_starts == day).sum())) for day in sorted(days))

    def _starts_of(self, place: int) -> Bools:
        """[rows, days] the starts of a main session that are left."""
        sheet = self._sheet(self._problem.mains[place])
        left: Bools = possible(sheet.cost[:, :, 0]) & np.isin(sheet.days, list(self._days_of(place)))
        return left

    def _days_of(self, place: int) -> set[int]:
        """The days that the gap leaves to a main session."""
        if place == 0:
            return set(self._sheet(self._problem.mains[0]).days.tolist())
        before = self._problem.mains[place - 1]
        starts, leaf = self._starts_of(place - 1), follow(self._planes, before, (), self._lanes, self._planes.whole)
        days: set[int] = set()
        for gap in self._planes.gaps(place - 1):
            some = starts & possible(leaf.after(gap)[:, :, 0]) if leaf else starts
            days.update((self._sheet(before).days[some.any(axis=0)] + gap).tolist())
        return days

    def _days_of_leaf(self, place: int, main: Main, leaf: Leaf) -> set[int]:
        """The days that the window leaves to the leaf of a main session."""
        reach, slots = main.reach(leaf), self._sheet(main).slot[self._starts_of(place)]
        if not len(slots):
            return set()
        first = self._planes.calendar.days_of(slots + reach.soonest)
        last = self._planes.calendar.days_of(slots + reach.latest)
        if not leaf.same_day:
            first = np.maximum(first, self._planes.calendar.days_of(slots) + 1)
        return {
            day for low, high in set(zip(first.tolist(), last.tolist(), strict=True)) for day in range(low, high + 1)
        }
