"""The channel that keeps each message as one .eml file in a folder: for trials, and for whoever collects them there.

The file is named by the message id, so the same message delivered twice is one file: it replaces itself, atomically.
"""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from scheduler.messaging.base import DeliveryError, Envelope
from scheduler.messaging.mail import as_mail


class File:
    """Writes into `folder`, which is made when it is not there."""

    #: The file replaces itself.
    drops_repeats = True

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def deliver(self, envelope: Envelope) -> str:
        """Write `<message id>.eml` and return that name."""
        name = f"{envelope.message_id}.eml"
        draft = self._folder / f".{name}.{uuid4().hex}"
        content = as_mail(envelope, sender="scheduler@localhost", to=envelope.to).as_bytes()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(content)
            draft.replace(self._folder / name)
        except OSError as error:
            raise DeliveryError(f"The outbox cannot be written: {error.strerror}.", permanent=False) from error
        return name
