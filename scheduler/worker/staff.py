"""Telling the staff that tasks are due, beside all else that a worker does. What is told is services/staff_notices'."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

from scheduler.messaging import Channel, DeliveryError, Envelope
from scheduler.services import staff_notices
from scheduler.services.staff_notices import Notice
from scheduler.worker.handing import hand_over
from scheduler.worker.hands import Clock, Gate, Hands, Sessions, complain

#: As long as any service may take, and a good while more.
_LEASE = timedelta(minutes=10)


class Crier(Hands):
    """One worker's notices, one after the other in a thread of its own. Without a `channel` there are none."""

    def __init__(
        self, sessions: Sessions, clock: Clock, gate: Gate, stopping: threading.Event, *, channel: Channel | None
    ) -> None:
        super().__init__(sessions, clock, gate)
        self._stopping, self._channel = stopping, channel
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="crier")
        self._busy = threading.Lock()

    def run_due(self) -> None:
        """Set out to every address that something is to be told at. Does not wait, and sets out once at a time."""
        if self._channel is None or self._stopping.is_set() or not self._busy.acquire(blocking=False):
            return
        self._thread.submit(self._round)

    def close(self) -> None:
        """Wait for what is on its way."""
        self._thread.shutdown(wait=True)

    def _round(self) -> None:
        try:
            for organization_id, address_id in self.look(staff_notices.due):
                if not self._stopping.is_set():
                    self.tell(organization_id, address_id)
        except Exception as error:  # noqa: BLE001 - the next tick goes on
            complain("the staff could not be told", error)
        finally:
            self._busy.release()

    def tell(self, organization_id: UUID, address_id: UUID) -> None:
        """Tell one address what there is to tell, if anything, with no transaction open while it leaves."""
        token = uuid4()
        notice = self.transact(
            organization_id, lambda s, call: staff_notices.claim(s, call, address_id, lease=_LEASE, token=token)
        )
        if notice is not None:
            error = self._carry(notice)
            self.transact(organization_id, lambda s, call: staff_notices.settle(s, call, notice, error))

    def _carry(self, notice: Notice) -> str:
        """Why it did not arrive; nothing when it did."""
        assert self._channel is not None  # noqa: S101 - asked before
        envelope = Envelope(
            message_id=notice.id,
            sender_name=notice.sender,
            to=notice.url,
            channel="staff",
            subject=notice.title,
            body=notice.body,
            organization_id=str(notice.organization_id),
        )
        taken = hand_over(self._channel, envelope, f"staff address {notice.address_id}")
        return taken.detail if isinstance(taken, DeliveryError) else ""
