"""What one visit costs at every start it may have, before its neighbors are known: bitmaps become arrays of points.

Costs have a last axis of *lanes*: one lane for each choice of primary persons that is looked at in the same pass.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from scheduler.core.planner.grid import Bools, Ints, calendar_of
from scheduler.core.planner.problem import THERAPIST, Leaf, Main, Problem, Visit

T = TypeVar("T")

#: The points of what may not be: more than twice what any plan can cost. Three may be added up in 32 bits.
INF = 1 << 29
#: From here on a sum holds an INF; a little may have been taken off one.
IMPOSSIBLE = INF // 2
Points = NDArray[np.int32]

QUARTER = 15

#: For each role, the place of the primary person among the candidates; OPEN where that is not decided yet.
Choice = tuple[int, ...]
OPEN = -1


class Bar(NamedTuple):
    """The session may not start at the slots from `start` up to, but not including, `end`."""

    session_id: str
    start: int
    end: int


Bars = tuple[Bar, ...]


@dataclass(frozen=True, eq=False)
class Sheet:
    """The starts of a main session: rows are wall times, columns are local days."""

    #: Local day of column 0.
    first: int
    #: [rows] wall minutes; [rows, days] slots; [rows, days, lanes] points, INF where it may not start.
    minute: Ints
    slot: Ints
    cost: Points
    #: [days] the first and the last slot at which it may start; INF and -INF on a day without any.
    soonest: Ints
    latest: Ints

    @property
    def able(self) -> Bools:
        """[rows, days] where it may start at all."""
        starts: Bools = np.logical_or.reduce(possible(self.cost), axis=2)
        return starts

    @property
    def days(self) -> Ints:
        """The local day of each column."""
        return np.arange(self.first, self.first + self.slot.shape[1], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Options:
    """The starts of a leaf, in order of time. The last is a stand-in beyond all time that costs INF."""

    #: [options] slots and local days; [options, lanes] points.
    slot: Ints
    day: Ints
    cost: Points


class Planes:
    """The visits of one problem as arrays. Equal visits share theirs, which is most of the speed."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.calendar = calendar_of(problem.grid)
        self.roles = problem.roles()
        self._bits: dict[int, Bools] = {}
        self._known_places: dict[int, tuple[Ints, Ints]] = {}
        self._kinds: dict[Hashable, int] = {}
        self._alike: dict[Hashable, int] = {}
        self._kind_of = {visit.session_id: self._kind(visit) for visit in problem.visits()}
        self._made: dict[Hashable, Any] = {}
        #: Points worked out so far: the same on every machine, so that a search can be given an end.
        self.effort = 0

    def kind(self, visit: Visit) -> Hashable:
        """Equal for visits that differ in their bars and persons at most."""
        return self._kind_of[visit.session_id], self.problem.pinned.get(visit.session_id)

    def key(self, visit: Visit, bars: Bars, lanes: tuple[Choice, ...]) -> Hashable:
        """Equal for visits whose arrays are equal."""
        slots = tuple((bar.start, bar.end) for bar in bars if bar.session_id == visit.session_id)
        concerned = [place for place, role in enumerate(self.roles) if role in visit.by]
        chosen = tuple(tuple(lane[place] for place in concerned) for lane in lanes)
        return self.kind(visit), slots, chosen

    def told(self, place: int, gap: int | None) -> int | None:
        """The gap as far as it concerns a main session's leaf: not when leaf and next main session are both pinned."""
        return None if gap is None or not self.once(("told", place), lambda: self._tells(place)) else gap

    def _tells(self, place: int) -> bool:
        leaf = self.problem.mains[place].leaf
        return leaf is not None and self.problem.judged(leaf.session_id, self.problem.mains[place + 1].session_id)

    def gaps(self, place: int) -> range:
        """How many days may lie between a main session (by its place in the course) and the next."""
        return self.once(("gaps", place), lambda: self._new_gaps(place))

    def price_of_gap(self, place: int, days: int, since: Ints) -> Points | int:
        """The points of that many days to the next main session, seen from each of these days; INF where forbidden."""
        here, there = self.problem.mains[place : place + 2]
        gap = there.gap
        if gap is None:
            return 0
        weight = self.problem.weights.gap
        if not gap.clinic_days:
            return weight * abs(days - gap.target)
        counted = self._open_before(since + days) - self._open_before(since)
        judged = self.problem.judged(here.session_id, there.session_id)
        lawful = (gap.min <= counted) & (counted <= gap.max) if judged else np.ones_like(since, dtype=np.bool_)
        return np.where(lawful, weight * np.abs(counted - gap.target), INF).astype(np.int32)

    def weeks(self, days: Ints) -> Ints:
        """The weeks of local days, each from a Monday."""
        return (days + self.calendar.weekday(0)) // 7

    def _new_gaps(self, place: int) -> range:
        mains, pinned = self.problem.mains, self.problem.pinned
        here, there = mains[place], mains[place + 1]
        if not self.problem.judged(here.session_id, there.session_id):
            days = [self.calendar.local(pinned[main.session_id])[0] for main in (here, there)]
            return range(days[1] - days[0], days[1] - days[0] + 1)
        if there.gap is None:
            return range(0)
        if not there.gap.clinic_days:
            return range(there.gap.min, there.gap.max + 1)
        since = np.arange(-self.problem.grid.days, 2 * self.problem.grid.days)
        opened = self._open_before(since)
        first = np.searchsorted(opened, opened + there.gap.min, side="left") - np.arange(len(since))
        past = np.searchsorted(opened, opened + there.gap.max, side="right") - np.arange(len(since))
        inside = slice(0, 2 * self.problem.grid.days)
        return range(max(0, int(first[inside].min())), int(past[inside].max()))

    def _open_before(self, days: Ints) -> Ints:
        """How many open days lie before each of these days; outside the grid every day is one."""
        grid_days, is_open = self.problem.grid.days, self.problem.open_days
        before = self.once(
            "open days",
            lambda: np.cumsum([0, *(is_open >> day & 1 for day in range(grid_days))], dtype=np.int64),
        )
        inside: Ints = before[np.clip(days, 0, grid_days)]
        return inside + np.minimum(days, 0) + np.maximum(days - grid_days, 0)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` makes, made once for each key."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    @cached_property
    def rows(self) -> slice:
        """From the first to the last row at which any main session could start on any day."""
        used = np.zeros(len(self.calendar.minute), dtype=np.bool_)
        for bitmap in {main.starts for main in self.problem.mains if main.session_id not in self.problem.pinned}:
            used |= self.served(bitmap, self.calendar.slot).any(axis=1)
        rows = np.nonzero(used)[0]
        return slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 1)

    @property
    def whole(self) -> range:
        """Every local day of the grid."""
        return range(self.problem.grid.days)

    def frame(self, main: Main, days: range) -> tuple[int, Ints, Ints]:
        """The first day, wall minutes and slots of a main session's sheet. A pinned one has one row and one column."""
        pin = self.problem.pinned.get(main.session_id)
        if pin is None:
            return self.once(("frame", days), lambda: self._new_frame(days))
        first, wall = self.calendar.local(pin)
        return first, np.array([wall]), np.array([[pin]])

    def _new_frame(self, days: range) -> tuple[int, Ints, Ints]:
        return days.start, self.calendar.minute[self.rows], self.calendar.slot[self.rows, days.start : days.stop]

    def sheet(self, main: Main, bars: Bars, lanes: tuple[Choice, ...], days: range) -> Sheet:
        """Where a main session may start on these days, unless barred."""
        return self.once((self.key(main, bars, lanes), days), lambda: self._new_sheet(main, bars, lanes, days))

    def options(self, leaf: Leaf, bars: Bars, lanes: tuple[Choice, ...], days: range) -> Options:
        """Where a leaf may start on these days, unless barred, whatever its main session does."""
        return self.once((self.key(leaf, bars, lanes), days), lambda: self._new_options(leaf, bars, lanes, days))

    def served(self, bitmap: int, slot: Ints) -> Bools:
        """Which of these slots are set in a bitmap; none outside the timeline is."""
        if bitmap not in self._bits:
            grid = self.problem.grid
            known = (bitmap & ((1 << grid.slots) - 1)).to_bytes(-(-grid.slots // 8), "little")
            bits = np.unpackbits(np.frombuffer(known, dtype=np.uint8), bitorder="little")[: grid.slots]
            self._bits[bitmap] = np.append(bits, 0).astype(np.bool_)
        answer: Bools = self._bits[bitmap].take(self._places(slot))
        return answer

    def _places(self, slot: Ints) -> Ints:
        """Where these slots are among the bits; what is outside the timeline is at the end, which is never set."""
        slots, known = self.problem.grid.slots, self._known_places.get(id(slot))
        if known is None or known[0] is not slot:
            known = slot, np.where((slot >= 0) & (slot < slots), slot, slots)
            self._known_places[id(slot)] = known
        return known[1]

    def _kind(self, visit: Visit) -> int:
        """A small number that equal visits share: hashing their bitmaps once is enough."""
        booked = self.problem.booked.get(visit.session_id)
        # Most visits of a kind share the very objects: then nothing needs to be hashed.
        shared = id(visit.starts), id(visit.by), id(visit.levels), id(visit.own_levels)
        same = type(visit), visit.minutes, shared, booked
        if same not in self._alike:
            by = tuple((role, tuple(visit.by[role].items())) for role in self.roles if role in visit.by)
            levels = tuple(sorted(visit.levels.items())), tuple(visit.own_levels.items())
            key = type(visit), visit.minutes, visit.starts, by, levels, booked
            self._alike[same] = self._kinds.setdefault(key, len(self._kinds))
        return self._alike[same]

    def _new_sheet(self, main: Main, bars: Bars, lanes: tuple[Choice, ...], days: range) -> Sheet:
        first, minute, slot = self.frame(main, days)
        alone = self.once(("alone", self.key(main, bars, ())), lambda: self._alone_on_whole(main, bars))
        part = slice(0, 1) if main.session_id in self.problem.pinned else slice(days.start, days.stop)
        cost = self._cost(main, lanes, slot, alone[:, part])
        able = possible(cost).any(axis=2)
        soonest, latest = np.where(able, slot, INF).min(axis=0), np.where(able, slot, -INF).max(axis=0)
        return Sheet(first, minute, slot, cost, soonest, latest)

    def _new_options(self, leaf: Leaf, bars: Bars, lanes: tuple[Choice, ...], days: range) -> Options:
        pin = self.problem.pinned.get(leaf.session_id)
        if pin is None:
            by_time = self.calendar.slot[:, days.start : days.stop].T
            day, row = np.nonzero(self.served(leaf.starts, by_time))
            slot, minute = by_time[day, row], self.calendar.minute[row]
            day += days.start
        else:
            wall = self.calendar.local(pin)
            slot, day, minute = np.array([pin]), np.array([wall[0]]), np.array([wall[1]])
        cost = self._cost(leaf, lanes, slot, self._alone(leaf, bars, (slot, day, minute)))
        never = np.full((1, cost.shape[-1]), INF, dtype=np.int32)
        return Options(np.append(slot, INF), np.append(day, INF), np.concatenate([cost, never]))

    def _cost(self, visit: Visit, lanes: tuple[Choice, ...], slot: Ints, alone: Points) -> Points:
        """Points at each slot, with the axis of lanes."""
        cost: Points = self._persons(visit, slot, lanes)
        cost += alone[..., np.newaxis]
        return np.minimum(cost, INF, out=cost)

    def _alone_on_whole(self, main: Main, bars: Bars) -> Points:
        first, minute, slot = self.frame(main, self.whole)
        day = np.arange(first, first + slot.shape[1])
        return self._alone(main, bars, (slot, day[np.newaxis, :], minute[:, np.newaxis]))

    def _alone(self, visit: Visit, bars: Bars, place: tuple[Ints, Ints, Ints]) -> Points:
        """Points at each place (slots, days, wall minutes, which broadcast together), whoever is there."""
        slot, day, minute = place
        pinned = visit.session_id in self.problem.pinned
        lawful = np.ones(slot.shape, dtype=np.bool_) if pinned else self.served(visit.starts, slot)
        for bar in bars:
            if bar.session_id == visit.session_id:
                lawful &= (slot < bar.start) | (slot >= bar.end)
        wishes = self._wishes(visit, day, minute) + self._fullness(visit, slot)
        points: Points = np.where(lawful, wishes + self._moved(visit, slot, day, minute), INF).astype(np.int32)
        return points

    def _wishes(self, visit: Visit, day: Ints, minute: Ints) -> Ints:
        """The price of unwelcome hours, and of unwelcome weekdays for a main session."""
        wish, weights = self.problem.preferences, self.problem.weights
        earliest = 0 if wish.earliest is None else wish.earliest
        latest = minute.max(initial=0) + visit.minutes if wish.latest is None else wish.latest
        outside = (minute < earliest) | (minute + visit.minutes > latest)
        if isinstance(visit, Leaf):
            return weights.leaf_hours * outside
        liked = range(7) if wish.weekdays is None else wish.weekdays
        unwelcome = ~np.isin((self.calendar.weekday(0) + day) % 7, list(liked))
        points: Ints = weights.hours * outside + weights.weekday * unwelcome
        return points

    def _moved(self, visit: Visit, slot: Ints, day: Ints, minute: Ints) -> Ints | int:
        """The price of leaving the time at which the visit is booked."""
        booked, weights = self.problem.booked.get(visit.session_id), self.problem.weights
        if booked is None:
            return 0
        was = self.calendar.local(booked)
        days = weights.moved_day * np.minimum(np.abs(day - was[0]), weights.moved_days_cap)
        quarters = weights.moved_quarter * (np.abs(minute - was[1]) // QUARTER)
        points: Ints = np.where(slot == booked, 0, weights.moved + days + quarters)
        return points

    def _fullness(self, visit: Visit, slot: Ints) -> Ints:
        """The price of starting when many others do or most nurses are at work, and of leaving useless pieces."""
        points: Ints = np.zeros_like(slot)
        for name, levels in visit.levels.items():
            weight = getattr(self.problem.weights, name)
            for level in levels if weight else ():
                points = points + weight * self.served(level, slot)
        return points

    def _persons(self, visit: Visit, slot: Ints, lanes: tuple[Choice, ...]) -> Points:
        """The price of the primary persons' absence; one lane only where all lanes agree."""
        total: Points = np.zeros((*slot.shape, 1), dtype=np.int32)
        for place, role in enumerate(self.roles):
            if role in visit.by:
                chosen = [lane[place] for lane in lanes]
                columns = chosen if len(set(chosen)) > 1 else chosen[:1]
                missed = np.empty((*slot.shape, len(columns)), dtype=np.int32)
                for column, who in enumerate(columns):
                    missed[..., column] = self._missed(visit, role, who, slot)
                total = np.minimum(total + missed, INF)
        return total

    def _missed(self, visit: Visit, role: str, who: int, slot: Ints) -> Ints:
        """The price of that primary person; while none is chosen, of the cheapest at each start."""
        people = self.problem.candidates[role]
        if role == THERAPIST and visit.own_levels and self.problem.weights.therapist_remainders:
            places = range(len(people)) if who == OPEN and people else [who]
            cheapest: Ints = np.minimum.reduce([self._missed_by(visit, role, each, slot) for each in places])
            return cheapest
        return self._absence(visit, role, who, slot)

    def _missed_by(self, visit: Visit, role: str, who: int, slot: Ints) -> Ints:
        """The same of one person, with the pieces that this one leaves where it serves."""
        points, person = self._absence(visit, role, who, slot), self.problem.candidates[role][who : who + 1]
        serves = self._served_by(visit.by[role], person, slot)
        for level in visit.own_levels.get(person[0], ()) if person else ():
            points = points + self.problem.weights.therapist_remainders * (serves & self.served(level, slot))
        return points

    def _absence(self, visit: Visit, role: str, who: int, slot: Ints) -> Ints:
        """The price where the chosen person, or none of the candidates while that is open, serves the visit."""
        people = self.problem.candidates[role]
        served = self._served_by(visit.by[role], people if who == OPEN else people[who : who + 1], slot)
        if self.problem.continuity == "preferred":
            return np.where(served, 0, self.problem.weights.person(role))
        # Nobody can be bound to what already stands in other hands.
        foreign = visit.session_id in self.problem.pinned and not self._served_by(visit.by[role], people, slot).any()
        return np.where(served | foreign, 0, INF)

    def _served_by(self, by: Mapping[Hashable, int], people: tuple[Hashable, ...], slot: Ints) -> Bools:
        able = 0
        for person in people:
            able |= by.get(person, 0)
        return self.served(able, slot)


def possible(points: Points | Ints) -> Bools:
    """Which of these sums hold no INF."""
    return points < IMPOSSIBLE
