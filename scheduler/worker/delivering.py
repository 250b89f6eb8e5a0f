"""One worker's deliveries: claim what is due, deliver it with no transaction open, write down how it went.

Every message is a row, so a worker may die at any moment. When it works is in ticking, other duties in housekeeping.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from functools import partial
from queue import Empty, SimpleQueue
from uuid import UUID, uuid4

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.messaging import Channel, DeliveryError
from scheduler.services import outbox
from scheduler.services.outbox import Letter, Outcome
from scheduler.worker.hands import Clock, Hands, Sessions, complain, gate_of, wall_clock
from scheduler.worker.housekeeping import Housekeeper
from scheduler.worker.jobs import Runner
from scheduler.worker.letters import write_letter

log = logging.getLogger(__name__)

#: Messages that one worker has on their way at once, so that one slow answer does not hold up the rest.
CARRIERS = 4

#: How long a worker that cannot reach the database holds on to what it knows before it lets the lease run out.
_PATIENCE = (0.2, 1.0, 5.0)

_NOBODY = UUID(int=0)


class Worker(Hands):
    """One worker: `tick()` delivers everything that is due, `keep_house()` does the chores that are.

    `channels` maps `email` and `sms` to ways out.

    `sessions` makes database sessions, `lease` is how long a claimed message stays with a worker that went silent.
    """

    def __init__(
        self,
        sessions: Sessions,
        channels: Mapping[str, Channel],
        *,
        clock: Clock = wall_clock,
        lease: timedelta = timedelta(seconds=60),
        batch: int = 200,
    ) -> None:
        gate = gate_of(sessions)
        super().__init__(sessions, clock, gate)
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._channels, self._lease, self._batch = channels, lease, batch
        self._stopping = threading.Event()
        self._carriers = ThreadPoolExecutor(CARRIERS, thread_name_prefix="carrier")
        self._housekeeper = Housekeeper(sessions, clock, gate, self._stopping)
        self.jobs = Runner(sessions, clock, gate, self._stopping, lease=lease)

    def tick(self) -> int:
        """Deliver what is due, of every organization in turn, until nothing is. Returns how many rows were taken."""
        taken = 0
        while not self._stopping.is_set():
            in_round = sum(self._serve(organization_id) for organization_id in self.look(outbox.organizations_due))
            if not in_round:
                break
            taken += in_round
        self.transact(_NOBODY, lambda session, call: outbox.beat(session, call, self.name))
        return taken

    def keep_house(self) -> None:
        """Do the chores whose time has come."""
        self._housekeeper.keep_house()

    @property
    def house_moved_at(self) -> float:
        """On the monotonic clock, when a chore last went forward."""
        return self._housekeeper.moved_at

    def next_due(self) -> datetime | None:
        """When the next message falls due that is not due yet."""
        return self.look(outbox.next_due)

    def stop(self) -> None:
        """Begin nothing more. What is on its way is finished by the tick that runs."""
        self._stopping.set()

    def close(self) -> None:
        """Wait for what is on its way."""
        self._carriers.shutdown(wait=True)

    def _serve(self, organization_id: UUID) -> int:
        """Claim one batch of one organization and deliver it. A fault here is not the other organizations'."""
        if self._stopping.is_set():
            return 0
        token = uuid4()
        try:
            claimed = self.transact(
                organization_id,
                lambda session, call: outbox.claim(session, call, limit=self._batch, lease=self._lease, token=token),
            )
            for message_id, why in claimed.broken:
                log.error("message %s could not be prepared: %s", message_id, why)
            self._deliver_all(organization_id, claimed.letters)
        except Exception as error:  # noqa: BLE001 - the next organization and the next tick go on
            complain(f"organization {organization_id} could not be served", error)
            return 0
        return claimed.taken

    def _deliver_all(self, organization_id: UUID, letters: tuple[Letter, ...]) -> None:
        waiting: SimpleQueue[Letter] = SimpleQueue()
        for letter in letters:
            waiting.put(letter)
        carriers = [
            self._carriers.submit(self._carry, organization_id, waiting) for _ in range(min(CARRIERS, len(letters)))
        ]
        wait(carriers)
        left = list(iter(partial(_next, waiting), None))
        if left:
            self.transact(organization_id, lambda session, _: outbox.release(session, left))
        for carrier in carriers:
            carrier.result()

    def _carry(self, organization_id: UUID, waiting: SimpleQueue[Letter]) -> None:
        """Deliver one letter after the other. One transaction settles the last and begins the next."""
        outcome: Outcome | None = None
        while True:
            letter = None if self._stopping.is_set() else _next(waiting)
            if letter is None and outcome is None:
                return
            may_begin = self._turn(organization_id, outcome, letter)
            outcome = self._deliver(letter) if letter is not None and may_begin else None

    def _turn(self, organization_id: UUID, outcome: Outcome | None, letter: Letter | None) -> bool:
        def work(session: Session, call: Call) -> bool:
            if outcome is not None:
                outbox.settle(session, call, outcome)
            return letter is not None and outbox.begin_delivery(session, call, letter, self._lease)

        for pause in (*_PATIENCE, None):
            try:
                return self.transact(organization_id, work)
            except DBAPIError as error:
                complain("the outcome of a delivery could not be written", error)
                if pause is None:
                    break
                time.sleep(pause)
        return False

    def _deliver(self, letter: Letter) -> Outcome:
        """Deliver, with no transaction open. Whatever goes wrong is this message's alone."""
        try:
            text, envelope = write_letter(letter, self._clock())
        except Exception as error:  # noqa: BLE001
            complain(f"message {letter.id} could not be written", error)
            return Outcome(letter, f"It could not be written: {type(error).__name__}.")
        try:
            provider_id = self._channels[letter.channel].deliver(envelope)
        except DeliveryError as error:
            return Outcome(letter, error.detail, permanent=error.permanent)
        except Exception as error:  # noqa: BLE001
            complain(f"message {letter.id} met a broken channel", error)
            return Outcome(letter, f"The channel broke: {type(error).__name__}.")
        return Outcome(letter, provider_id=provider_id, subject=text.subject, body=text.body, locale=text.locale)


def _next(waiting: SimpleQueue[Letter]) -> Letter | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None
