"""A quick try at some lawful plan, along days that `glance` has found: what it finds is one, and it may well miss one.

From the last main session back to the first, so that days never lead nowhere: only hours and caps make it turn back.
Of each day it tries the first start that fits.
"""

from __future__ import annotations

from scheduler.core.bitmap import SLOT_MINUTES, bits, dilate
from scheduler.core.planner.glance import Glance
from scheduler.core.planner.problem import Leaf, Main, Problem

#: So many times it looks at a day of some session before it gives up.
PATIENCE = 100
#: Past the end of every course.
NEVER = 1 << 40


def attempt(problem: Problem, glance: Glance) -> dict[str, int] | None:
    """The slot of each session in some lawful plan; None when none was come across."""
    plain = problem.continuity != "required" and not problem.pinned and not problem.discords
    if not plain or glance.impossible is not None:
        return None
    for main in problem.mains:
        if main.gap is not None and main.gap.clinic_days:
            return None
        if main.leaf is not None and not main.leaf.before_next and main is not problem.mains[-1]:
            return None
    tried = _Attempt(problem, glance)
    return tried.slots if tried.placed(len(problem.mains) - 1, NEVER, NEVER) else None


class _Attempt:
    """Sessions placed so far: those from some main session on."""

    def __init__(self, problem: Problem, glance: Glance) -> None:
        self._problem, self._glance, self._calendar = problem, glance, glance.calendar
        self._patience = PATIENCE
        self._days = [0] * len(problem.mains)
        #: Main sessions, by place, that could not be placed before a day of the next one.
        self._dead: set[tuple[int, int]] = set()
        self.slots: dict[str, int] = {}

    def placed(self, place: int, next_day: int, next_slot: int) -> bool:
        """Whether the main sessions up to this place could be placed before the next one."""
        if place < 0:
            return True
        if (place, next_day) in self._dead:
            return False
        for day in self._candidates(place, next_day):
            self._days[place] = day
            if not (self._keeps_spans(place) and self._keeps_caps(place)):
                continue
            slot = self._first_start(place, next_day, next_slot)
            if slot is not None and self.placed(place - 1, day, slot):
                return True
        self._dead.add((place, next_day))
        return False

    def _first_start(self, place: int, next_day: int, next_slot: int) -> int | None:
        """A start on its day from which the next main session is reached: to those before it, one is like another.

        It is then placed, with a leaf before the next one.
        """
        self._patience -= 1
        if self._patience < 0:
            return None
        main, day = self._problem.mains[place], self._days[place]
        first, past = self._calendar.midnight(day), self._calendar.midnight(day + 1)
        if next_slot != NEVER:
            least, most = main.until(self._problem.mains[place + 1])
            first, past = first if most is None else max(first, next_slot - most), min(past, next_slot - least + 1)
        if first >= past:
            return None
        starts = _among(self._glance.starts(main), first, past)
        if starts and main.leaf is not None:
            starts &= self._followed(main, main.leaf, (first, past), (day, next_day, next_slot))
        if not starts:
            return None
        self.slots[main.session_id] = slot = first + _lowest(starts)
        if main.leaf is not None:
            self._follow(main, main.leaf, slot, (day, next_day, next_slot))
        return slot

    def _candidates(self, place: int, next_day: int) -> list[int]:
        """Days of a main session from which the next one's is reached, and which the ones before it lead to."""
        days = self._glance.reached[place]
        if next_day == NEVER:
            return list(bits(days))
        gap = self._problem.mains[place + 1].gap
        gaps = range(0) if gap is None else range(gap.min, gap.max + 1)
        near = sorted(gaps, key=lambda days: abs(days - (gap.target if gap else 0)))
        return [next_day - apart for apart in near if apart <= next_day and days >> (next_day - apart) & 1]

    def _followed(self, main: Main, leaf: Leaf, within: tuple[int, int], around: tuple[int, int, int]) -> int:
        """Of the slots from the first up to the second those from which a leaf is reached before the next one."""
        soonest, _, latest = main.reach(leaf)
        first, past = self._room_of(leaf, *around)
        first, past = max(first, within[0] + soonest), min(past, within[1] + latest)
        if soonest > latest or first >= past:
            return 0
        talks = _among(self._glance.starts(leaf), first, past) << (first - within[0] - soonest)
        return dilate(talks, latest - soonest + 1)

    def _follow(self, main: Main, leaf: Leaf, slot: int, around: tuple[int, int, int]) -> None:
        """Place a leaf as soon as can be after its main session, which has one."""
        soonest, _, latest = main.reach(leaf)
        first, past = self._room_of(leaf, *around)
        first, past = max(first, slot + soonest), min(past, slot + latest + 1)
        self.slots[leaf.session_id] = first + _lowest(_among(self._glance.starts(leaf), first, past))

    def _room_of(self, leaf: Leaf, day: int, next_day: int, next_slot: int) -> tuple[int, int]:
        """The slots at which a leaf may start, between its main session's day and the next main session."""
        first = self._calendar.midnight(day if leaf.same_day else day + 1)
        if next_slot == NEVER:
            return first, NEVER
        past = next_slot - leaf.minutes // SLOT_MINUTES + 1
        return first, past if leaf.same_day else min(past, self._calendar.midnight(next_day))

    def _keeps_spans(self, place: int) -> bool:
        """Whether the spans from this main session to later ones are kept."""
        return all(
            span.min_days <= self._days[span.last] - self._days[place] <= span.max_days
            for span in self._problem.spans
            if span.first == place
        )

    def _keeps_caps(self, place: int) -> bool:
        """Whether the days from that of this main session on hold no more of the later ones than they may."""
        weekday = self._calendar.weekday(0)
        return not any(
            cap.counts_both(self._days[place], self._days[place + cap.most], weekday)
            for cap in self._problem.caps
            if cap.first <= place <= cap.last - cap.most
        )


def _among(starts: int, first: int, past: int) -> int:
    """Those of the slots from `first` up to `past`, counted from there."""
    return starts >> first & ((1 << (past - first)) - 1)


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
