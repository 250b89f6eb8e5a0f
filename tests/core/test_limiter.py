"""Buckets of requests: shares, refilling, and how many are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from scheduler.core.limiter import Limiter

NOW = datetime(2030, 3, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_refusal_spends_nothing() -> None:
    limiter = Limiter(2)
    assert [limiter.spend("a", NOW) for _ in range(4)] == [(1, 30), (0, 60), None, None]
    assert limiter.spend("b", NOW) == (1, 30)
    later = NOW + limiter.wait * SECOND
    assert limiter.spend("a", later - SECOND) is None
    assert limiter.spend("a", later) == (0, 60)


def test_only_so_many_are_kept_and_those_that_have_spent_the_longest() -> None:
    limiter = Limiter(60, most=10)
    for name in range(9):
        limiter.spend(name, NOW)
    later = NOW + 5 * SECOND
    for _ in range(60):
        limiter.spend("busy", later)
    limiter.spend("new", later)
    assert limiter.spend("busy", later) is None, "what is full again went first"
    for name in range(100):
        limiter.spend(f"flood {name}", later)
        assert len(limiter._buckets) <= limiter.most
