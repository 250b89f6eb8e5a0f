"""The channel that posts each call as JSON to a gateway of one's own: {to, say, locale, id, keys, callback}.

Who picks up hears `say`, which is who calls; a key that is pressed is told to `keys`, how the call ended to `callback`.
"""

from __future__ import annotations

from scheduler.messaging.base import Envelope, about, one_number
from scheduler.messaging.posting import checked_url, named, post


class VoiceHttp:
    """Posts to `url` with `token` as bearer. Plain http is accepted for this machine only.

    `drops_repeats` says that the gateway keeps to Idempotency-Key, which is the id, and the id with a number for a call
    that is made again since nobody took it.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        keys: str,
        callback: str,
        timeout: float = 10,
        drops_repeats: bool = False,
    ) -> None:
        if not (keys and callback):
            msg = "a voice gateway must know where keys and outcomes are told"
            raise ValueError(msg)
        self._url, self._timeout = checked_url(url, "a voice gateway"), timeout
        self._keys, self._callback = keys, callback
        self.drops_repeats = drops_repeats
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def deliver(self, envelope: Envelope) -> str | None:
        """Have the number called, and return their id of the call. 4xx is permanent but for those in TRANSIENT."""
        key = f"{envelope.message_id}-{envelope.again}" if envelope.again else envelope.message_id
        document = {
            "to": one_number(envelope.to),
            "say": envelope.body,
            "locale": envelope.locale,
            "id": key,
            "keys": about(self._keys, envelope),
            "callback": about(self._callback, envelope),
        }
        headers = self._headers | {"Idempotency-Key": key}
        return named(post("voice gateway", self._url, timeout=self._timeout, json=document, headers=headers), "id")
