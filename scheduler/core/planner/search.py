"""Best-first search over what the dynamic program leaves open: the primary persons and the rules at a distance.

A node is a set of plans with a bound that none of them is below: least points, then least itinerary, then the most
wanted persons. The node with the least bound is made smaller, or its bound truer, until it is one lawful plan. That is
then the least of all, over the whole horizon; when the nodes run out, there is none.

The exact program looks only at the days that a plan of some price could use, as `outline` tells. Whatever costs more
stays in the node, with that price as its bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count

from scheduler.core.planner.clashes import Branches, first_clash
from scheduler.core.planner.dp import Chain, Ends, Itinerary
from scheduler.core.planner.effort import of_pass
from scheduler.core.planner.memory import Memory
from scheduler.core.planner.outline import Outline
from scheduler.core.planner.planes import IMPOSSIBLE, OPEN, Bars, Choice, Planes, possible
from scheduler.core.planner.pricing import misses, priced
from scheduler.core.planner.problem import Plan, Problem

#: Plans are first looked for up to the price of so many days' delay above the bound.
FIRST_DAYS = 10
#: How many choices of persons are looked at before all, who then need only look as far as a good plan's price.
DIVE_LANES = 3
NOTHING_KNOWN = Itinerary((), ())


@dataclass(frozen=True, order=True)
class Node:
    """Plans that keep off the bars and have these primary persons."""

    cost: int
    itinerary: Itinerary
    choice: Choice
    bars: Bars = field(compare=False)
    #: Their solution, once known; `traced` when `itinerary` is that solution and no longer a bound.
    chain: Chain | None = field(default=None, compare=False)
    lane: int = field(default=0, compare=False)
    traced: bool = field(default=False, compare=False)
    #: The price up to which they are to be looked for next; None: it is still to be chosen.
    limit: int | None = field(default=None, compare=False)


class Search:
    """The search over one problem, for plans that keep off the bars."""

    def __init__(self, problem: Problem, bars: Bars = ()) -> None:
        self._problem, self._bars = problem, bars
        self._planes = Planes(problem)
        self._memory = self._planes.once("memory", lambda: Memory(self._planes))
        #: The best plan that was come across on the way.
        self._known: Plan | None = None
        #: Whether it may end before its plan is proven.
        self._ends = False

    def run(self, effort: int | None = None) -> Plan | None:
        """The least plan of all; None when it is proven that there is none.

        With an `effort` (points of the dynamic program, in thousands) the search ends once it knows any plan and the
        next look would go beyond that, and says so unless that plan is the least. An end never turns a plan into none.
        """
        ticket, self._ends = count(), effort is not None
        heap = [(self._root(), next(ticket))]
        while heap:
            node, _ = heappop(heap)
            branches = first_clash(self._planes, node.itinerary) if node.traced else None
            if node.traced and branches is None:
                found = self._priced(node.itinerary)
                if self._is_decided(node, found):
                    return found
                self._remember(node.itinerary)
                if node.choice.count(OPEN) == 1 or (effort is not None and self._forecast(node) > 1000 * effort):
                    self._dive(node)
            if effort is not None and self._known is not None and self._forecast(node) > 1000 * effort:
                return replace(self._known, optimal=self._known.cost <= node.cost)
            for child in self._smaller(node, branches):
                heappush(heap, (child, next(ticket)))
        return None

    def _priced(self, itinerary: Itinerary) -> Plan:
        return self._planes.once(("priced", itinerary), lambda: priced(self._problem, itinerary))

    def _root(self) -> Node:
        """All plans there are."""
        people = [self._problem.candidates[role] for role in self._planes.roles]
        choice = tuple(OPEN if len(persons) > 1 else 0 for persons in people)
        return Node(0, NOTHING_KNOWN, choice, self._bars)

    def _is_decided(self, node: Node, found: Plan) -> bool:
        """Whether no persons are left open, or those of the node's own plan cost no more than if they were."""
        return OPEN not in node.choice or (found.cost == node.cost and self._problem.continuity != "required")

    def _smaller(self, node: Node, branches: Branches | None) -> Iterator[Node]:
        """Nodes that together hold the same lawful plans as one that is not its own least plan yet."""
        if node.chain is None:
            return self._solved(node)
        if not node.traced:
            return iter([replace(node, itinerary=node.chain.trace(node.lane), traced=True)])
        if branches is not None:
            return iter([replace(node, bars=node.bars + more, chain=None, traced=False) for more in branches])
        return self._by_person(node)

    def _outline(self, node: Node) -> Outline:
        return self._planes.once(
            ("outline", node.bars, node.choice), lambda: Outline(self._planes, node.bars, node.choice)
        )

    def _most(self) -> int:
        """The price above which no plan is wanted any more."""
        return IMPOSSIBLE if self._known is None else self._known.cost

    def _within(self, node: Node) -> int:
        """The price up to which the node's plans are looked for."""
        weights = self._problem.weights
        further = node.cost + FIRST_DAYS * (weights.finish + weights.begin)
        return min(further if node.limit is None else node.limit, self._most())

    def _far(self, node: Node) -> int:
        """The price up to which persons are compared: that of the best plan, or a first look while there is none."""
        return self._within(node) if self._known is None else self._most()

    def _forecast(self, node: Node) -> int:
        """The effort spent once the node is made smaller, at most."""
        lanes, limit = 1, self._within(node)
        if node.chain is not None:
            if not node.traced or OPEN not in node.choice:
                return self._planes.effort
            lanes, limit = len(self._problem.candidates[self._planes.roles[node.choice.index(OPEN)]]), self._most()
        days = self._outline(node).days(limit)
        return self._planes.effort + (of_pass(self._planes, self._memory.widths, days, lanes) if days else 0)

    def _dive(self, node: Node) -> None:
        """Look at the persons whom the node's own, lawful plan sees most, so that a good plan is known early."""
        days = self._outline(node).days(self._far(node))
        if days is None:
            return
        lanes = tuple(dict.fromkeys(zip(*self._most_seen(node), strict=True)))
        chain = Chain(self._planes, days, node.bars, lanes)
        lane = int(chain.costs.argmin())
        if possible(chain.costs[lane]):
            itinerary = chain.trace(lane)
            if first_clash(self._planes, itinerary) is None:
                self._remember(itinerary, lawful=True)

    def _most_seen(self, node: Node) -> Iterator[tuple[int, ...]]:
        """For each role, the persons of the lanes to look at: the best by the node's plan, the later roles varied."""
        plan, open_roles = (
            self._priced(node.itinerary),
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
        found = self._priced(itinerary)
        better = self._known is None or (found.cost, found.starts) < (self._known.cost, self._known.starts)
        if better and (lawful or self._problem.continuity != "required"):
            self._known = found

    def _solved(self, node: Node) -> Iterator[Node]:
        """The node with its solution, or with a bound that is nearer to it."""
        outline = self._outline(node)
        if outline.least > min(self._most(), IMPOSSIBLE - 1):
            return
        if outline.least > node.cost:
            yield replace(node, cost=outline.least, itinerary=NOTHING_KNOWN)
            return
        limit = self._within(node)
        days = outline.days(limit)
        if days is not None:
            yield from self._with_lanes(node, (node.choice,), days, limit)

    def _by_person(self, node: Node) -> Iterator[Node]:
        """One node for each candidate of the first role that is open, solved in one pass."""
        place = node.choice.index(OPEN)
        people = self._problem.candidates[self._planes.roles[place]]
        lanes = tuple((*node.choice[:place], who, *node.choice[place + 1 :]) for who in range(len(people)))
        limit = self._far(node)
        days = self._outline(node).days(limit)
        if days is not None:
            yield from self._with_lanes(node, lanes, days, limit)

    def _with_lanes(self, node: Node, lanes: tuple[Choice, ...], days: list[Ends], limit: int) -> Iterator[Node]:
        """The nodes of these choices; what costs more than the limit was not looked for and is left for later."""
        chain, everything = Chain(self._planes, days, node.bars, lanes), limit >= self._most()
        for lane, choice in enumerate(lanes):
            cost = int(chain.costs[lane])
            if cost < IMPOSSIBLE and (cost <= limit or self._outline(node).days(cost) == days):
                known = node.itinerary if cost == node.cost else NOTHING_KNOWN
                yield Node(cost, known, choice, node.bars, chain, lane)
            elif not everything:
                then = min(cost, IMPOSSIBLE)
                yield Node(limit + 1, NOTHING_KNOWN, choice, node.bars, limit=then)


def plan(problem: Problem, *, effort: int | None = None) -> Plan | None:
    """The cheapest plan of all; None when it is proven that there is none.

    Of equally cheap plans it is the one whose main sessions are earliest, compared from the first to the last, then
    the one whose leaves are; persons are the most wanted that these starts allow at that price. With an `effort` it may
    be another plan, which says that it is not proven to be `optimal`.
    """
    return Search(problem).run(effort)
