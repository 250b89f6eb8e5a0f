"""The channel that posts each SMS as JSON to a gateway: {to, from, body, id} with the id as Idempotency-Key."""

from __future__ import annotations

from scheduler.messaging.base import Envelope, one_number
from scheduler.messaging.posting import checked_url, named, post


class SmsHttp:
    """Posts to `url` with `token` as bearer; `sender` is the number or name to send from (else the envelope's).

    Plain http is accepted for this machine only. `drops_repeats` says that the gateway keeps to Idempotency-Key.
    """

    def __init__(
        self, url: str, token: str = "", *, sender: str = "", timeout: float = 10, drops_repeats: bool = False
    ) -> None:
        self._url, self._sender, self._timeout = checked_url(url, "an SMS gateway"), sender, timeout
        self.drops_repeats = drops_repeats
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def deliver(self, envelope: Envelope) -> str | None:
        """Post the message and return the gateway's id of it. 4xx is permanent but for those in TRANSIENT."""
        document = {
            "to": one_number(envelope.to),
            "from": self._sender or envelope.sender_name,
            "body": envelope.body,
            "id": envelope.message_id,
        }
        headers = self._headers | {"Idempotency-Key": envelope.message_id}
        return named(post("SMS gateway", self._url, timeout=self._timeout, json=document, headers=headers), "id")
