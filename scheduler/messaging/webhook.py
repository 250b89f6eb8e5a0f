"""The channel that tells programs: one signed POST by Standard Webhooks 1.0.0, to an address of somebody's choice.

Whoever chooses an address may try to reach this house through it. So a name is resolved once, only the open internet is
allowed, the connection goes to that very IP address, and no redirect is followed.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

from standardwebhooks.webhooks import Webhook as Signer

from scheduler.core.webhooks import address_fault, is_public
from scheduler.messaging.base import DeliveryError, Envelope

_GONE = 410
Resolve = Callable[..., Sequence[tuple[Any, ...]]]


def signed(message_id: str, secrets: Sequence[str], now: datetime, body: str) -> dict[str, str]:
    """The headers that tell who sent it, when, and which it is; the id is the same at every try."""
    at = now.astimezone(UTC).replace(microsecond=0)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Signer(secret).sign(message_id, at, body) for secret in secrets),
    }


class Webhook:
    """Posts an envelope's body to its address. With `private`, plain http and addresses of one's own network may be.

    `timeout`, in seconds, is for the whole of it but the name, with which the system has its own patience. `resolve`
    replaces the system's names, `context` its trust.
    """

    #: Its receivers know each by its id.
    drops_repeats = True

    def __init__(
        self,
        *,
        private: bool = False,
        timeout: float = 10,
        resolve: Resolve = socket.getaddrinfo,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._private, self._timeout, self._resolve, self._context = private, timeout, resolve, context

    def deliver(self, envelope: Envelope) -> None:
        """Post it. Only 410 Gone is permanent; anything but 2xx is a failure, a redirect too."""
        fault = address_fault(envelope.to, private=self._private)
        if fault is not None:
            raise DeliveryError(fault, permanent=False)
        try:
            status, rest = self._post(envelope)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DeliveryError(f"It cannot be reached: {type(error).__name__}.", permanent=False) from error
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's own numbers
            raise DeliveryError(f"It answered {status}.", permanent=status == _GONE, rest=rest)

    def _post(self, envelope: Envelope) -> tuple[int, float | None]:
        parts = urlsplit(envelope.to)
        secure, host = parts.scheme == "https", parts.hostname or ""
        port = parts.port or (443 if secure else 80)
        context = self._trusted if secure else None
        connection = _Pinned(host, port, self._address(host, port), self._timeout, context)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": "application/json", "User-Agent": "Regimen", **envelope.headers}
        with _limited(connection, self._timeout):
            connection.request("POST", path, body=envelope.body.encode(), headers=headers)
            answer = connection.getresponse()  # of which the status is all that matters: nothing else is read
            after = answer.headers.get("Retry-After", "")
            return answer.status, float(after) if after.isascii() and after.isdigit() else None

    @cached_property
    def _trusted(self) -> ssl.SSLContext:
        """Whom to believe: read from the system once, and not before somebody is told."""
        return self._context or ssl.create_default_context()

    def _address(self, host: str, port: int) -> str:
        """The one IP address to connect to. All that the name stands for must be public, lest one be chosen later."""
        found = [str(each[4][0]) for each in self._resolve(host, port, type=socket.SOCK_STREAM)]
        if not found or not (self._private or all(is_public(address) for address in found)):
            raise DeliveryError("It does not lead to the open internet.", permanent=False)
        return found[0]


class _Pinned(http.client.HTTPConnection):
    """A connection to an IP address under a name, which the certificate must be for."""

    def __init__(self, host: str, port: int, address: str, timeout: float, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=timeout)
        self._address, self._tls, self._seconds = address, context, timeout

    def connect(self) -> None:
        """Connect to the address that was looked at, and to no other."""
        self.sock = socket.create_connection((self._address, self.port), self._seconds)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock.do_handshake()


@contextmanager
def _limited(connection: _Pinned, seconds: float) -> Iterator[None]:
    """Cut the line when the time is over: a receiver that dribbles byte by byte never lets a read time out."""

    def cut() -> None:
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()
