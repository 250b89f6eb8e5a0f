"""A bound on how many courses of a batch could be placed together, worked out by itself from prices: a certificate.

Whoever found the prices need not be trusted: at any that are not negative, the worth of all that there is, and of what
each course would pay less than a place is worth to it, is no less than the number that can be placed. Whole numbers
only, plain lists, every start of every session; nothing here is the product's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import inf

#: Of a pool one member, from so many slots after the start of a visit, for so many slots.
Use = tuple[str, int, int]


@dataclass(frozen=True)
class Visit:
    """The slots at which a visit may start in the clinic without the batch, and what it takes up."""

    starts: tuple[int, ...]
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class Session:
    """A visit, how many days after the one before it (least and most), and the talk that follows it."""

    visit: Visit
    gap: tuple[int, int]
    #: On a later day, and on an earlier one than the next session.
    talk: Visit | None = None
    #: How many slots after the session's start the talk starts, least and most.
    after: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Course:
    """Sessions in order; for each span its first and last of them, and the least and most days between the two."""

    sessions: tuple[Session, ...]
    spans: tuple[tuple[int, int, int, int], ...]

    def visits(self) -> Iterator[Visit]:
        """All, talks among them."""
        for session in self.sessions:
            yield session.visit
            if session.talk is not None:
                yield session.talk


class Certificate:
    """Prices of each pool's slots, in parts of what a place is worth, held against the courses of a batch."""

    def __init__(self, day: Sequence[int], courses: Sequence[Course], free: Mapping[str, Iterable[int]]) -> None:
        """The local day of each slot, and for each pool a bitmap of each member's free time without the batch."""
        self._day, self._courses = day, courses
        self._room = {pool: self._useful(pool, members) for pool, members in free.items()}

    def bound(self, prices: Mapping[str, Sequence[int]], worth: int) -> Fraction:
        """No more courses can be placed together."""
        if any(price < 0 for each in prices.values() for price in each):
            raise ValueError("prices that are negative prove nothing")
        upto = {pool: [0, *accumulate(prices.get(pool, [0] * len(self._day)))] for pool in self._room}
        total: float = sum(p * n for pool, each in prices.items() for p, n in zip(each, self._room[pool], strict=True))
        for course in self._courses:
            total += max(0, worth - _Priced(course, self._day, upto).cheapest())
        return Fraction(int(total), worth)

    def _useful(self, pool: str, members: Iterable[int]) -> list[int]:
        """How many members there are at each slot, each where it can serve some visit of the batch."""
        size = len(self._day)
        wanted: dict[tuple[int, int], set[int]] = {}
        for visit in {visit for course in self._courses for visit in course.visits()}:
            for used, offset, length in visit.uses:
                if used == pool:
                    wanted.setdefault((offset, length), set()).update(visit.starts)
        room = [0] * size
        for member in members:
            upto = [0, *accumulate(int(digit) for digit in reversed(f"{member:0{size}b}"[-size:]))]
            serves: set[int] = set()
            for (offset, length), starts in wanted.items():
                for first in (start + offset for start in starts):
                    if first + length <= size and upto[first + length] - upto[first] == length:
                        serves.update(range(first, first + length))
            for slot in serves:
                room[slot] += 1
        return room


class _Priced:
    """One course at some prices."""

    def __init__(self, course: Course, day: Sequence[int], upto: Mapping[str, Sequence[int]]) -> None:
        self._course, self._day, self._upto = course, day, upto
        self._known: dict[tuple[int, int, tuple[int, int]], dict[int, list[float]]] = {}

    def cheapest(self) -> float:
        """The least that the course comes to: infinite when it has no plan at all, not even by itself."""
        sessions = self._course.sessions
        tables = [self._table(session) for session in sessions]
        first = ((day, self._spans(0, day, ())) for day in tables[0])
        reached: dict[tuple[int, tuple[int, ...]], float] = {
            (day, begun): 0 for day, begun in first if begun is not None
        }
        for place, session in enumerate(sessions[1:], 1):
            before, reached = reached, {}
            for (day, begun), spent in before.items():
                for gap in range(session.gap[0], session.gap[1] + 1):
                    then = self._spans(place, day + gap, begun) if day + gap in tables[place] else None
                    total = spent + _until(tables[place - 1][day], gap)
                    if then is not None and total < reached.get((day + gap, then), inf):
                        reached[day + gap, then] = total
        return min((spent + tables[-1][day][-1] for (day, _), spent in reached.items()), default=inf)

    def _spans(self, place: int, day: int, begun: tuple[int, ...]) -> tuple[int, ...] | None:
        """The first days of the spans that are open after this session; None when one is not kept."""
        opened = list(begun) if place else [-1] * len(self._course.spans)
        for number, (first, last, least, most) in enumerate(self._course.spans):
            if place == first:
                opened[number] = day
            if place == last:
                if not least <= day - opened[number] <= most:
                    return None
                opened[number] = -1
        return tuple(opened)

    def _table(self, session: Session) -> dict[int, list[float]]:
        """For each day the cheapest of its starts, by how many days later the talk is at most; without one: at once."""
        key = id(session.visit), id(session.talk), session.after
        if key not in self._known:
            self._known[key] = self._reckoned(session)
        return self._known[key]

    def _reckoned(self, session: Session) -> dict[int, list[float]]:
        talks: dict[int, list[tuple[int, int]]] = {}
        for slot in session.talk.starts if session.talk is not None else ():
            talks.setdefault(self._day[slot], []).append((slot, self._price(session.talk, slot)))
        reach = 1 + session.after[1] // 288 + 1 if session.talk is not None else 0
        table: dict[int, list[float]] = {}
        for start in session.visit.starts:
            day, price = self._day[start], self._price(session.visit, start)
            best = table.setdefault(day, [inf] * (reach + 1))
            least: float = price if session.talk is None else inf
            best[0] = min(best[0], least)
            for later in range(1, reach + 1):
                for slot, more in talks.get(day + later, ()):
                    if session.after[0] <= slot - start <= session.after[1]:
                        least = min(least, price + more)
                best[later] = min(best[later], least)
        return table

    def _price(self, visit: Visit | None, slot: int) -> int:
        if visit is None:
            return 0
        ends = ((self._upto[pool], slot + offset, slot + offset + length) for pool, offset, length in visit.uses)
        return sum(upto[min(past, len(upto) - 1)] - upto[first] for upto, first, past in ends)


def _until(best: Sequence[float], gap: int) -> float:
    """The cheapest of a day whose talk is before a session so many days later."""
    return best[min(gap - 1, len(best) - 1)]
