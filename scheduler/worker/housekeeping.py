"""Doing the chores: which are due by the monotonic clock, one organization after the other, each fault kept apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from scheduler.services.chores import CHORES, Chore
from scheduler.worker.hands import Clock, Gate, Hands, Sessions, complain

#: As many turns one organization may take before the chore waits for its next time.
TURNS = 1000


class Housekeeper(Hands):
    """Does each chore at its own interval, whatever the wall clock does. `keep_house()` is never run twice at once."""

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        gate: Gate,
        stopping: threading.Event,
        *,
        chores: Sequence[Chore] = CHORES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(sessions, clock, gate)
        self._stopping, self._chores, self._monotonic = stopping, chores, monotonic
        self._next: dict[str, float] = {}

    def keep_house(self) -> None:
        """Do every chore whose time has come; at the first call that is every one."""
        for chore in self._chores:
            began = self._monotonic()
            if not self._stopping.is_set() and began >= self._next.get(chore.key, began):
                self._next[chore.key] = began + chore.every.total_seconds()
                self._do(chore)

    def _do(self, chore: Chore) -> None:
        """The chore for everybody, in turns, so that the one with the most to do does not keep the rest waiting."""
        try:
            waiting = list(self.look(chore.due))
        except Exception as error:  # noqa: BLE001 - the next chore goes on
            complain(f"nobody could say for whom {chore.key} is due", error)
            return
        for _ in range(TURNS):
            waiting = [organization_id for organization_id in waiting if self._turn(chore, organization_id)]
            if not waiting:
                return

    def _turn(self, chore: Chore, organization_id: UUID) -> bool:
        """One transaction of it; whether there is more. A fault is this organization's alone, and this chore's."""
        if self._stopping.is_set():
            return False
        try:
            return self.transact(organization_id, chore.work)
        except Exception as error:  # noqa: BLE001 - the next organization and the next chore go on
            complain(f"{chore.key} of organization {organization_id} could not be done", error)
            return False
