"""The channel that posts each SMS as JSON to a gateway: {to, from, body, id} with the id as Idempotency-Key."""

from __future__ import annotations

import ipaddress
import json
import time
from contextlib import closing
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from scheduler.messaging.base import DeliveryError, Envelope, one_number

#: Client errors that pass: time-outs, races, throttling, and faults of the account rather than of the message.
TRANSIENT = frozenset({401, 402, 407, 408, 409, 425, 429})
_LONGEST_ANSWER = 65_536


class SmsHttp:
    """Posts to `url` with `token` as bearer; `sender` is the number or name to send from (else the envelope's).

    Plain http is accepted for this machine only. Redirects are not followed: the token belongs to one address.
    """

    def __init__(self, url: str, token: str = "", *, sender: str = "", timeout: float = 10) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname or "")):
            msg = "an SMS gateway is reached by https"
            raise ValueError(msg)
        self._url, self._sender, self._timeout = url, sender, timeout
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
        try:
            with requests.Session() as session:
                session.trust_env = False  # a .netrc would replace the token
                with closing(
                    session.post(
                        self._url,
                        json=document,
                        headers=headers,
                        timeout=self._timeout,
                        allow_redirects=False,
                        stream=True,
                    )
                ) as answer:
                    return self._judge(answer)
        except (requests.RequestException, OSError) as error:
            raise DeliveryError(
                f"The SMS gateway cannot be reached: {type(error).__name__}.", permanent=False
            ) from error

    def _judge(self, answer: requests.Response) -> str | None:
        """The gateway's id from its answer, or a DeliveryError."""
        status = answer.status_code
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's own numbers
            permanent = 400 <= status < 500 and status not in TRANSIENT  # noqa: PLR2004
            raise DeliveryError(f"The SMS gateway answered {status}.", permanent=permanent)
        try:
            found = json.loads(self._read(answer))
        except ValueError:
            return None
        name = found.get("id") if isinstance(found, dict) else None
        return str(name)[:200] if isinstance(name, str | int) else None

    def _read(self, answer: requests.Response) -> bytes:
        """What comes of the body in time. The status said that the message is taken; a broken body changes nothing."""
        body, until = b"", time.monotonic() + self._timeout
        try:
            while len(body) < _LONGEST_ANSWER and time.monotonic() < until:
                piece = answer.raw.read1(_LONGEST_ANSWER, decode_content=True)
                if not piece:
                    break
                body += piece
        except (HTTPError, OSError):
            return b""
        return body


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
