"""How far a course may reach: no lawful chain of sessions goes beyond it, and a chain comes up to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from random import Random

from scheduler.core.course import SessionSpec
from scheduler.core.course_limits import OPEN_ENDED_DAYS, reach_of

BEGIN = date(2026, 3, 2)


def main(index: int, gap: tuple[int, int, int | None] | None) -> SessionSpec:
    return SessionSpec(index, "p", "s", 1, "visit", "main", index - 1 if index else None, gap)


def day(offset: int) -> date:
    return BEGIN + timedelta(days=offset)


def chains(specs: Sequence[SessionSpec], stands: Mapping[int, int], loose: set[int]) -> Iterator[list[int]]:
    """The days of every lawful course: each gap that concerns a free session is kept, what is loose stays or moves."""

    def onward(chosen: list[int]) -> Iterator[list[int]]:
        place = len(chosen)
        if place == len(specs):
            yield chosen
            return
        gap = specs[place].gap or (0, 0, OPEN_ENDED_DAYS)
        since = chosen[-1] if chosen else 0
        fixed = place in stands and place not in loose
        both = fixed and place > 0 and place - 1 in stands and place - 1 not in loose
        days = {since + apart for apart in range(gap[0], (gap[2] or 0) + 1)}
        if fixed:
            days = {stands[place]} if both or not place or stands[place] in days else set()
        elif place in loose:
            days.add(stands[place])  # held there though nobody could book it today
        for each in sorted(days):
            yield from onward([*chosen, each])

    return onward([])


def test_no_lawful_course_reaches_further() -> None:
    rng = Random(7)
    reached = 0
    for _ in range(300):
        number = rng.randint(1, 4)
        gaps = [(low := rng.randint(0, 2), low, low + rng.randint(0, 3)) for _ in range(number)]
        specs = [main(place, gap) for place, gap in enumerate(gaps)]
        stands = {place: rng.randint(0, 14) for place in range(number) if rng.random() < 0.4}
        loose = {place for place in stands if rng.random() < 0.5}
        given = {place: day(offset) for place, offset in stands.items()}
        latest = reach_of(specs, BEGIN, BEGIN, given, loose).latest
        ends = [max(each) for each in chains(specs, stands, loose)]
        assert latest is not None
        assert not ends or day(max(ends)) <= latest
        reached += bool(ends) and day(max(ends)) == latest
    assert reached > 100


def test_what_has_no_limit_that_counts_days_is_not_known() -> None:
    bounded, free = main(0, (0, 0, 5)), main(0, None)
    opened = replace(main(1, (1, 2, 3)), clinic_days=True)
    later = main(1, (1, 2, None))
    assert reach_of([free], BEGIN, BEGIN, {}).latest is None
    assert reach_of([bounded, opened], BEGIN, BEGIN, {}).latest is None
    assert reach_of([bounded, later], BEGIN, BEGIN, {}).latest == day(5 + OPEN_ENDED_DAYS)
    assert reach_of([free, later], BEGIN, BEGIN, {0: day(9)}).latest == day(9 + OPEN_ENDED_DAYS)
    assert reach_of([free, later], BEGIN, BEGIN, {0: day(9)}, {0}).latest is None
    assert reach_of([bounded, opened, main(2, (1, 1, 2))], BEGIN, BEGIN, {1: day(8)}).latest == day(10)


def test_the_targets_are_counted_from_what_stands_and_never_in_the_past() -> None:
    specs = [main(0, (0, 0, 5)), main(1, (1, 3, 7)), main(2, (1, 3, 7))]
    assert reach_of(specs, BEGIN, BEGIN, {}).target == day(6)
    assert reach_of(specs, BEGIN, BEGIN, {0: day(2)}).target == day(8)
    assert reach_of(specs, BEGIN, day(20), {0: day(2)}).target == day(23)
