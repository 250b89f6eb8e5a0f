"""Carrying events to webhooks, beside the messages: an address that hangs holds up no patient, and no other address.

What is owed are rows; a worker may die at any moment, and the receiver tells a repeat by its id.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

from scheduler.messaging import Channel, DeliveryError, Envelope
from scheduler.messaging.webhook import signed
from scheduler.services import webhooks
from scheduler.services.webhooks import Arrival, Parcel
from scheduler.worker.handing import hand_over
from scheduler.worker.hands import Clock, Gate, Hands, Sessions, complain

#: Addresses that are served at once.
AT_ONCE = 4
#: Parcels of one address that are taken at once; one after the other leaves.
BATCH = 20


class Courier(Hands):
    """Serves each address that something is due for, in a thread of its own; `channel` carries."""

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        gate: Gate,
        stopping: threading.Event,
        *,
        channel: Channel | None,
        lease: timedelta,
    ) -> None:
        super().__init__(sessions, clock, gate)
        self._stopping, self._channel = stopping, channel
        self._lease = max(lease, timedelta(minutes=10))  # as long as a batch may take
        self._carriers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="courier")
        #: The addresses that somebody is on the way to; `idle` tells when one has been served.
        self.busy: set[UUID] = set()
        self.idle = threading.Condition()

    def run_due(self) -> int:
        """Set out for every address that something is due for and that nobody here is on the way to. Does not wait."""
        if self._channel is None:
            return 0
        begun = 0
        for organization_id, webhook_id in self.look(webhooks.due):
            with self.idle:
                if self._stopping.is_set() or webhook_id in self.busy:
                    continue
                self.busy.add(webhook_id)
            self._carriers.submit(self._serve, organization_id, webhook_id)
            begun += 1
        return begun

    def close(self) -> None:
        """Wait for what is on its way."""
        self._carriers.shutdown(wait=True)

    def _serve(self, organization_id: UUID, webhook_id: UUID) -> None:
        """Deliver what is due for one address, until nothing is or something fails."""
        try:
            while not self._stopping.is_set() and self._batch(organization_id, webhook_id):
                pass
        except Exception as error:  # noqa: BLE001 - the next tick goes on
            complain(f"webhook {webhook_id} could not be served", error)
        finally:
            with self.idle:
                self.busy.discard(webhook_id)
                self.idle.notify_all()

    def _batch(self, organization_id: UUID, webhook_id: UUID) -> bool:
        """One batch; whether there may be more. After a failure the rest is given back: the next tick tries one."""
        token = uuid4()
        parcels = self.transact(
            organization_id,
            lambda s, call: webhooks.claim(s, call, webhook_id, limit=BATCH, lease=self._lease, token=token),
        )
        for place, parcel in enumerate(parcels):
            arrival = self._carry(parcel)
            left = parcels[place + 1 :] if arrival.error or self._stopping.is_set() else []
            self.transact(organization_id, partial(webhooks.settle, arrival=arrival, left=left))
            if arrival.error or left:
                return False
        return bool(parcels)

    def _carry(self, parcel: Parcel) -> Arrival:
        """Deliver, with no transaction open."""
        assert self._channel is not None  # noqa: S101 - asked before
        headers = signed(str(parcel.id), parcel.secrets, self._clock(), parcel.body)
        envelope = Envelope(
            message_id=str(parcel.id),
            sender_name="",
            to=parcel.url,
            channel="webhook",
            subject="",
            body=parcel.body,
            headers=headers,
            organization_id=str(parcel.organization_id),
        )
        taken = hand_over(self._channel, envelope, f"webhook delivery {parcel.id}")
        if isinstance(taken, DeliveryError):
            return Arrival(parcel, taken.detail, gone=taken.permanent, rest=taken.rest)
        return Arrival(parcel)
