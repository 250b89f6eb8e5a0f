"""One worker's deliveries: claim what is due, deliver it with no transaction open, write down how it went.

Every message is a row, so a worker may die at any moment. When it works is in ticking, other duties in housekeeping.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from scheduler.messaging import Channel, DeliveryError
from scheduler.services import outbox
from scheduler.services.chores import everyone
from scheduler.services.outbox import Claimed, Letter, Outcome
from scheduler.services.patient_links import Links
from scheduler.worker.carriers import Carriers
from scheduler.worker.carrying import Rounds, Written
from scheduler.worker.clockguard import ClockGuard
from scheduler.worker.handing import hand_over
from scheduler.worker.hands import Clock, Hands, Sessions, complain, gate_of, wall_clock
from scheduler.worker.housekeeping import Housekeeper
from scheduler.worker.jobs import Runner
from scheduler.worker.letters import write_letter
from scheduler.worker.staff import Crier
from scheduler.worker.tally import Tally
from scheduler.worker.underway import UnderWay
from scheduler.worker.ways import Ways
from scheduler.worker.webhooks import Courier

log = logging.getLogger(__name__)

#: Messages that one worker has on their way at once, so that one slow answer does not hold up the rest. As many may
#: be repeated, under the same id, when it dies: that is why so many leave only by channels that drop repeats.
AT_ONCE = 16
#: By a channel that does not, what is repeated is read twice.
AT_ONCE_UNSAFE = 1

#: So long after the database was away a worker takes over nobody's lease, in seconds: they all come back at once, and
#: whoever is alive says first what has left.
COURTESY = 10.0

_NOBODY = UUID(int=0)


class Worker(Hands):
    """One worker: `tick()` delivers everything that is due, `keep_house()` does the chores that are.

    `channels` maps `email`, `sms`, `voice` and `webhook` to ways out. `sessions` makes database sessions, `lease` is
    how long a claimed message stays with a worker that went silent. `at_once` are on their way together,
    `at_once_unsafe` of them by channels that do not drop repeats; by each channel no more leave in a second than
    `rates` says, by all workers together. While `guard` holds, for the clock can't be believed, nothing leaves, no
    chore is done and no pulse is left. With `links` messages lead to the patients' pages.
    """

    def __init__(
        self,
        sessions: Sessions,
        channels: Mapping[str, Channel],
        *,
        clock: Clock = wall_clock,
        lease: timedelta = timedelta(seconds=60),
        batch: int = 200,
        at_once: int = AT_ONCE,
        at_once_unsafe: int = AT_ONCE_UNSAFE,
        guard: ClockGuard | None = None,
        rates: Mapping[str, float] | None = None,
        links: Links | None = None,
    ) -> None:
        gate = gate_of(sessions)
        now = clock if guard is None else guard.believed
        super().__init__(sessions, now, gate)
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._channels, self._lease, self._batch = channels, lease, batch
        unsafe = {name for name, channel in channels.items() if not channel.drops_repeats}
        self._underway = UnderWay(unsafe, at_once_unsafe, at_once)
        self.tally, self._guard, self._links = Tally(), guard, links
        self._ways, self._turns = Ways(rates or {}, clock), 0
        self._stopping = threading.Event()
        self._carriers = Carriers(at_once)
        self._rounds: dict[UUID, Rounds] = {}
        self._housekeeper = Housekeeper(sessions, now, gate, self._stopping)
        self.jobs = Runner(sessions, now, gate, self._stopping, lease=lease)
        self.webhooks = Courier(sessions, now, gate, self._stopping, channel=channels.get("webhook"), lease=lease)
        self.staff = Crier(sessions, now, gate, self._stopping, channel=channels.get("staff"))

    def tick(self) -> int:
        """Deliver what is due, of every organization in turn, until nothing is. Returns how many rows were taken."""
        if self._is_held():
            return 0
        self._set_right()
        taken = 0
        if self._ways.has_rates:
            self._beat()  # the others are to know of this one before it takes its share
        self._catch_up()
        while self._may_begin():
            in_round = sum(self.serve(organization_id) for organization_id in self._in_turn())
            if not in_round:
                break
            taken += in_round
            self._beat()
        self._beat()
        return taken

    def _in_turn(self) -> list[UUID]:
        """Who has something due, each time beginning with another: where a rate leaves little room, all have some."""
        found = self.look(outbox.organizations_due)
        self._turns += 1
        first = self._turns % len(found) if found else 0
        return found[first:] + found[:first]

    def _may_begin(self) -> bool:
        return not (self._stopping.is_set() or (self._guard is not None and self._guard.has_leapt()))

    def _is_held(self) -> bool:
        return self._guard is not None and self._guard.holds()

    def _set_right(self) -> None:
        """After the clock has gone back: what was written by it meanwhile would wait for that time."""
        if self._guard is None or not self._guard.has_gone_back:
            return
        self._guard.has_gone_back = False  # before it is done: it may go back again meanwhile
        try:
            for organization_id in self.look(everyone):
                self.transact(organization_id, lambda session, call: outbox.set_right(session, call, self._lease))
        except Exception:
            self._guard.has_gone_back = True
            raise

    def _beat(self) -> None:
        if self._guard is not None and self._guard.has_leapt():
            return  # the mark that it would leave is what a clock is judged by later
        self.transact(_NOBODY, lambda session, call: outbox.beat(session, call, self.name, self.tally.document()))
        if self._ways.has_rates:
            self._ways.share_among(self.look(outbox.alive))

    def tell(self) -> None:
        """Set out to every webhook that something is due for, and to the staff."""
        if not self._is_held():
            self.webhooks.run_due()
            self.staff.run_due()

    def keep_house(self) -> None:
        """Do the chores whose time has come."""
        if not self._is_held():
            self._housekeeper.keep_house()

    @property
    def house_moved_at(self) -> float:
        """On the monotonic clock, when a chore last went forward."""
        return self._housekeeper.moved_at

    def next_due(self) -> datetime | None:
        """When the next message falls due that is not due yet, or a channel may be used that may not be now."""
        return min(filter(None, (self.look(outbox.next_due), self._ways.opens_at())), default=None)

    def stop(self) -> None:
        """Begin nothing more. What is on its way is finished by the tick that runs."""
        self._stopping.set()

    def close(self) -> None:
        """Wait for what is on its way, and say it if it has not been said."""
        self._stopping.set()
        self._carriers.close()
        self.webhooks.close()
        self.staff.close()
        self._catch_up()

    def _catch_up(self) -> None:
        """Say what could not be said while the database was away."""
        for organization_id, rounds in self._rounds.items():
            try:
                rounds.catch_up()
            except Exception as error:  # noqa: BLE001 - the next organization goes on
                complain(f"nobody could be told how deliveries of organization {organization_id} went", error)

    def serve(self, organization_id: UUID) -> int:
        """Claim one batch of one organization and deliver it. A fault here is not the other organizations'."""
        if self._stopping.is_set():
            return 0
        rounds = self._rounds_of(organization_id)
        try:
            rounds.catch_up()
            claimed = self._claim(organization_id)
            for message_id, why in claimed.broken:
                log.error("message %s could not be prepared: %s", message_id, why)
            rounds.see_through(claimed.letters)
        except Exception as error:  # noqa: BLE001 - the next organization and the next tick go on
            complain(f"organization {organization_id} could not be served", error)
            return 0
        return claimed.taken

    def _claim(self, organization_id: UUID) -> Claimed:
        token, takes_over = uuid4(), self.failed_at is None or time.monotonic() - self.failed_at > COURTESY
        return self.transact(
            organization_id,
            lambda session, call: outbox.claim(
                session,
                call,
                limit=self._batch,
                lease=self._lease,
                token=token,
                takes_over=takes_over,
                rooms=self._ways.rooms() | self._underway.stuck(),
                links=self._links,
            ),
        )

    def _rounds_of(self, organization_id: UUID) -> Rounds:
        if organization_id not in self._rounds:
            self._rounds[organization_id] = Rounds(
                self,
                organization_id,
                self._carriers,
                self._write,
                self._deliver,
                self._stopping,
                ways=self._ways,
                may_begin=self._may_begin,
                underway=self._underway,
                lease=self._lease,
            )
        return self._rounds[organization_id]

    def _write(self, letters: Sequence[Letter]) -> dict[UUID, Written]:
        """What is said in them, all at one moment."""
        now = self._clock()
        return {letter.id: self._written(letter, now) for letter in letters}

    def _written(self, letter: Letter, now: datetime) -> Written:
        """Whatever goes wrong is this message's alone."""
        try:
            return write_letter(letter, now)
        except Exception as error:  # noqa: BLE001
            complain(f"message {letter.id} could not be written", error)
            return f"It could not be written: {type(error).__name__}."

    def _deliver(self, letter: Letter, written: Written) -> Outcome:
        """Deliver, with no transaction open, and count it."""
        outcome = self._hand_over(letter, written)
        self._ways.ended(letter.channel, down=outcome.down)
        self.tally.add(outcome, self._clock())
        return outcome

    def _hand_over(self, letter: Letter, written: Written) -> Outcome:
        if isinstance(written, str):
            return Outcome(letter, written)
        text, envelope = written
        taken = hand_over(self._channels[letter.channel], envelope, f"message {envelope.message_id}")
        if isinstance(taken, DeliveryError):
            return Outcome(letter, taken.detail, permanent=taken.permanent, down=taken.down, unsure=taken.unsure)
        return Outcome(letter, provider_id=taken, subject=text.subject, body=text.body, locale=text.locale)
