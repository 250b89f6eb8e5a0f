"""Wall times and instants against an independent reading of the same rules: every IANA zone, 2024 to 2035."""

from __future__ import annotations

import random
import time
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

import pytest
import whenever
import yaml

from scheduler.core.civil import Disambiguation, intent, to_instant, to_local, zone
from scheduler.core.errors import LocalTimeFault
from scheduler.core.reminders import CHANNELS, Event, Recipient, Visit, parse_rules, plan_messages
from tests.plumbing.effort import trying

FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
ZONES = sorted(zoneinfo.available_timezones())
SHIPPED = Path(__file__).parents[2] / "scheduler" / "data" / "message_rules.yaml"
RULES: list[dict[str, Any]] = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))["rules"]


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


def test_every_reminder_is_due_when_the_oracle_says() -> None:
    """At length fifty visits in each zone: some thirty thousand."""
    rng = random.Random(2024)
    span = int((LAST - FIRST).total_seconds() // 300)
    rules = [rule for rule in parse_rules(RULES) if rule.when.anchor == "start"]
    tried = 0
    for name in ZONES:
        awake = Recipient(name, frozenset(CHANNELS), clock(), clock())
        near = [to_instant(turn, name, "compatible") for turn in turns(name)]
        for number in range(trying(1).max_examples):
            rule, starts_at = rng.choice(rules), FIRST + timedelta(minutes=5 * rng.randrange(span))
            if near and number % 2 == 0:
                starts_at = rng.choice(near) + timedelta(minutes=5 * rng.randrange(-600, 600))
            kind, modality = next(iter(rule.kinds), "integration"), next(iter(rule.modalities), None)
            visit = Visit(starts_at, starts_at + timedelta(hours=1), name, kind, modality, has_forms=True)
            event: Event = "course" if rule.event == "course" else "booked"
            owed = plan_messages((rule,), visit, awake, starts_at - timedelta(days=30), event)
            local = whenever.PlainDateTime(to_local(starts_at, name).isoformat())
            oracle = local.add(days=rule.when.days or 0).assume_tz(name, disambiguation="compatible")
            elapsed = starts_at + timedelta(minutes=rule.when.minutes)
            expected = oracle.to_instant().to_stdlib().astimezone(UTC) if rule.when.days else elapsed
            assert [one.due_at for one in owed if not one.of] == [expected], (name, starts_at, rule.key)
            tried += 1
    assert tried >= len(ZONES) * trying(1).max_examples > 500
