"""Carrying out jobs: one at a time, under a lease that is renewed, in short transactions. What one does is a service.

A worker that dies leaves a lease, which runs out: another one begins the job anew. One that is to stop gives it back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from scheduler.core.call import Call
from scheduler.core.errors import SchedulingError
from scheduler.services import jobs
from scheduler.services.job_kinds import KINDS, Work
from scheduler.services.jobs import Claimed
from scheduler.worker.hands import Clock, Gate, Hands, Sessions, complain

#: How often a job says how far it is, in seconds.
REPORTED_EVERY = 1.0


class Runner(Hands):
    """Carries out jobs. `lease` is how long a job stays with a worker that went silent; `stopwatch` is monotonic."""

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        gate: Gate,
        stopping: threading.Event,
        *,
        lease: timedelta,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(sessions, clock, gate)
        self._stopping, self._lease, self._stopwatch = stopping, lease, stopwatch

    def run_due(self) -> int:
        """Carry out every job that nobody holds, of one organization after the other. Returns how many."""
        done = 0
        for organization_id in self.look(jobs.organizations_due):
            while not self._stopping.is_set() and self.run(organization_id):
                done += 1
        return done

    def run(self, organization_id: UUID) -> bool:
        """Take one job of the organization and see it through; False when there is none that nobody holds."""
        token = uuid4()
        held = self.transact(organization_id, lambda s, call: jobs.claim(s, call, lease=self._lease, token=token))
        if held is None:
            return False
        try:
            self._carry_out(organization_id, held)
        except SchedulingError as refusal:
            why = refusal
            self.transact(organization_id, lambda s, call: jobs.fail(s, call, held, why))
        except Exception as error:  # noqa: BLE001 - one bad job must not end the worker
            complain(f"job {held.id} failed", error)
            self.transact(organization_id, lambda s, call: jobs.fail(s, call, held, None))
        return True

    def _carry_out(self, organization_id: UUID, held: Claimed) -> None:
        work = self.transact(organization_id, lambda s, call: KINDS[held.kind](s, _as_asked(call, held), held.request))
        if self._think(organization_id, held, work):
            self.transact(organization_id, lambda s, call: _written(s, _as_asked(call, held), held, work))

    def _think(self, organization_id: UUID, held: Claimed, work: Work) -> bool:
        """Go from step to step until the work or its time is over; False when the job is not ours any more."""
        began = said = self._stopwatch()
        for progress, word in work.steps():
            now = self._stopwatch()
            if self._stopping.is_set():
                self.transact(organization_id, lambda s, call: jobs.give_back(s, call, held))
                return False
            if now - said >= REPORTED_EVERY:
                said = now
                far = max(progress, (now - began) / held.seconds)
                if not self._report(organization_id, held, far, word):
                    return False
            if now - began >= held.seconds:
                break
        return True

    def _report(self, organization_id: UUID, held: Claimed, far: float, word: str) -> bool:
        return self.transact(organization_id, lambda s, call: jobs.report(s, call, held, far, word, self._lease))


def _as_asked(call: Call, held: Claimed) -> Call:
    """The work is done in the name of who asked for it."""
    return Call(call.now, call.organization_id, held.actor, last_try=call.last_try)


def _written(session: Session, call: Call, held: Claimed, work: Work) -> None:
    if jobs.still_held(session, call, held):
        result: Mapping[str, Any] = work.write(session, call)
        jobs.finish(session, call, held, result)
