"""Peer-style booking of a course, as front desks and calendar products do it: imitations, not runs of a product."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from scheduler.core.bitmap import SLOT_MINUTES
from scheduler.core.planner import Leaf, Main, Plan, Problem, Span
from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.grid import Calendar, calendar_of
from scheduler.core.planner.pricing import priced

#: How many later first days a patient desk tries before it gives up.
RESTARTS = 28
#: (day, slot), in order of time.
Starts = dict[int, list[int]]


class Desk:
    """One course at the front desk: the starts that each visit is offered, day by day."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.calendar: Calendar = calendar_of(problem.grid)
        self._offers: dict[int, Starts] = {}

    def offers(self, visit: Main | Leaf) -> Starts:
        """The visit's own starts by local day."""
        if visit.starts not in self._offers:
            found: Starts = {}
            columns = self.calendar.slot.T.tolist()
            for day, column in enumerate(columns):
                slots = [slot for slot in column if slot >= 0 and visit.starts >> slot & 1]
                if slots:
                    found[day] = slots
            self._offers[visit.starts] = found
        return self._offers[visit.starts]

    @cached_property
    def first_days(self) -> list[int]:
        """The days on which the course could begin."""
        return sorted(self.offers(self.problem.mains[0]))

    def earliest_fit(self, restart: int = 0) -> Plan | None:
        """Visit by visit, each on the free day nearest to its target, at the first hour; nothing is ever undone."""
        if restart >= len(self.first_days):
            return None
        slots = [self.offers(self.problem.mains[0])[self.first_days[restart]][0]]
        for place in range(1, len(self.problem.mains)):
            slot = next(self._next_visits(place, slots), None)
            if slot is None:
                return None
            slots.append(slot)
        return self._with_talks(slots)

    def earliest_fit_with_restarts(self) -> Plan | None:
        """The same, begun anew from each later day until a course comes together."""
        tries = (self.earliest_fit(restart) for restart in range(RESTARTS))
        return next((plan for plan in tries if plan is not None), None)

    def repeated_series(self) -> Plan | None:
        """The first dose wherever it goes, the others at the same hour and exactly at their target days."""
        if not self.first_days:
            return None
        start = self.offers(self.problem.mains[0])[self.first_days[0]][0]
        for slot in self._next_visits(1, [start]):
            slots = [start, slot]
            day, minute = self.calendar.local(slot)
            for main in self.problem.mains[2:]:
                day += main.gap.target if main.gap else 0
                same_hour = [each for each in self.offers(main).get(day, []) if self.calendar.local(each)[1] == minute]
                slots += same_hour
            if len(slots) == len(self.problem.mains) and (plan := self._with_talks(slots)) is not None:
                return plan
        return None

    def _next_visits(self, place: int, slots: Sequence[int]) -> Iterator[int]:
        """Lawful starts after the visits so far, the day nearest to the target first, then the earlier hour."""
        main, before, day = self.problem.mains[place], self.problem.mains[place - 1], self._day(slots[-1])
        assert main.gap is not None  # noqa: S101 - every later main session has one
        target = main.gap.target
        for gap in sorted(range(main.gap.min, main.gap.max + 1), key=lambda gap: (abs(gap - target), gap)):
            if any(day + gap - self._day(slots[span.first]) > span.max_days for span in self._ending(place)):
                continue
            for slot in self.offers(main).get(day + gap, []):
                over = slots[-1] + before.minutes // SLOT_MINUTES <= slot
                if over and (before.leaf is None or self._talk(before, slots[-1], slot) is not None):
                    yield slot

    def _ending(self, place: int) -> Iterator[Span]:
        """The spans in which a visit lies."""
        return (span for span in self.problem.spans if span.first < place <= span.last)

    def _with_talks(self, slots: Sequence[int]) -> Plan | None:
        """The course with each talk at its first lawful start."""
        talks = []
        for place, main in enumerate(self.problem.mains):
            if main.leaf is not None:
                talk = self._talk(main, slots[place], slots[place + 1] if place + 1 < len(slots) else None)
                if talk is None:
                    return None
                talks.append(talk)
        return priced(self.problem, Itinerary(tuple(slots), tuple(talks)))

    def _talk(self, main: Main, slot: int, following: int | None) -> int | None:
        leaf = main.leaf
        assert leaf is not None  # noqa: S101 - asked only for sessions that have one
        over, day = slot + main.minutes // SLOT_MINUTES, self._day(slot)
        last = day + 4 if following is None else min(day + 4, self._day(following) - 1)
        for later in range(day + 1, last + 1):
            for talk in self.offers(leaf).get(later, []):
                if leaf.window.min <= (talk - over) * SLOT_MINUTES <= leaf.window.max:
                    return talk
        return None

    def _day(self, slot: int) -> int:
        return self.calendar.local(slot)[0]


#: What is compared, in the order of the table.
PEERS: dict[str, Callable[[Desk], Plan | None]] = {
    "earliest fit": Desk.earliest_fit,
    "with restarts": Desk.earliest_fit_with_restarts,
    "repeat this series": Desk.repeated_series,
}
