"""Getting one organization's letters delivered: several on their way at once, one transaction for all that is ripe.

Each transaction writes down every delivery that has ended and lets as many begin as the carriers take up within a
moment. So nothing waits for a slow provider, and little is paid for each message, while whatever begins was looked at
just before. What a delivery is lives in `delivering`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from threading import Event
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.messaging import Envelope
from scheduler.messaging.render import Text
from scheduler.services import outbox
from scheduler.services.outbox import Letter, Outcome
from scheduler.worker.carriers import Arrivals, Carriers, Pace, is_fresh
from scheduler.worker.clockguard import seconds_since_boot
from scheduler.worker.hands import Hands, complain, is_away
from scheduler.worker.underway import PATIENCE, UnderWay
from scheduler.worker.ways import Ways

log = logging.getLogger(__name__)

#: The words of a letter and what a channel is handed, or why it could not be written.
Written = tuple[Text, Envelope] | str

#: Between tries to reach a database that is away, in seconds.
_PAUSES = (0.2, 0.5, 1.0)

#: A transaction waits for more deliveries to end, half as long as the last one took, and no longer than half of this.
_LONGEST_LINGERING = 0.05

#: How long a worker that is to stop still tries to write down what it delivered, in seconds.
LAST_WORDS = 5.0


class _Carried(NamedTuple):
    """A letter that a carrier is done with: how its delivery went and how long it took, None when it did not leave."""

    key: object
    letter: Letter
    outcome: Outcome | None
    took: float


class Rounds:
    """The deliveries of one organization, one batch after the other.

    `write` makes of letters what is to be delivered, by id: here, since carriers that all write at once hinder each
    other, and before the last look, so that what may begin leaves at once. `deliver` runs in a carrier. Neither raises.

    What the database could not be told for a long time is kept in mind: `catch_up` says it before more is claimed, so
    that what has left is not handed over again while this process lives. So does it for what had hung, for which
    nobody waits.
    """

    def __init__(
        self,
        hands: Hands,
        organization_id: UUID,
        carriers: Carriers,
        write: Callable[[Sequence[Letter]], Mapping[UUID, Written]],
        deliver: Callable[[Letter, Written], Outcome],
        stopping: Event,
        *,
        ways: Ways,
        may_begin: Callable[[], bool],
        underway: UnderWay,
        lease: timedelta,
    ) -> None:
        self._hands, self._organization_id, self._carriers = hands, organization_id, carriers
        self._write, self._deliver = write, deliver
        self._stopping, self._lease = stopping, lease
        self._ways, self._underway = ways, underway
        # A key of its own for each delivery: a message may be claimed anew while an older claim of it still hangs.
        self._away: dict[object, UUID] = {}
        self._may_begin = may_begin
        self._arriving: Arrivals[_Carried] = Arrivals()
        self._pace = Pace(carriers.count)
        self._again, self._failing = set[UUID](), set[str]()
        self._ended: list[Outcome] = []
        self._left: list[Letter] = []
        self._turns_take = 0.0

    def catch_up(self) -> None:
        """Tell the database what it has not been told yet. Raises when it can't be."""
        bounced = deque[Letter]()
        self._hear(bounced, wait=False)
        self._give_back(bounced)
        self._turn(())

    def see_through(self, letters: Sequence[Letter]) -> None:
        """Deliver them all; when no more may begin, or the database stays away, finish what is on its way.

        What hangs is waited for by nobody: `catch_up` writes down how it went.
        """
        waiting = deque(letters)
        self._again &= set(self._away.values())
        try:
            while self._moving() or waiting:
                is_full = self._moving() >= self._pace.room or not self._may_leave(waiting)
                self._hear(waiting, wait=is_full)
                if not self._may_begin():
                    self._give_back(waiting)
                wanted = self._next(waiting, self._pace.room - self._moving())
                written = self._write(wanted)
                self._leave(written, self._turn(wanted))
        except Exception:
            self._give_back(waiting)
            while self._moving():
                self._hear(waiting, wait=True)
            self._give_back(waiting)
            raise

    def _moving(self) -> int:
        """How many are on their way and do not hang."""
        return self._underway.moving(self._away)

    def _leave(self, written: Mapping[UUID, Written], begun: Sequence[Letter]) -> None:
        looked_at = seconds_since_boot()  # a machine that slept meanwhile has looked long ago
        self._failing.clear()
        jobs: list[Callable[[], None]] = []
        for letter in begun:
            self._ways.leaves(letter.channel)
            self._away[key := object()] = letter.id
            self._underway.begins(letter.channel, key)
            jobs.append(partial(self._carry, key, letter, written[letter.id], looked_at))
        self._carriers.give(*jobs)

    def _may_leave(self, waiting: deque[Letter]) -> bool:
        """Whether any of them may, as far as what is on its way decides."""
        return bool(waiting and self._underway.room()) or any(
            not self._underway.holds(letter.channel) for letter in waiting
        )

    def _next(self, waiting: deque[Letter], free: int) -> list[Letter]:
        """Who may try to begin. Whose channel has shut meanwhile, or has no room, is given back; some must wait."""
        rooms = self._ways.rooms() | self._underway.stuck()
        wanted, waits, unsafe = list[Letter](), list[Letter](), self._underway.room()
        while waiting and len(wanted) < free:
            letter = waiting.popleft()
            room = rooms.get(letter.channel)
            if room == 0:
                self._left.append(letter)
                continue
            if self._underway.holds(letter.channel):
                if not unsafe:
                    waits.append(letter)
                    continue
                unsafe -= 1
            if room is not None:
                rooms[letter.channel] = room - 1
            wanted.append(letter)
        waiting.extendleft(reversed(waits))
        return wanted

    def _carry(self, key: object, letter: Letter, written: Written, looked_at: float) -> None:
        outcome, began = None, time.monotonic()
        # Where a channel has just failed, what began together with that is not thrown after it.
        if is_fresh(looked_at) and letter.channel not in self._failing:
            outcome = self._deliver(letter, written)
            if outcome.down:
                self._failing.add(letter.channel)
        self._arriving.put(_Carried(key, letter, outcome, time.monotonic() - began))

    def _hear(self, waiting: deque[Letter], *, wait: bool) -> None:
        """Note what has ended; with `wait` at least one, and those that end about when it does.

        It is waited for no longer than the patience: by then what is on its way hangs. What did not leave waits for
        another look.
        """
        heard: list[_Carried] = []
        if self._away:
            heard += self._arriving.take(1, PATIENCE if wait else 0)
        if wait and not heard:
            self._carriers.relieve()
        still = self._moving() - len(heard)
        if heard and still > 0:
            heard += self._arriving.take(still, self._turns_take / 2)
        for one in heard:
            self._away.pop(one.key, None)
            self._underway.ended(one.key)
            if one.outcome is None:
                self._again.add(one.letter.id)
                waiting.appendleft(one.letter)
        self._ended += [one.outcome for one in heard if one.outcome is not None]
        self._pace.note([one.took for one in heard], smooth=not self._failing)

    def _give_back(self, waiting: deque[Letter]) -> None:
        self._left += waiting
        waiting.clear()

    def _turn(self, wanted: Sequence[Letter]) -> Sequence[Letter]:
        """Write down what ended, give back what is left, and say who of those that are wanted may begin.

        While the database is away, this is tried for as long as the leases may still be ours.
        """
        if not (self._ended or self._left or wanted):
            return ()
        began, tries = time.monotonic(), 0
        while True:
            try:
                return self._tell(wanted)
            except Exception as error:
                if not is_away(error):
                    raise
                complain("the database could not be told how deliveries went", error)
                patience = LAST_WORDS if self._stopping.is_set() else self._lease.total_seconds()
                if time.monotonic() - began > patience:
                    self._left += wanted
                    raise
            time.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1

    def _tell(self, wanted: Sequence[Letter]) -> Sequence[Letter]:
        def work(session: Session, call: Call) -> tuple[Letter, ...]:
            return outbox.turn(session, call, self._ended, self._left, wanted, self._lease, self._again)

        began = time.monotonic()
        try:
            begun = self._hands.transact(self._organization_id, work)
        except Exception as error:
            if is_away(error) or not self._ended:
                raise
            self._tell_one_by_one()
            return self._tell(wanted)
        self._turns_take = min(time.monotonic() - began, _LONGEST_LINGERING)
        self._ended.clear()
        self._left.clear()
        return begun

    def _tell_one_by_one(self) -> None:
        """One that can't be written must not take the others along: it is said at least that it has left."""
        while self._ended:
            outcome = self._ended[-1]
            if not (self._settled(outcome) or self._settled(outcome._replace(provider_id=None, subject="", body=""))):
                log.critical("message %s will be sent again, for nobody can be told that it was", outcome.letter.id)
            self._ended.pop()

    def _settled(self, outcome: Outcome) -> bool:
        try:
            self._hands.transact(self._organization_id, lambda session, call: outbox.settle(session, call, [outcome]))
        except Exception as error:
            if is_away(error):
                raise
            complain(f"message {outcome.letter.id} could not be settled", error)
            return False
        return True
