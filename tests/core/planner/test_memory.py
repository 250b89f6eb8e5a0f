"""The states that keep caps: they forbid the steps that a count of days forbids, and no others."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from scheduler.core.planner import Cap, Problem
from scheduler.core.planner.memory import FORBIDDEN, Memory
from scheduler.core.planner.planes import Planes
from tests.core.planner.instances import ruled


def one_too_many(problem: Problem, cap: Cap, days: Sequence[int], monday: int) -> bool:
    """Whether the last of these days brings a cap one session too many, of which some can still be moved."""
    last = len(days) - 1
    if not cap.first <= last <= cap.last:
        return False
    inside = [
        place
        for place in range(cap.first, last + 1)
        if (
            days[last] - days[place] < cap.days
            if cap.days
            else (days[last] + monday) // 7 == (days[place] + monday) // 7
        )
    ]
    return len(inside) > cap.most and problem.judged(*(problem.mains[place].session_id for place in inside))


def test_a_step_is_forbidden_where_a_count_of_days_forbids_it() -> None:
    seen: Counter[bool] = Counter()
    for seed in range(80):
        problem, rng = ruled(seed), random.Random(seed)
        planes = Planes(problem)
        memory, monday = Memory(planes), planes.calendar.weekday(0)
        assert memory.idle == (not problem.caps)
        for _ in range(0 if memory.idle else 30):
            state, days = 0, [rng.randrange(14)]
            for place in range(len(problem.mains) - 1):
                gap = rng.choice(planes.gaps(place))
                state = memory.step(place, gap, days[-1], state)
                days.append(days[-1] + gap)
                forbidden = any(one_too_many(problem, cap, days, monday) for cap in problem.caps)
                assert (state == FORBIDDEN) == forbidden, (seed, days)
                seen[forbidden] += 1
                if forbidden:
                    break
    assert min(seen.values()) > 150
