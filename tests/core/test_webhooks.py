"""When a webhook is told again, when it is given up, and which addresses may be told at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from scheduler.core.webhooks import PAUSES, address_fault, is_given_up, is_public, next_try

NOW = datetime(2030, 3, 4, 12, tzinfo=UTC)
FIRST, LAST = UUID(int=0), UUID(int=999)


def test_it_is_told_again_for_three_days_and_no_longer() -> None:
    at, tries = NOW, 1
    while (again := next_try(tries, UUID(int=500), at)) is not None:
        assert again > at
        at, tries = again, tries + 1
    assert tries == 10
    assert timedelta(hours=72) < at - NOW < timedelta(hours=80)


@pytest.mark.parametrize("attempts", range(1, len(PAUSES) + 1))
def test_it_jitters_by_a_tenth_and_always_alike(attempts: int) -> None:
    soonest, latest = next_try(attempts, FIRST, NOW), next_try(attempts, LAST, NOW)
    assert soonest is not None
    assert latest is not None
    assert (soonest - NOW, latest - NOW) == (PAUSES[attempts - 1] * 0.9, PAUSES[attempts - 1] * 1.1)
    assert next_try(attempts, FIRST, NOW) == soonest


def test_a_receiver_may_ask_for_rest_but_not_forever() -> None:
    assert next_try(1, FIRST, NOW, rest=120) == NOW + timedelta(minutes=2)
    assert next_try(3, FIRST, NOW, rest=1) == NOW + PAUSES[2] * 0.9
    for endless in (1e9, 1e300, float("inf")):
        assert next_try(1, FIRST, NOW, rest=endless) == NOW + timedelta(days=1)


def test_an_address_is_given_up_after_three_days() -> None:
    assert not is_given_up(NOW, NOW + timedelta(days=3, seconds=-1))
    assert is_given_up(NOW, NOW + timedelta(days=3))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",  # noqa: S104
        "224.0.1.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "localhost", "",
    ],
)  # fmt: skip
def test_what_is_not_the_open_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.215.14"])
def test_what_is(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://desk.example.org/", "ftp://desk.example.org/", "desk.example.org", "https://", "https://u:p@example.org/",
        "https://u@example.org/", "https://example.org/#x", "https://127.0.0.1/", "https://[::1]/", "https://localhost/",
        "https://169.254.169.254/latest", "https://exa mple.org/", "https://example.org/ñ", "https://example.org:99999/",
        "https://[::1/", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_addresses_that_may_not_be(url: str) -> None:
    assert address_fault(url)


def test_addresses_that_may() -> None:
    assert address_fault("https://desk.example.org:8443/told?for=clinic") is None
    assert address_fault("http://127.0.0.1:8000/told", private=True) is None
    assert address_fault("ftp://127.0.0.1/told", private=True)
