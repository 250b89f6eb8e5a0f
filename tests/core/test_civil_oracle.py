"""Wall times and instants against an independent reading of the same rules: every IANA zone, 2024 to 2035."""

from __future__ import annotations

import random
import time
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import whenever

from scheduler.core.civil import Disambiguation, intent, to_instant, to_local, zone
from scheduler.core.errors import LocalTimeFault
from tests.plumbing.effort import trying

FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
ZONES = sorted(zoneinfo.available_timezones())
HALF_HOUR = timedelta(minutes=30)


@pytest.fixture(params=["UTC", "Asia/Kolkata"])
def _host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The zone of the machine, which must not matter."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _same_rules() -> Iterator[None]:
    """The oracle reads the pinned rules too, by a reader of its own."""
    whenever.reset_tzpath([])
    whenever.clear_tzcache()
    yield
    whenever.reset_tzpath()
    whenever.clear_tzcache()


def turns(name: str) -> Iterator[datetime]:
    """Wall times near each change of the zone's clocks: found month by month, then by halves."""
    where, at = zone(name), FIRST
    while at < LAST:
        then = at + timedelta(days=30)
        if at.astimezone(where).utcoffset() != then.astimezone(where).utcoffset():
            low, high = at, then
            while high - low > timedelta(minutes=15):
                middle = low + (high - low) / 2
                same = middle.astimezone(where).utcoffset() == low.astimezone(where).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            yield to_local(high, name).replace(second=0, microsecond=0)
        at = then


def read(local: datetime, name: str, which: Disambiguation | None) -> datetime | None:
    """What the oracle says; None when it is in doubt."""
    try:
        found = whenever.ZonedDateTime(
            local.year, local.month, local.day, local.hour, local.minute, tz=name, disambiguation=which or "raise"
        )
    except (whenever.RepeatedTime, whenever.SkippedTime):
        return None
    return found.to_instant().to_stdlib().astimezone(UTC)


def ours(local: datetime, name: str, which: Disambiguation | None) -> datetime | None:
    try:
        return to_instant(local, name, which)
    except LocalTimeFault:
        return None


@pytest.mark.usefixtures("_host")
def test_every_zone_reads_as_the_oracle_does() -> None:
    rng = random.Random(2035)
    span = int((LAST - FIRST).total_seconds() // 300)
    per_zone = max(2, trying(3).max_examples)
    doubts = 0
    for name in ZONES:
        wild = (to_local(FIRST + timedelta(minutes=5 * rng.randrange(span)), name) for _ in range(per_zone))
        near = (turn + rng.randint(-8, 8) * timedelta(minutes=15) for turn in list(turns(name))[:per_zone])
        for local in (*wild, *near):
            which: Disambiguation | None
            for which in (None, "earlier", "later", "compatible"):
                expected = read(local, name, which)
                assert ours(local, name, which) == expected, (name, local, which)
            expected = read(local, name, None)
            doubts += expected is None
            if expected is not None:
                assert to_local(expected, name) == local
                assert intent(local.replace(tzinfo=zone(name)), name) == (local, expected)
    assert doubts > 50, "too few doubtful times to say anything"
