"""The channel that sends SMS and reads messages out by telephone over a Twilio-shaped API.

Twilio keeps no promise to take one message once: a repeat after a lost answer may arrive twice.
"""

from __future__ import annotations

from urllib.parse import urlencode
from xml.sax.saxutils import escape

from scheduler.messaging.base import Envelope, one_number
from scheduler.messaging.posting import checked_url, named, post

_VERSION = "2010-04-01"


class Twilio:
    """Sends from the number `sender`, or by the messaging service of that id (MG...). `voice` calls instead of texting.

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
        voice: bool = False,
        timeout: float = 10,
    ) -> None:
        if not (account.isalnum() and token and sender):
            msg = "Twilio needs an account, its token, and the number to send from"
            raise ValueError(msg)
        what = "Calls" if voice else "Messages"
        self._url = f"{checked_url(url, 'Twilio').rstrip('/')}/{_VERSION}/Accounts/{account}/{what}.json"
        self._auth, self._sender, self._voice = (account, token), sender, voice
        self._callback, self._timeout = callback, timeout

    def deliver(self, envelope: Envelope) -> str | None:
        """Hand the message over and return their id of it. 4xx is permanent but for those in TRANSIENT."""
        form = {"To": one_number(envelope.to)} | self._from() | self._said(envelope)
        if self._callback:
            about = urlencode({"organization": envelope.organization_id, "message": envelope.message_id})
            form["StatusCallback"] = f"{self._callback}?{about}"
        headers = {"I-Twilio-Idempotency-Token": envelope.message_id}
        answer = post("SMS provider", self._url, timeout=self._timeout, data=form, auth=self._auth, headers=headers)
        return named(answer, "sid")

    def _from(self) -> dict[str, str]:
        return {"MessagingServiceSid" if self._sender.startswith("MG") else "From": self._sender}

    def _said(self, envelope: Envelope) -> dict[str, str]:
        if not self._voice:
            return {"Body": envelope.body}
        language = escape(envelope.locale.replace("_", "-"), {'"': "&quot;"})
        return {"Twiml": f'<Response><Say language="{language}">{escape(envelope.body)}</Say></Response>'}
