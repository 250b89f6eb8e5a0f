"""The ways around a broken rule: together they lose no lawful plan, and none of them leads to the broken one again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import combinations, pairwise
from random import Random

import pytest

from scheduler.core.bitmap import SLOT, SLOT_MINUTES
from scheduler.core.civil import to_local
from scheduler.core.planner import Cap, Discord, Leaf, Problem, Span, Window
from scheduler.core.planner.clashes import first_clash
from scheduler.core.planner.dp import Itinerary
from scheduler.core.planner.planes import Bars, Planes
from tests.core.planner.handmade import course, leaf, main
from tests.core.planner.instances import grid

#: Clocks go forward on the first Sunday; the grid begins on a Thursday.
WHERE = grid("America/New_York", date(2030, 3, 7), days=24)
DAY = 288
Starts = dict[str, int]


def day(slot: int) -> date:
    return to_local(WHERE.origin + slot * SLOT, WHERE.zone).date()


def faults(problem: Problem, starts: Starts) -> set[str]:
    """The rules that bind sessions which need not be neighbors, as their documents have them."""
    return {name for name, bound in (*_of_mains(problem, starts), *_of_all(problem, starts)) if _free(problem, bound)}


def _free(problem: Problem, names: Iterable[str]) -> bool:
    return any(name not in problem.pinned for name in names)


def _of_mains(problem: Problem, starts: Starts) -> Iterator[tuple[str, Sequence[str]]]:
    """Each rule that is broken, and whom it binds."""
    names = [each.session_id for each in problem.mains]
    days = [day(starts[name]) for name in names]
    for span in problem.spans:
        if not span.min_days <= (days[span.last] - days[span.first]).days <= span.max_days:
            yield "span", (names[span.first], names[span.last])
    for cap in problem.caps:
        for first in range(cap.first, cap.last - cap.most + 1):
            one, other = days[first], days[first + cap.most]
            mondays = [each - timedelta(days=each.weekday()) for each in (one, other)]
            if cap.days is None and mondays[0] == mondays[1]:
                yield "week", names[first : first + cap.most + 1]
            if cap.days is not None and other < one + timedelta(days=cap.days):
                yield "cap", names[first : first + cap.most + 1]


def _of_all(problem: Problem, starts: Starts) -> Iterator[tuple[str, Sequence[str]]]:
    ends = {each.session_id: starts[each.session_id] + each.minutes // SLOT_MINUTES for each in problem.visits()}
    for one, other in combinations(problem.visits(), 2):
        names = one.session_id, other.session_id
        if starts[names[0]] < ends[names[1]] and starts[names[1]] < ends[names[0]]:
            yield "overlap", names
        keeping_off = any(isinstance(each, Leaf) and not each.same_day for each in (one, other))
        if keeping_off and isinstance(one, Leaf) != isinstance(other, Leaf):
            yield from [("day", names)] if day(starts[names[0]]) == day(starts[names[1]]) else []
    for discord in problem.discords:
        if all(starts[name] == slot for name, slot in discord):
            yield "discord", [name for name, _ in discord]


def placed(rng: Random, problem: Problem) -> Starts:
    """The sessions at odd times: main sessions one after the other, leaves near their own."""
    found, slot = {}, rng.randrange(DAY, 6 * DAY)
    for each in problem.mains:
        found[each.session_id] = slot
        if each.leaf is not None:
            found[each.leaf.session_id] = slot + rng.choice((0, 5, 11, 12, 13, DAY, DAY + 6, 2 * DAY, 2 * DAY + 12))
        slot += rng.choice((12, 13, DAY - 1, DAY, 2 * DAY, 2 * DAY + 11, 3 * DAY, 7 * DAY))
    return found


def nudged(rng: Random, problem: Problem, starts: Starts) -> Starts | None:
    """Some of them elsewhere, mostly by little; None where main sessions would change places."""
    found = dict(starts)
    free = sorted(found.keys() - problem.pinned.keys())
    for name in rng.sample(free, min(len(free), rng.choice((1, 1, 2, 3)))):
        by = rng.choice((1, 6, 11, 12, 13, 17, 18, 19, DAY, 2 * DAY, 7 * DAY)) * rng.choice((1, -1))
        found[name] += by
    slots = [found[each.session_id] for each in problem.mains]
    inside = all(DAY <= slot < WHERE.slots - DAY for slot in found.values())
    return found if inside and all(one < other for one, other in pairwise(slots)) else None


def odd(rng: Random) -> tuple[Problem, Starts]:
    """A course with one rule or two that its own starts may break."""
    count, window = rng.choice((2, 3, 4)), Window(0, 0, 3 * 24 * 60, "start")
    mains = []
    for number in range(count):
        hung = leaf(f"talk {number}", 0, window, minutes=rng.choice((30, 60)), same_day=rng.random() < 0.5)
        minutes, gap = rng.choice((55, 60, 90)), (0, 1, 9) if number else None
        mains.append(main(f"dose {number}", 0, gap, minutes=minutes, leaf=hung if rng.random() < 0.5 else None))
    problem, last = course(*mains, grid=WHERE), count - 1
    starts, kind = placed(rng, problem), rng.choice(("span", "cap", "week", "discord", "none"))
    spans = (Span(0, last, rng.randrange(2, 5), rng.randrange(3)),) if kind == "span" else ()
    days = {"cap": rng.randrange(1, 6), "week": None}
    caps = (Cap(0, last, rng.randrange(1, count), days[kind]),) if kind in days else ()
    together = rng.sample(sorted(starts), rng.choice((2, min(3, len(starts)))))
    discords: tuple[Discord, ...] = (frozenset((name, starts[name]) for name in together),) if kind == "discord" else ()
    share = rng.choice((0, 0.2, 0.8))
    pinned = {name: starts[name] for name in starts if rng.random() < share}
    return course(*mains, grid=WHERE, spans=spans, caps=caps, discords=discords, pinned=pinned), starts


def itinerary(problem: Problem, starts: Starts) -> Itinerary:
    leaves = [starts[each.leaf.session_id] for each in problem.mains if each.leaf is not None]
    return Itinerary(tuple(starts[each.session_id] for each in problem.mains), tuple(leaves))


def keeps_off(starts: Starts, bars: Bars) -> bool:
    return not any(first <= starts[name] < past for name, first, past in bars)


@pytest.mark.slow
def test_the_ways_around_a_clash_lose_no_lawful_plan_and_lead_away_from_it() -> None:
    rng, seen = Random(5), Counter[str]()
    for _ in range(1200):
        problem, starts = odd(rng)
        starts = nudged(rng, problem, starts) or starts if rng.random() < 0.3 else starts
        wrong = faults(problem, starts)
        branches = first_clash(Planes(problem), itinerary(problem, starts))
        assert (branches is not None) == bool(wrong), (wrong, problem, starts)
        if branches is None:
            continue
        seen.update(wrong)
        assert not any(keeps_off(starts, bars) for bars in branches)
        for _ in range(25):
            other = nudged(rng, problem, starts)
            if other is not None and not faults(problem, other):
                seen["lawful"] += 1
                assert any(keeps_off(other, bars) for bars in branches), (wrong, problem, starts, other, branches)
    assert min(seen[each] for each in ("span", "cap", "week", "day", "overlap", "discord")) > 50, seen
    assert seen["lawful"] > 1000, seen
