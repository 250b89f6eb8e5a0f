"""The channel that sends SMS over a Twilio-shaped API, and how anything is posted there.

Twilio keeps no promise to take one message once: a repeat after a lost answer may arrive twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.messaging.base import Envelope, about, one_number
from scheduler.messaging.posting import checked_url, named, post

_VERSION = "2010-04-01"


class Account:
    """An account there: posts to one of its resources, and asks to be told what became of it."""

    def __init__(self, account: str, token: str, url: str, *, timeout: float) -> None:
        if not (account.isalnum() and token):
            msg = "Twilio needs an account and its token"
            raise ValueError(msg)
        self._url = f"{checked_url(url, 'Twilio').rstrip('/')}/{_VERSION}/Accounts/{account}"
        self._auth, self._timeout = (account, token), timeout

    def post(self, what: str, resource: str, envelope: Envelope, form: Mapping[str, str], *, key: str) -> str | None:
        """Post it, and return their id of it. 4xx is permanent but for those in TRANSIENT."""
        form = {"To": one_number(envelope.to), **form}
        headers = {"I-Twilio-Idempotency-Token": key}
        url = f"{self._url}/{resource}.json"
        return named(post(what, url, timeout=self._timeout, data=form, auth=self._auth, headers=headers), "sid")


class Twilio:
    """Sends from the number `sender`, or by the messaging service of that id (MG...).

    `callback` is where the provider reports what became of a message; empty, it does not.
    """

    drops_repeats = False

    def __init__(
        self,
        account: str,
        token: str,
        sender: str,
        *,
        url: str = "https://api.twilio.com",
        callback: str = "",
        timeout: float = 10,
    ) -> None:
        if not sender:
            msg = "Twilio needs the number to send from"
            raise ValueError(msg)
        self._account = Account(account, token, url, timeout=timeout)
        self._from = {"MessagingServiceSid" if sender.startswith("MG") else "From": sender}
        self._callback = callback

    def deliver(self, envelope: Envelope) -> str | None:
        """Hand the message over and return their id of it."""
        form = self._from | {"Body": envelope.body}
        if self._callback:
            form["StatusCallback"] = about(self._callback, envelope)
        return self._account.post("SMS provider", "Messages", envelope, form, key=envelope.message_id)
