"""A quick try at some lawful plan, along days that `glance` has found: what it finds is one, and it may well miss one.

From the last main session back to the first, so that days never lead nowhere: only hours and caps make it turn back.
Of each day it tries the first start that fits.
"""

from __future__ import annotations

from scheduler.core.bitmap import SLOT_MINUTES, bits
from scheduler.core.planner.glance import Glance
from scheduler.core.planner.problem import Cap, Leaf, Main, Problem

#: So many starts are looked at before it gives up.
PATIENCE = 400
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
        """A start on its day from which the next main session is reached: to those before it, one is like another."""
        midnight, night = (self._calendar.midnight(self._days[place] + more) for more in (0, 1))
        starts = self._glance.starts(self._problem.mains[place]) >> midnight & ((1 << (night - midnight)) - 1)
        for start in bits(starts):
            self._patience -= 1
            if self._patience < 0:
                return None
            if self._fits(place, midnight + start, next_day, next_slot):
                return midnight + start
        return None

    def _candidates(self, place: int, next_day: int) -> list[int]:
        """Days of a main session from which the next one's is reached, and which the ones before it lead to."""
        days = self._glance.reached[place]
        if next_day == NEVER:
            return list(bits(days))
        gap = self._problem.mains[place + 1].gap
        gaps = range(0) if gap is None else range(gap.min, gap.max + 1)
        near = sorted(gaps, key=lambda days: abs(days - (gap.target if gap else 0)))
        return [next_day - apart for apart in near if apart <= next_day and days >> (next_day - apart) & 1]

    def _fits(self, place: int, slot: int, next_day: int, next_slot: int) -> bool:
        """Whether a main session may start there, with a leaf before the next one; they are then placed."""
        main = self._problem.mains[place]
        if next_slot != NEVER:
            gap = self._problem.mains[place + 1].gap
            rest = gap.rest if gap is not None else None
            elapsed = (next_slot - slot) * SLOT_MINUTES
            since = elapsed - (main.minutes if rest is not None and rest.edge == "end" else 0)
            if elapsed < main.minutes or (
                rest is not None and (since < rest.min or (rest.max is not None and since > rest.max))
            ):
                return False
        self.slots[main.session_id] = slot
        return main.leaf is None or self._followed(main, main.leaf, slot, (self._days[place], next_day, next_slot))

    def _followed(self, main: Main, leaf: Leaf, slot: int, around: tuple[int, int, int]) -> bool:
        day, next_day, next_slot = around
        edge = main.minutes if leaf.window.edge == "end" else 0
        first = slot + max(-(-(edge + leaf.window.min) // SLOT_MINUTES), main.minutes // SLOT_MINUTES)
        last = slot + (edge + leaf.window.max) // SLOT_MINUTES
        if next_slot != NEVER:
            last = min(last, next_slot - leaf.minutes // SLOT_MINUTES)
        if not leaf.same_day:
            first = max(first, self._calendar.midnight(day + 1))
            last = last if next_day == NEVER else min(last, self._calendar.midnight(next_day) - 1)
        if first > last:
            return False
        found = (self._glance.starts(leaf) >> first) & ((1 << (last - first + 1)) - 1)
        if found:
            self.slots[leaf.session_id] = first + (found & -found).bit_length() - 1
        return bool(found)

    def _keeps_spans(self, place: int) -> bool:
        """Whether the spans from this main session to later ones are kept."""
        return all(
            span.min_days <= self._days[span.last] - self._days[place] <= span.max_days
            for span in self._problem.spans
            if span.first == place
        )

    def _keeps_caps(self, place: int) -> bool:
        """Whether the days from that of this main session on hold no more of the later ones than they may."""
        return all(self._kept(cap, place) for cap in self._problem.caps if cap.first <= place <= cap.last - cap.most)

    def _kept(self, cap: Cap, place: int) -> bool:
        one, other = self._days[place], self._days[place + cap.most]
        if cap.days is not None:
            return other - one >= cap.days
        monday = -self._calendar.weekday(0)
        return (one - monday) // 7 != (other - monday) // 7
