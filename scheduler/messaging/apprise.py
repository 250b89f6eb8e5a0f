"""The channel that tells the staff by whatever service they use, through Apprise: an optional extra, for staff only.

Apprise says no more of a failure than that it was one: nothing is final here but an address that makes no sense.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from importlib.util import find_spec

from scheduler.messaging.base import DeliveryError, Envelope


class Apprise:
    """Notifies an envelope's address, by one of these `schemes` and no other."""

    #: No service that is reached so knows a notice by its id; the crier tells one at a time.
    drops_repeats = False

    def __init__(self, schemes: Collection[str]) -> None:
        if find_spec("apprise") is None:
            msg = "staff notices need Apprise: install the extra `staff`"
            raise ValueError(msg)
        self._schemes = frozenset(schemes)

    def deliver(self, envelope: Envelope) -> None:
        """Notify it. The id stands in the text, by which people can tell a repeat."""
        from apprise import Apprise as Library  # takes long to load, and few processes need it

        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it would log addresses
        if envelope.to.partition("://")[0].lower() not in self._schemes:
            raise DeliveryError("The installation does not allow this service.", permanent=True)
        library = Library()
        if not library.add(envelope.to):
            raise DeliveryError("Apprise makes nothing of this address.", permanent=True)
        said = f"{envelope.sender_name}\n{envelope.body}\n[{envelope.message_id}]"
        if not library.notify(title=envelope.subject or "Tasks", body=said):
            raise DeliveryError("The service did not take it.", permanent=False)
