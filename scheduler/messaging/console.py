"""The channel that prints: for a first look at the product, never for patients."""

from __future__ import annotations

import sys
from typing import TextIO

from scheduler.messaging.base import DeliveryError, Envelope


class Console:
    """Writes each message to `stream` (standard output unless given)."""

    #: Nobody but its reader sees any of it.
    drops_repeats = True

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def deliver(self, envelope: Envelope) -> None:
        """Write the message and its id, so that a repeat can be told."""
        lines = [f"--- {envelope.channel} {envelope.message_id} to {envelope.to} from {envelope.sender_name}"]
        lines += [f"Subject: {envelope.subject}"] if envelope.subject else []
        try:
            stream = self._stream or sys.stdout
            stream.write("\n".join([*lines, envelope.body.rstrip(), ""]))
            stream.flush()
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            raise DeliveryError("The console is not there to write to.", permanent=False) from error
