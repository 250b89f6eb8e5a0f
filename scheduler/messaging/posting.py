"""One POST to a provider, judged alike for every one of them: what is final, what passes, and who is down."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from scheduler.messaging.base import DeliveryError

#: Client errors that pass: time-outs, races, throttling, and faults of the account rather than of the message.
TRANSIENT = frozenset({401, 402, 407, 408, 409, 425, 429})
#: Those of them that would meet every other message just as well.
_FOR_ALL = frozenset({401, 402, 407, 429})
_LONGEST_ANSWER = 65_536
_SERVER_ERROR, _NOT_NOW = 500, 503


def checked_url(url: str, what: str) -> str:
    """The address, if it is https, or http on this machine. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_machine(parts.hostname or "")):
        msg = f"{what} is reached by https"
        raise ValueError(msg)
    return url


def post(what: str, url: str, *, timeout: float, **request: Any) -> Mapping[str, Any]:
    """The JSON object that came back; empty when there was none. Raises DeliveryError and nothing else.

    `what` names the provider in its errors. Redirects are not followed: a token belongs to one address.
    """
    try:
        with requests.Session() as session:
            session.trust_env = False  # a .netrc would replace the token
            with closing(session.post(url, timeout=timeout, allow_redirects=False, stream=True, **request)) as answer:
                return _judge(what, answer, timeout)
    except (requests.RequestException, OSError) as error:
        said = f"The {what} cannot be reached: {type(error).__name__}."
        raise DeliveryError(said, permanent=False, down=True, unsure=not _never_connected(error)) from error


def _never_connected(error: Exception) -> bool:
    """Whether nothing of the request can have arrived."""
    if isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError)):
        return True
    return any(isinstance(getattr(each, "reason", None), NewConnectionError) for each in error.args)


def _judge(what: str, answer: requests.Response, timeout: float) -> Mapping[str, Any]:
    status = answer.status_code
    if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's own numbers
        permanent = 400 <= status < _SERVER_ERROR and status not in TRANSIENT  # noqa: PLR2004
        # What breaks there, or in between, may do so after it was taken.
        is_theirs = status >= _SERVER_ERROR
        raise DeliveryError(
            f"The {what} answered {status}.",
            permanent=permanent,
            down=is_theirs or status in _FOR_ALL,
            unsure=is_theirs and status != _NOT_NOW,
        )
    try:
        found = json.loads(_read(answer, timeout))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read(answer: requests.Response, timeout: float) -> bytes:
    """What comes of the body in time. The status said that the message is taken; a broken body changes nothing."""
    body, until = b"", time.monotonic() + timeout
    try:
        while len(body) < _LONGEST_ANSWER and time.monotonic() < until:
            piece = answer.raw.read1(_LONGEST_ANSWER, decode_content=True)
            if not piece:
                break
            body += piece
    except (HTTPError, OSError):
        return b""
    return body


def named(found: Mapping[str, Any], key: str) -> str | None:
    """The provider's own id under that key, if it is one."""
    name = found.get(key)
    return str(name)[:200] if isinstance(name, str | int) else None


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
