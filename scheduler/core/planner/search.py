"""Best-first search over what the dynamic program leaves open: the primary persons and the rules at a distance.

A node is a set of plans with a bound that none of them is below: least points, then least itinerary, then the most
wanted persons. The node with the least bound is made smaller, or its bound truer, until it is one lawful plan. That is
then the least of all, over the whole horizon; when the nodes run out, there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count

from scheduler.core.planner.clashes import first_clash
from scheduler.core.planner.dp import Chain, Itinerary
from scheduler.core.planner.planes import OPEN, Bars, Choice, Planes, possible
from scheduler.core.planner.pricing import misses, priced
from scheduler.core.planner.problem import Plan, Problem

#: First main sessions are looked for within so many days, then in windows that grow.
FIRST_WINDOW = 28
#: How many choices of persons a search that has an end looks at to have a plan by then.
DIVE_LANES = 3
NOTHING_KNOWN = Itinerary((), ())


@dataclass(frozen=True, order=True)
class Node:
    """Plans whose first main session is inside the window, that keep off the bars and have these primary persons."""

    cost: int
    itinerary: Itinerary
    choice: Choice
    window: tuple[int, int] = field(compare=False)
    bars: Bars = field(compare=False)
    #: Their solution, once known; `traced` when `itinerary` is that solution and no longer a bound.
    chain: Chain | None = field(default=None, compare=False)
    lane: int = field(default=0, compare=False)
    traced: bool = field(default=False, compare=False)


class Search:
    """The search over one problem, for plans that keep off the bars."""

    def __init__(self, problem: Problem, bars: Bars = ()) -> None:
        self._problem, self._bars = problem, bars
        self._planes = Planes(problem)
        #: The best plan that was come across on the way.
        self._known: Plan | None = None

    def run(self, effort: int | None = None) -> Plan | None:
        """The least plan of all; None when it is proven that there is none.

        With an `effort` (points of the dynamic program, in thousands) the search ends there once it knows any plan, and
        says so unless that is the least one. An end never turns a plan into none.
        """
        ticket = count()
        heap = [(self._root(), next(ticket))]
        while heap:
            node, _ = heappop(heap)
            smaller = self._smaller(node)
            if smaller is None:
                return priced(self._problem, node.itinerary)
            if effort is not None and node.traced and OPEN in node.choice:
                self._dive(node)
            if effort is not None and self._known is not None and self._forecast(node) > 1000 * effort:
                return replace(self._known, optimal=self._known.cost <= node.cost)
            for child in smaller:
                heappush(heap, (child, next(ticket)))
        return None

    def _forecast(self, node: Node) -> int:
        """The effort spent once the node is made smaller: one look is like another, lane by lane."""
        lanes = 1
        if node.traced and OPEN in node.choice:
            lanes = len(self._problem.candidates[self._planes.roles[node.choice.index(OPEN)]])
        looking = node.chain is None or node.traced
        return self._planes.effort + looking * lanes * self._planes.effort_of_one

    def _root(self) -> Node:
        """All plans there are."""
        people = [self._problem.candidates[role] for role in self._planes.roles]
        choice = tuple(OPEN if len(persons) > 1 else 0 for persons in people)
        days = self._planes.sheet(self._problem.mains[0], self._bars, (choice,)).days
        window = int(days[0]), int(days[-1])
        return Node(self._least_from(window[0]), NOTHING_KNOWN, choice, window, self._bars)

    def _smaller(self, node: Node) -> Iterator[Node] | None:
        """Nodes that together hold the same lawful plans; None when the node is its own least plan, and lawful."""
        if node.chain is None:
            return self._solved(node)
        if not node.traced:
            return iter([replace(node, itinerary=node.chain.trace(node.lane), traced=True)])
        branches = first_clash(self._planes, node.itinerary)
        if branches is not None:
            return iter([replace(node, bars=node.bars + more, chain=None, traced=False) for more in branches])
        if OPEN in node.choice:
            self._remember(node.itinerary)
            return self._by_person(node)
        return None

    def _dive(self, node: Node) -> None:
        """Look at the persons whom the node's own plan sees most, so that an early end has a good plan to show."""
        if first_clash(self._planes, node.itinerary) is not None:
            return
        lanes = tuple(dict.fromkeys(zip(*self._most_seen(node), strict=True)))
        chain = Chain(self._planes, node.window, node.bars, lanes)
        lane = int(chain.costs.argmin())
        if possible(chain.costs[lane]):
            itinerary = chain.trace(lane)
            if first_clash(self._planes, itinerary) is None:
                self._remember(itinerary, lawful=True)

    def _most_seen(self, node: Node) -> Iterator[tuple[int, ...]]:
        """For each role, the persons of the lanes to look at: the best by the node's plan, the later roles varied."""
        plan, open_roles = (
            priced(self._problem, node.itinerary),
            [place for place, who in enumerate(node.choice) if who == OPEN],
        )
        for place, role in enumerate(self._planes.roles):
            people = self._problem.candidates[role]
            if place not in open_roles:
                yield (node.choice[place],) * DIVE_LANES
                continue
            missed = misses(self._problem, dict(plan.starts), role)
            best = sorted(range(len(people)), key=lambda who: (missed[who], who))
            varied = best if place == open_roles[-1] else best[:1]
            yield tuple(varied[min(lane, len(varied) - 1)] for lane in range(DIVE_LANES))

    def _remember(self, itinerary: Itinerary, *, lawful: bool = False) -> None:
        """Keep a lawful itinerary, with the persons that suit it best, if it is the best so far."""
        found = priced(self._problem, itinerary)
        better = self._known is None or (found.cost, found.starts) < (self._known.cost, self._known.starts)
        if better and (lawful or self._problem.continuity != "required"):
            self._known = found

    def _solved(self, node: Node) -> Iterator[Node]:
        """The node's near days with their solution, and the days beyond as a node of their own."""
        first, last = node.window
        length = max(FIRST_WINDOW, first)
        if first + length <= last:
            far = first + length
            itinerary = Itinerary((self._planes.calendar.midnight(far),), ())
            bound = max((node.cost, node.itinerary), (self._least_from(far), itinerary))
            yield replace(node, cost=bound[0], itinerary=bound[1], window=(far, last))
            node = replace(node, window=(first, far - 1))
        yield from self._with_lanes(node, (node.choice,))

    def _by_person(self, node: Node) -> Iterator[Node]:
        """One node for each candidate of the first role that is open, solved in one pass."""
        place = node.choice.index(OPEN)
        people = self._problem.candidates[self._planes.roles[place]]
        lanes = tuple((*node.choice[:place], who, *node.choice[place + 1 :]) for who in range(len(people)))
        yield from self._with_lanes(node, lanes)

    def _with_lanes(self, node: Node, lanes: tuple[Choice, ...]) -> Iterator[Node]:
        chain = Chain(self._planes, node.window, node.bars, lanes)
        for lane, choice in enumerate(lanes):
            if possible(chain.costs[lane]):
                cost = int(chain.costs[lane])
                known = node.itinerary if cost == node.cost else NOTHING_KNOWN
                yield replace(node, cost=cost, itinerary=known, choice=choice, chain=chain, lane=lane, traced=False)

    def _least_from(self, day: int) -> int:
        """No plan whose first main session is on that day or later costs less."""
        weights, least = self._problem.weights, 0
        for place, main in enumerate(self._problem.mains[1:]):
            exact = main.gap is not None and not main.gap.clinic_days
            target = main.gap.target if main.gap else 0
            least += min(
                weights.finish * days + (weights.gap * abs(days - target) if exact else 0)
                for days in self._planes.gaps(place)
            )
        return (weights.begin + weights.finish) * day + least


def plan(problem: Problem, *, effort: int | None = None) -> Plan | None:
    """The cheapest plan of all; None when it is proven that there is none.

    Of equally cheap plans it is the one whose main sessions are earliest, compared from the first to the last, then
    the one whose leaves are; persons are the most wanted that these starts allow at that price. With an `effort` it may
    be another plan, which says that it is not proven to be `optimal`.
    """
    return Search(problem).run(effort)
