"""Getting one batch of letters delivered: several on their way at once, and one short transaction for all that is ripe.

Each transaction writes down every delivery that has ended and lets as many begin as there are carriers free, who start
at once. So nothing waits for a slow provider, and little is paid for each message, while whatever begins was looked at
just before. What a delivery is lives in `delivering`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Event
from uuid import UUID

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.services import outbox
from scheduler.services.outbox import Letter, Outcome
from scheduler.worker.hands import Hands, complain

#: Between tries to reach a database that is away, in seconds.
_PAUSES = (0.2, 0.5, 1.0)

#: How long a worker that is to stop still tries to write down what it delivered, in seconds.
LAST_WORDS = 5.0


class Round:
    """The deliveries of one batch of one organization. `deliver` is called in a carrier's thread, and never raises."""

    def __init__(
        self,
        hands: Hands,
        organization_id: UUID,
        carriers: ThreadPoolExecutor,
        deliver: Callable[[Letter], Outcome],
        stopping: Event,
        *,
        at_once: int,
        lease: timedelta,
    ) -> None:
        self._hands, self._organization_id, self._carriers = hands, organization_id, carriers
        self._deliver, self._stopping, self._at_once, self._lease = deliver, stopping, at_once, lease
        self._ended: SimpleQueue[Outcome] = SimpleQueue()

    def see_through(self, letters: Sequence[Letter]) -> None:
        """Deliver them all; when told to stop, finish what is on its way and give back the rest."""
        waiting, under_way = deque(letters), 0
        while under_way or waiting:
            ended = self._ripe(wait=under_way > 0 and (under_way == self._at_once or not waiting))
            under_way -= len(ended)
            if self._stopping.is_set():
                left = list(waiting)
                waiting.clear()
                self._turn(ended, (), left)
                continue
            free = min(self._at_once - under_way, len(waiting))
            for letter in self._turn(ended, [waiting.popleft() for _ in range(free)]):
                self._carriers.submit(self._carry, letter)
                under_way += 1

    def _carry(self, letter: Letter) -> None:
        self._ended.put(self._deliver(letter))

    def _ripe(self, *, wait: bool) -> list[Outcome]:
        """All outcomes that are there; with `wait`, at least one."""
        found = [self._ended.get()] if wait else []
        try:
            while True:
                found.append(self._ended.get_nowait())
        except Empty:
            return found

    def _turn(
        self, ended: Sequence[Outcome], wanted: Sequence[Letter], left: Sequence[Letter] = ()
    ) -> Sequence[Letter]:
        """Write down what ended, give back what is left, and say who may begin.

        While the database is away, this is tried for as long as the leases may still be ours.
        """
        if not (ended or wanted or left):
            return ()

        def work(session: Session, call: Call) -> tuple[Letter, ...]:
            outbox.settle(session, call, ended)
            outbox.release(session, left)
            return outbox.begin_deliveries(session, call, wanted, self._lease)

        began, tries = time.monotonic(), 0
        while True:
            try:
                return self._hands.transact(self._organization_id, work)
            except (DataError, IntegrityError) as error:
                if len(ended) == 1 and not wanted:
                    complain(f"message {ended[0].letter.id} could not be settled", error)
                    return ()
                for outcome in ended:  # one that cannot be written must not take the others along
                    self._turn([outcome], ())
                return self._turn((), wanted, left) if ended else ()
            except DBAPIError as error:
                complain("the database could not be told how deliveries went", error)
                patience = LAST_WORDS if self._stopping.is_set() else self._lease.total_seconds()
                if time.monotonic() - began > patience:
                    return ()
                time.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
                tries += 1
