"""The search for the best repair: one pass by urgency, one course after the other, and then some of them anew.

A few orders are tried, and the best one counts, so that no repair is worse than one course after the other. A job goes
on from there: whoever found no place, or has to move, is settled once more before some of those around it, and what is
no better is put back. No clock: the caller goes from step to step for as long as it likes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.intervals import Span
from scheduler.models import Appointment
from scheduler.services.disruptions.lines import Line
from scheduler.services.disruptions.proposing import Repair, Settled
from scheduler.services.disruptions.scene import look

#: As many others at most are settled anew with one.
MOST_LIFTED = 5
#: Rounds without a better total after which nothing more is expected.
PATIENCE = 200
_DAY = 24 * 60 * 60


class Total(NamedTuple):
    """What is to be as small as possible: visits without a way, how urgent these are, who moves, and by how much."""

    lost: int
    urgency: int
    moved: int
    days: int


def propose(session: Session, call: Call, resource_id: UUID, span: Span) -> tuple[Line, ...]:
    """What becomes of each visit that the resource's absence touches, and of those that make room; by their starts."""
    return begin(session, call, resource_id, span).lines


def begin(session: Session, call: Call, resource_id: UUID, span: Span, *, rounds: int = 0, seed: int = 0) -> Search:
    """Read everything, and find the repair with which the search begins."""
    scene = look(session, call, resource_id, span)
    return Search(None if scene is None else Repair(scene, resource_id, call.now), rounds, seed)


@dataclass
class Search:
    """A repair that becomes better, or stays as it is. None: nobody is struck."""

    _repair: Repair | None
    rounds: int = 0
    seed: int = 0
    #: How many rounds were made.
    made: int = 0
    #: What one course after the other amounts to.
    one_by_one: Total = field(init=False, default=Total(0, 0, 0, 0))
    #: What each course amounts to by itself, as if the others of the repair were not there: nothing better is expected.
    alone: Total = field(init=False, default=Total(0, 0, 0, 0))
    _parties: dict[UUID, list[Appointment]] = field(init=False, default_factory=dict)
    _rank: dict[UUID, int] = field(init=False, default_factory=dict)
    _hopeless: set[UUID] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        if self._repair is None:
            return
        self._parties = self._repair.parties()
        self._rank = {row.id: place for place, rows in enumerate(reversed(self._parties.values())) for row in rows}
        by_time = sorted(self._parties, key=self._turn)
        for party in by_time:
            self._settle(party)
        self.one_by_one = self.total
        # Whoever stands in for a group is worth as many as are in it; but a single visit may have nobody else.
        if any(map(self._size, self._parties)):
            self._stand_in_first(sorted(self._parties, key=self._size, reverse=True))
        self._stand_in_first([*self._parties])

    def _stand_in_first(self, order: Sequence[UUID]) -> None:
        """Let others serve whom they can, in that order, and move the rest; all is back as it was if that is worse."""
        total, before = self.total, self._lift(order)
        waiting = [party for party in order if not self._stand_in(party)]
        for party in waiting:
            self._find_room(party)
        if self.total > total:
            self._put_back(before)

    def _size(self, party: UUID) -> int:
        """How many are in a group; 0 for what is none."""
        rows = self._parties[party]
        return len(rows) if rows[0].group_id is not None else 0

    def _turn(self, party: UUID) -> tuple[datetime, int, UUID]:
        """By time; of those who begin together the largest group comes first."""
        return self._parties[party][0].starts_at, -self._size(party), party

    @property
    def lines(self) -> tuple[Line, ...]:
        """One for each visit, by their starts."""
        lines = self._repair.told() if self._repair else ()
        return tuple(sorted(lines, key=lambda line: (line.start, line.appointment_id)))

    @property
    def total(self) -> Total:
        """What the repair amounts to."""
        return self._of(self._repair.lines.values() if self._repair else ())

    def _of(self, lines: Iterable[Line]) -> Total:
        lost, urgency, moved, days = 0, 0, 0, 0
        for line in lines:
            if line.to is None:
                lost, urgency = lost + 1, urgency + 1 + self._rank.get(line.appointment_id, 0)
            elif line.outcome == "moved":
                moved, days = moved + 1, days + round(abs((line.to - line.start).total_seconds()) / _DAY)
        return Total(lost, urgency, moved, days)

    def steps(self) -> Iterator[tuple[float, str]]:
        """Search, one course or one round at a time: (how far of 0 to 1, what happens now). May be left at any step."""
        yield from self._by_themselves()
        random, idle = Random(self.seed), 0  # noqa: S311 - it shuffles courses, not secrets
        while self.made < self.rounds and idle < PATIENCE and self.total > self.alone:
            before, wanted = self.total, self._wanted(random)
            if wanted is None:
                return
            self._round(random, wanted)
            idle = 0 if self.total < before else idle + 1
            self.made += 1
            yield self.made / self.rounds, "improving"

    def _by_themselves(self) -> Iterator[tuple[float, str]]:
        """Nobody is better off with others about."""
        found = [self._of(self._seen_to())]
        for party, rows in self._parties.items():
            before = self._lift(self._parties, gone=True)
            self._lift([party])
            self._settle(party)
            found.append(self._of(self._repair.lines_of(party)) if self._repair else self.alone)
            if found[-1].lost == len(rows):
                self._hopeless.add(party)
            self._lift([party])
            self._put_back(before)
            yield 0.0, "bounding"
        self.alone = Total(*map(sum, zip(*found, strict=True)))

    def _seen_to(self) -> list[Line]:
        """The lines that nothing can be done about: of what is under way."""
        settled = {row.id for rows in self._parties.values() for row in rows}
        lines = self._repair.lines.values() if self._repair else ()
        return [line for line in lines if line.appointment_id not in settled and line.struck]

    def _wanted(self, random: Random) -> UUID | None:
        """Somebody without a way who could have one; else somebody who has to move."""
        lines = self._repair.lines if self._repair else {}
        for outcome in ("broken", "moved"):
            some = [
                party
                for party, rows in self._parties.items()
                if party not in self._hopeless and any(lines[row.id].outcome == outcome for row in rows)
            ]
            if some:
                return random.choice(some)
        return None

    def _round(self, random: Random, wanted: UUID) -> None:
        """Settle one anew before some of those around it; all is back as it was where that is worse."""
        when, before = self._parties[wanted][0].starts_at, self.total
        others = sorted(
            (party for party in self._parties if party != wanted),
            key=lambda party: abs((self._parties[party][0].starts_at - when).total_seconds()) * random.random(),
        )[: random.randint(1, MOST_LIFTED)]
        random.shuffle(others)
        lifted = self._lift([wanted, *others])
        for party in (wanted, *others):
            self._settle(party)
        if self.total > before or any(map(self._displaced, (wanted, *others))):
            self._put_back(lifted)

    def _settle(self, party: UUID) -> None:
        if not self._stand_in(party):
            self._find_room(party)
        displaced = self._displaced(party)
        if displaced is not None and self._repair is not None:
            self._repair.find_room(displaced)

    def _displaced(self, party: UUID) -> Appointment | None:
        return self._repair.displaced(party) if self._repair else None

    def _stand_in(self, party: UUID) -> bool:
        """Whether others serve all of its visits at their time; those of which that is so are settled."""
        assert self._repair is not None  # noqa: S101 - there are no parties without
        return self._repair.stand_in(self._parties[party])

    def _find_room(self, party: UUID) -> None:
        assert self._repair is not None  # noqa: S101 - there are no parties without
        for row in self._parties[party]:
            if row.id not in self._repair.lines:
                self._repair.find_room(row)

    def _lift(self, parties: Iterable[UUID], *, gone: bool = False) -> dict[UUID, Settled]:
        found: dict[UUID, Settled] = {}
        for party in parties:
            found |= self._repair.lift(party, gone=gone) if self._repair else {}
        return found

    def _put_back(self, settled: Mapping[UUID, Settled]) -> None:
        if self._repair is not None:
            self._repair.put_back(settled)
