"""What the days alone rule out, in bitmaps of days: a quick proof that there is no plan. Its silence proves nothing.

From the first main session to the last: the days that it may have after one of the days of the session before it, with
a leaf between them. Hours, caps and who serves whom are not looked at, so that no plan is ever ruled out.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from functools import reduce
from operator import or_

from scheduler.core.bitmap import SLOTS_PER_DAY, dilate
from scheduler.core.planner.planes import Planes
from scheduler.core.planner.problem import Leaf, Main, Problem, Visit


class Glance:
    """The days of one problem."""

    def __init__(self, planes: Planes) -> None:
        self._planes, self._problem, self.calendar = planes, planes.problem, planes.calendar
        #: The day of bit 0: a session that stands may do so before the grid begins.
        self._first = min([0, *(self.calendar.local(slot)[0] for slot in self._problem.pinned.values())])
        #: How many sessions, counted from the first, already have no plan together; None: nothing is known.
        self.impossible: int | None = None
        #: The first day on which the last main session may be; where nothing is ruled out.
        self.soonest = 0
        #: For each main session the days that those before it leave, and that have a leaf after them; bit 0 is day 0
        #: unless something stands before the grid.
        self.reached: list[int] = []
        self._look()

    def _look(self) -> None:
        sessions, reached = 0, self.reached
        for place, main in enumerate(self._problem.mains):
            here = self._days(main) & (self._next(place - 1, reached[-1]) if place else -1)
            for span in self._problem.spans:
                if span.last == place and self._judged(self._problem.mains[span.first], main):
                    here &= _later(reached[span.first], range(span.min_days, span.max_days + 1))
            sessions += 1
            if here and main.leaf is not None:
                here &= self._followed(main, main.leaf)
                sessions += 1
            if not here:
                self.impossible = sessions
                return
            reached.append(here)
        self.soonest = (reached[-1] & -reached[-1]).bit_length() - 1 + self._first

    def _judged(self, *visits: Visit) -> bool:
        return self._problem.judged(*(visit.session_id for visit in visits))

    def _next(self, place: int, here: int) -> int:
        """The days that gap and leaf leave to the next main session after these days of this one."""
        (main, following), gaps = self._problem.mains[place : place + 2], self._planes.gaps(place)
        if not self._judged(main, following):
            return -1
        leaf = main.leaf
        if leaf is None or not leaf.before_next or not self._judged(main, leaf) or not self._judged(leaf, following):
            return _later(here, gaps)
        found, talks, apart = 0, self._days(leaf), 0 if leaf.same_day else 1
        for after in _offsets(main, leaf):
            found |= _later(here & (talks >> after), range(max(gaps.start, after + apart), gaps.stop))
        return found

    def _followed(self, main: Main, leaf: Leaf) -> int:
        """The days of a main session that has a leaf after it."""
        if not self._judged(main, leaf):
            return -1
        talks, found = self._days(leaf), 0
        for after in _offsets(main, leaf):
            found |= talks >> after
        if main.session_id in self._problem.pinned:
            return found
        key = "followed days", self._planes.kind(main), self._planes.kind(leaf), leaf.window, leaf.same_day
        return found & self._planes.once(key, lambda: self._days_of(self.starts_before(main, leaf)))

    def _days(self, visit: Visit) -> int:
        """The days on which a session has a start by itself."""
        pin = self._problem.pinned.get(visit.session_id)
        if pin is not None:
            return 1 << (self.calendar.local(pin)[0] - self._first)
        return self._planes.once(("days", self._planes.kind(visit)), lambda: self._days_of(self.starts(visit)))

    def _days_of(self, starts: int) -> int:
        return self.calendar.days_with(starts) << -self._first

    def starts(self, visit: Visit) -> int:
        """The slots at which a session may start by itself."""
        return self._planes.once(("starts", self._planes.kind(visit)), lambda: self._starts(visit))

    def starts_before(self, main: Main, leaf: Leaf) -> int:
        """The slots at which a main session may start so that its leaf may start at some hour within its window."""
        found = self.starts(main)
        if leaf.session_id in self._problem.pinned:
            return found
        soonest, _, latest = main.reach(leaf)
        return found & dilate(self.starts(leaf) >> soonest, latest - soonest + 1) if soonest <= latest else 0

    def _starts(self, visit: Visit) -> int:
        found = visit.starts & self.calendar.rows
        if self._problem.continuity == "required":
            for role in self._planes.roles:
                if role in visit.by:
                    found &= _by_any(visit, role, self._problem.candidates[role])
        return found


def ruled_out(problem: Problem) -> bool:
    """Whether the days alone prove that the problem has no plan; most that have none are known by that."""
    return Glance(Planes(problem)).impossible is not None


def _offsets(main: Main, leaf: Leaf) -> range:
    """How many days after its main session a leaf may be; where clocks change, a window reaches into one day more."""
    return range(0 if leaf.same_day else 1, main.reach(leaf).latest // SLOTS_PER_DAY + 3)


def _by_any(visit: Visit, role: str, people: Iterable[Hashable]) -> int:
    return reduce(or_, (visit.by[role].get(person, 0) for person in people), 0)


def _later(days: int, gaps: range) -> int:
    """The days that are so many days after some of these."""
    if not gaps:
        return 0
    spread, run = days, 1
    while run < len(gaps):
        step = min(run, len(gaps) - run)
        spread |= spread << step
        run += step
    return spread << gaps.start
