"""What a main session must know of those before it: how many of them count against a cap. A few small states.

The dynamic program sees neighbors only. Here each main session gets the *states* in which it may be reached, and for
each gap the state in which the next one is then reached, or that a cap forbids the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from scheduler.core.planner.grid import Ints
from scheduler.core.planner.planes import INF, Planes, Points
from scheduler.core.planner.problem import Cap

#: A course that would need more states at one session keeps its caps by branching instead.
MOST_STATES = 64
FORBIDDEN = -1


class Before(NamedTuple):
    """An earlier session that still counts: how many days ago, and whether it can be moved."""

    age: int
    free: bool


#: For each cap the earlier sessions that count, the first one first.
State = tuple[tuple[Before, ...], ...]


class Moves(NamedTuple):
    """For each state of a main session the place of the next one's, or FORBIDDEN: within a week, and into another."""

    within: Ints
    across: Ints


class Memory:
    """The states of every main session of a problem, and the steps between them."""

    def __init__(self, planes: Planes) -> None:
        self._planes, self._problem = planes, planes.problem
        self._caps = self._problem.caps
        #: How many states each main session has; the first has one.
        self.widths = [1] * len(self._problem.mains)
        self._moves: list[Mapping[int, Moves]] = []
        if self._caps and not self._build():
            self._caps, self.widths, self._moves = (), [1] * len(self._problem.mains), []

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember."""
        return not self._caps

    def moves(self, place: int, gap: int) -> Moves:
        """The steps from one main session, by its place, to the next, so many days later."""
        return self._moves[place][gap]

    def recalled(self, place: int, gap: int, days: Ints, after: Points) -> Points:
        """The points of the next main session, told apart by this one's states: both lie on the last axis."""
        if self.idle:
            return after
        moves, lanes = self.moves(place, gap), after.shape[-1] // self.widths[place + 1]
        told = after.reshape(*after.shape[:-1], lanes, self.widths[place + 1])
        told = np.concatenate([told, np.full((*told.shape[:-1], 1), INF, dtype=np.int32)], axis=-1)
        points = told[..., moves.within]
        if (moves.within != moves.across).any():
            across = self._planes.weeks(days) != self._planes.weeks(days + gap)
            points = np.where(across[:, np.newaxis, np.newaxis], told[..., moves.across], points)
        return points.reshape(*after.shape[:-1], lanes * self.widths[place])

    def spread(self, place: int, points: Points) -> Points:
        """Points in which a main session's states do not matter, once for each of them."""
        return points if points.shape[-1] == 1 or self.idle else np.repeat(points, self.widths[place], axis=-1)

    def step(self, place: int, gap: int, day: int, state: int) -> int:
        """The state in which the next main session is reached from one on that day, or FORBIDDEN."""
        if self.idle:
            return 0
        moves, two = self.moves(place, gap), self._planes.weeks(np.array([day, day + gap]))
        return int((moves.within if two[0] == two[1] else moves.across)[state])

    def _build(self) -> bool:
        """Find all states, session by session; False when there are too many."""
        nothing: State = ((),) * len(self._caps)
        states = [nothing]
        for place in range(len(self._problem.mains) - 1):
            known: dict[State, int] = {}
            moves = {
                gap: Moves(*(self._reached(place, gap, states, known, across=across) for across in (False, True)))
                for gap in self._planes.gaps(place)
            }
            self._moves.append(moves)
            states = list(known) or [nothing]  # which no step leads to, when none is lawful
            self.widths[place + 1] = len(states)
            if len(states) > MOST_STATES:
                return False
        return True

    def _reached(self, place: int, gap: int, states: list[State], known: dict[State, int], *, across: bool) -> Ints:
        found = []
        for state in states:
            counted = zip(self._caps, state, strict=True)
            after = [self._told(cap, each, place, gap, across=across) for cap, each in counted]
            lawful = tuple(each for each in after if each is not None)
            found.append(known.setdefault(lawful, len(known)) if len(lawful) == len(after) else FORBIDDEN)
        return np.array(found, dtype=np.int64)

    def _told(
        self, cap: Cap, counted: tuple[Before, ...], place: int, gap: int, *, across: bool
    ) -> tuple[Before, ...] | None:
        """Who counts for a cap once the next session is reached; None when that is one too many."""
        if place >= cap.last:
            return ()
        if cap.first <= place:
            counted = (*counted, Before(0, self._free(place)))
        if cap.days is None:
            counted = () if across else tuple(Before(0, each.free) for each in counted)
        else:
            counted = tuple(Before(each.age + gap, each.free) for each in counted if each.age + gap < cap.days)
        movable = self._free(place + 1) or any(each.free for each in counted)
        return None if cap.first <= place + 1 and len(counted) >= cap.most and movable else counted

    def _free(self, place: int) -> bool:
        return self._problem.mains[place].session_id not in self._problem.pinned
