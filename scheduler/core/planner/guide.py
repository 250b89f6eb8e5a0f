"""Where a batch's courses had better go: plans that are soon found and keep off the hours that all want."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

from scheduler.core.planner.floor import Floor, Placement
from scheduler.core.planner.grid import Ints
from scheduler.core.planner.look import cheapest
from scheduler.core.planner.market import WORTH, Market
from scheduler.core.planner.rivals import rivals
from scheduler.core.planner.trail import Prices, Trail

#: What a place is worth in points where its price guides a course: the wishes of a plan count a fraction of that.
DEAR = 20_000


class Guide:
    """The market of some courses that have a plan by themselves, and their trails."""

    def __init__(self, floor: Floor, courses: Collection[int]) -> None:
        self._floor = floor
        self._trails = _known({course: floor.trail(course, wishes=True) for course in courses})
        priced = _known({course: floor.trail(course, wishes=False) for course in courses})
        if len({(each.problem.grid.origin, each.problem.grid.slots) for each in priced.values()}) > 1:
            priced = {}  # a slot is not the same time to all of them
        self._market = Market(priced, {course: floor.uses(course) for course in priced})
        #: Courses of which nobody says what they take up: each of them may have a place.
        self._unpriced = len(courses) - len(priced)
        self._dear: dict[int, Prices] = {}
        self._points: dict[int, Ints] = {}
        self._bound = self._market.bound

    @property
    def most(self) -> int:
        """No more of the courses can be placed together."""
        return self._unpriced + self._market.most

    @property
    def prices(self) -> Mapping[Hashable, Ints]:
        """What one of each pool costs at each slot, as the bound has it."""
        return self._market.prices

    @property
    def open(self) -> bool:
        """Whether prices may still become truer."""
        return self._market.open

    def turn(self, placed: int) -> None:
        """Look for truer prices, once; so many courses are known to have a place together."""
        self._market.turn(placed)
        if self._market.bound < self._bound:
            self._bound = self._market.bound
            self._dear.clear()
            self._points.clear()

    def plan(self, course: int) -> Placement | None:
        """A plan beside everything that stands, which keeps off dear hours where it can; None: there is none."""
        trail = self._trails.get(course)
        if trail is None:
            return self._floor.plan(course)
        dear, free = self._prices(course), self._floor.open(course)
        way = cheapest(trail, {each: price + dear[each] for each, price in free.items()} if dear else free)
        if way is None:
            return None
        found = self._floor.along(course, way[1]) if trail.keeps(way[1]) else None
        return found or self._floor.plan(course)

    def rivals(self, course: int, worth: Mapping[int, int]) -> Collection[int]:
        """Of those that stand the ones to lift so that this one finds a plan, those of little worth first: a guess."""
        trail = self._trails.get(course)
        return () if trail is None else rivals(trail, self._floor.needs(course), worth, self._prices(course))

    def _prices(self, course: int) -> Prices:
        """In points; sessions that are served alike share theirs."""
        if course not in self._dear:
            charges = self._market.charges(course) if course in self._market else {}
            for charge in charges.values():
                if id(charge) not in self._points:
                    self._points[id(charge)] = charge * DEAR // WORTH
            self._dear[course] = {session_id: self._points[id(charge)] for session_id, charge in charges.items()}
        return self._dear[course]


def _known(trails: Mapping[int, Trail | None]) -> dict[int, Trail]:
    return {course: trail for course, trail in trails.items() if trail is not None}
