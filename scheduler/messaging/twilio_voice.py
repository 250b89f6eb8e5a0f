"""The channel that calls over a Twilio-shaped API. Who picks up hears who calls, and no more until they press a key.

So a voicemail, or whoever else answers, is told nothing. What follows a key lives with the address that is told of it.
Twilio keeps no promise to take one call once: a repeat after a lost answer may ring twice.
"""

from __future__ import annotations

from scheduler.messaging.base import Envelope, about
from scheduler.messaging.twilio import Account
from scheduler.messaging.twiml import said

#: Seconds for which it rings: less than most mailboxes wait.
_RINGS = "25"


class TwilioVoice:
    """Calls from the number `sender`. `callback` is told how a call ended, `keys` which key was pressed in it."""

    drops_repeats = False

    def __init__(
        self,
        account: str,
        token: str,
        sender: str,
        *,
        keys: str,
        callback: str,
        url: str = "https://api.twilio.com",
        timeout: float = 10,
    ) -> None:
        if not (sender.startswith("+") and keys and callback):
            msg = "Twilio calls from a number, and must know where it is answered"
            raise ValueError(msg)
        self._account, self._sender = Account(account, token, url, timeout=timeout), sender
        self._keys, self._callback = keys, callback

    def deliver(self, envelope: Envelope) -> str | None:
        """Have the number called and return their id of the call; one that nobody answered may be made once more."""
        form = {
            "From": self._sender,
            "Twiml": said(envelope.body, envelope.locale, action=about(self._keys, envelope)),
            "Timeout": _RINGS,
            "StatusCallback": about(self._callback, envelope),
        }
        key = f"{envelope.message_id}-{envelope.again}" if envelope.again else envelope.message_id
        return self._account.post("voice provider", "Calls", envelope, form, key=key)
