"""What a channel is: it delivers one finished envelope, or raises DeliveryError. No channel lives here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Protocol
from urllib.parse import urlencode

from email_validator import EmailNotValidError, validate_email

from scheduler.core.calendar_entry import Entry, Method
from scheduler.core.value import lightweight

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


@lightweight
class Envelope:
    """One finished message to one recipient.

    `message_id` is the same at every attempt: channels hand it to their provider as the idempotency key. `channel` is
    how the recipient is reached (`email`, `sms`, `voice`), `to` an address or an E.164 number. Providers report back
    under `organization_id`. `calendar` are visits for the recipient's calendar, which takes them by `method`. `again`
    counts the times that it was taken and is meant to be once more: a call that nobody answered.
    """

    message_id: str
    sender_name: str
    to: str
    channel: str
    subject: str
    body: str
    locale: str = "en"
    headers: Mapping[str, str] = field(default_factory=dict)
    organization_id: str = ""
    calendar: Sequence[Entry] = ()
    method: Method = "PUBLISH"
    again: int = 0

    def __post_init__(self) -> None:
        # The id becomes a file name and a header: nothing but a plain name may pass.
        if not _NAME.fullmatch(self.message_id):
            msg = f"not a message id: {self.message_id!r}"
            raise ValueError(msg)


class DeliveryError(Exception):
    """The message was not taken, as far as anybody knows. `permanent` means that trying again is of no use.

    `unsure` means that it may have gone out all the same: it was handed over, and the answer is lost.
    `down` means that the whole channel is, and not this message's affair alone. `rest` are the seconds for which the
    receiver asked to be left alone. `detail` is one sentence for the staff; it never holds the text or the address.
    """

    def __init__(
        self, detail: str, *, permanent: bool, down: bool = False, rest: float | None = None, unsure: bool = False
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.permanent = permanent
        self.down = down
        self.rest = rest
        self.unsure = unsure


class Channel(Protocol):
    """A way out of the house.

    `drops_repeats` says that what is handed over twice under one message id reaches people once. Of a channel that
    keeps no such promise, a worker has few on their way at once (docs/decisions/0025).
    """

    drops_repeats: bool

    def deliver(self, envelope: Envelope) -> str | None:
        """Deliver, and return the provider's own id where it tells one. Raises DeliveryError and nothing else."""
        ...


def about(address: str, envelope: Envelope) -> str:
    """The address at which the provider speaks of this message."""
    return f"{address}?{urlencode({'organization': envelope.organization_id, 'message': envelope.message_id})}"


def one_address(text: str) -> str:
    """The one e-mail address in `text`, normalized. Raises a permanent DeliveryError for none, or for two."""
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).ascii_email or _no_ascii()
    except EmailNotValidError:
        raise DeliveryError("The address is not a single valid e-mail address.", permanent=True) from None


def one_number(text: str) -> str:
    """The phone number in `text` if it is E.164. Raises a permanent DeliveryError otherwise."""
    if not _E164.fullmatch(text):
        raise DeliveryError("The number is not an E.164 phone number.", permanent=True)
    return text


def _no_ascii() -> str:
    raise DeliveryError("The address needs SMTPUTF8, which is not supported.", permanent=True)
