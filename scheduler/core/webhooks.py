"""Webhooks as rules: what is told, when it is told again, when an address is given up, and which addresses may be.

By Standard Webhooks 1.0.0. Nothing is sent from here, and nothing is resolved.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

#: What is told to the outside, by the action that the audit trail knows it by.
EVENTS: Mapping[str, str] = {
    "appointment.book": "appointment.booked",
    "appointment.confirm": "appointment.confirmed",
    "appointment.reschedule": "appointment.rescheduled",
    "appointment.cancel": "appointment.cancelled",
    "appointment.arrive": "appointment.arrived",
    "appointment.check-in": "appointment.checked_in",
    "appointment.start": "appointment.started",
    "appointment.fulfill": "appointment.fulfilled",
    "appointment.not-dosed": "appointment.not_dosed",
    "appointment.no-show": "appointment.no_show",
    "appointment.entered-in-error": "appointment.entered_in_error",
    "appointment.undo": "appointment.undone",
    "appointment.note": "appointment.updated",
    "appointment.zone-rules": "appointment.utc_changed",
    "course.create": "course.created",
    "course.book": "course.booked",
    "course.replan": "course.replanned",
    "course.hold": "course.held",
    "course.resume": "course.resumed",
    "course.discontinue": "course.discontinued",
    "waitlist.offer": "waitlist.offered",
    "waitlist.accept": "waitlist.accepted",
    "waitlist.decline": "waitlist.declined",
    "waitlist.expire": "waitlist.expired",
    "waitlist.withdraw": "waitlist.withdrawn",
}

#: After each try that failed; after the last of them a person must ask for it.
PAUSES = (
    timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=5),
    timedelta(hours=10), timedelta(hours=14), timedelta(hours=20), timedelta(hours=24),
)  # fmt: skip
#: An address at which nothing has arrived for so long is switched off.
GIVEN_UP_AFTER = timedelta(days=3)
#: As long as this a receiver may ask to be left alone.
_LONGEST_REST = timedelta(hours=24)
#: A tenth more or less, so that what failed together does not come back together.
_JITTER = 0.1

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def next_try(attempts: int, key: UUID, now: datetime, *, rest: float | None = None) -> datetime | None:
    """When a delivery is tried again that has failed `attempts` times; None when it is given up.

    `rest` are the seconds for which the receiver asked. The same delivery always jitters alike.
    """
    if attempts > len(PAUSES):
        return None
    pause = PAUSES[attempts - 1]
    share = (key.int % 1000) / 999
    jittered = pause * (1 - _JITTER + 2 * _JITTER * share)
    # A receiver may ask for more than any length of time can hold.
    asked = timedelta(seconds=min(max(0.0, rest or 0.0), _LONGEST_REST.total_seconds()))
    return now + max(jittered, asked)


def is_given_up(failing_since: datetime, now: datetime) -> bool:
    """Whether nothing has arrived for too long."""
    return now - failing_since >= GIVEN_UP_AFTER


def is_public(address: str) -> bool:
    """Whether an IP address leads to the open internet, whatever form it hides in."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast for one in _meant(found))


def _meant(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """The address, and every one that it stands for."""
    if isinstance(found, ipaddress.IPv4Address):
        return [found]
    if found.ipv4_mapped is not None:
        return [found.ipv4_mapped]
    hidden = [found.sixtofour, *(found.teredo or ())]
    hidden += [ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)] if found in _NAT64 else []
    return [found, *(each for each in hidden if each is not None)]


def address_fault(url: str, *, private: bool = False) -> str | None:
    """What speaks against an address as such. With `private`, plain http and addresses of one's own network may be."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        return "An address is written in plain ASCII."
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "This is not an address."
    if parts.scheme not in ({"https", "http"} if private else {"https"}):
        return "An address begins with https://."
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        return "An address has a host, and neither a user, a password nor a fragment."
    if not private and (host == "localhost" or (_is_literal(host) and not is_public(host))):
        return "This address is not on the open internet."
    return None


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
