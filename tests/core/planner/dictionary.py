"""An independent exact planner for courses that are too large to enumerate: a dictionary from states to best plans.

Every team of primary persons is tried by itself. A state is the last main session's start, the days on which the
spans that are still open began, and those of the sessions that caps may still count; nothing is bounded or pruned.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from itertools import product

from scheduler.core.planner import Leaf, Main, Problem
from tests.core.planner.enumeration import (
    At,
    Best,
    choices,
    days,
    follows,
    lone_points,
    pair_points,
    price_of_person,
    rested,
    serves,
)

Team = Mapping[str, Hashable]
#: The slot of the last main session, and the days on which open spans began, then those that caps may count.
State = tuple[int, tuple[int, ...]]
Leg = tuple[int, tuple[int, ...]]
TOO_LONG = (-1,)


def looked_up(problem: Problem) -> Best | None:
    """The least plan of all. For courses without pins whose leaves come before the next main session."""
    roles = [role for role in problem.roles() if problem.candidates[role]]
    people = [problem.candidates[role] for role in roles]
    options = {visit.session_id: choices(problem, visit) for visit in problem.visits()}
    found = [_Table(problem, options, dict(zip(roles, team, strict=True))).best() for team in product(*people)]
    return min((best for best in found if best is not None), default=None)


class _Table:
    def __init__(self, problem: Problem, options: Mapping[str, list[At]], team: Team) -> None:
        self.problem, self.options, self.team = problem, options, team
        self.mains = [self.priced(main) for main in problem.mains]
        self.leaves = [group(self.priced(main.leaf)) if main.leaf else {} for main in problem.mains]
        self.at = [{at.slot: at for _, at in starts} for starts in self.mains]
        self.on_day = [group(starts) for starts in self.mains]
        self.leaf = cache(self.cheapest_leaf)

    def priced(self, visit: Main | Leaf) -> list[tuple[int, At]]:
        """The starts of a session with what each costs by itself, the team's absence included."""
        found = []
        for at in self.options[visit.session_id]:
            absent = [role for role, person in self.team.items() if role in visit.by and not serves(at, role, person)]
            if not absent or self.problem.continuity == "preferred":
                some = [(role, person) for role, person in self.team.items() if role in visit.by]
                prices = (price_of_person(self.problem, at, *each, required=False) for each in some)
                found.append((lone_points(self.problem, at) + sum(prices), at))
        return found

    def best(self) -> Best | None:
        first = self.problem.grid.first_day
        table: dict[State, Best] = {}
        for points, at in self.mains[0]:
            begun = points + self.problem.weights.begin * (at.wall.date() - first).days
            table[at.slot, self.opened((), 0, at)] = Best(begun, (at.slot,), ())
        for place in range(1, len(self.mains)):
            table = self.extended(table, place)
        ends = []
        for (slot, _), best in table.items():
            leaf = self.leaf(len(self.mains) - 1, slot, None)
            if leaf is not None:
                finish = self.problem.weights.finish * (self.at[-1][slot].wall.date() - first).days
                ends.append(Best(best.cost + leaf[0] + finish, best.mains, best.leaves + leaf[1]))
        return min(ends, default=None)

    def extended(self, table: dict[State, Best], place: int) -> dict[State, Best]:
        """The table after one more main session."""
        after: dict[State, Best] = {}
        for (slot, began), best in table.items():
            for points, at in self.within_gap(place, slot):
                opened, step = self.opened(began, place, at), self.step(place, slot, at)
                if step is None or opened == TOO_LONG or not self.below_caps(opened, place):
                    continue
                longer = Best(best.cost + points + step[0], (*best.mains, at.slot), best.leaves + step[1])
                after[at.slot, opened] = min(longer, after.get((at.slot, opened), longer))
        return after

    def within_gap(self, place: int, slot: int) -> Iterator[tuple[int, At]]:
        """The starts of a main session on the days that its gap leaves after the one before."""
        gap, day = self.problem.mains[place].gap, self.at[place - 1][slot].wall.toordinal()
        assert gap is not None
        assert not gap.clinic_days
        for later in range(gap.min, gap.max + 1):
            yield from self.on_day[place].get(day + later, ())

    def step(self, place: int, slot: int, at: At) -> Leg | None:
        """From the main session before, at that slot, to this one: points, and the slot of the leaf between."""
        before = self.at[place - 1][slot]
        if before.ends > at.begins or not rested(before, at):
            return None
        leaf = self.leaf(place - 1, slot, at.slot)
        return None if leaf is None else (leaf[0] + pair_points(self.problem, before, at), leaf[1])

    def opened(self, began: tuple[int, ...], place: int, at: At) -> tuple[int, ...]:
        """The day on which each span began, 0 where that does not matter; TOO_LONG when one is broken here."""
        day = at.wall.toordinal()
        opened = []
        for index, span in enumerate(self.problem.spans):
            start = day if place == span.first else (began[index] if began else 0)
            if place == span.last and not span.min_days <= day - start <= span.max_days:
                return TOO_LONG
            opened.append(start if span.first <= place < span.last else 0)
        recent = (*began[len(self.problem.spans) :], day)
        kept = max((cap.most + 1 for cap in self.problem.caps), default=0)
        return (*opened, *recent[max(len(recent) - kept, 0) :])

    def below_caps(self, opened: tuple[int, ...], place: int) -> bool:
        """Whether a session, the last of the recent ones, is not one too many."""
        recent = opened[len(self.problem.spans) :]
        for cap in self.problem.caps:
            if cap.first + cap.most <= place <= cap.last:
                first, last = recent[-cap.most - 1], recent[-1]
                if last - first < cap.days if cap.days else (first - 1) // 7 == (last - 1) // 7:
                    return False
        return True

    def cheapest_leaf(self, place: int, slot: int, next_slot: int | None) -> Leg | None:
        """Points and slot of the leaf of a main session; no slot when it has none, None when it finds no place."""
        if self.problem.mains[place].leaf is None:
            return 0, ()
        following = None if next_slot is None else self.at[place + 1][next_slot]
        return min(self.lawful_leaves(place, self.at[place][slot], following), default=None)

    def lawful_leaves(self, place: int, main: At, following: At | None) -> Iterator[Leg]:
        near = [at for late in range(5) for at in self.leaves[place].get(main.wall.toordinal() + late, ())]
        for points, at in near:
            free = following is None or (days(at, following) > 0 and at.ends <= following.begins)
            if free and follows(main, at):
                yield points + pair_points(self.problem, main, at), (at.slot,)


def group(starts: list[tuple[int, At]]) -> dict[int, list[tuple[int, At]]]:
    """The starts of each local day."""
    found: dict[int, list[tuple[int, At]]] = {}
    for points, at in starts:
        found.setdefault(at.wall.toordinal(), []).append((points, at))
    return found
