"""A way out that is spared: when it shuts, who finds out, and what a rate lets through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.valve import FAILURES, RESTS, Valve

NOW = datetime(2030, 3, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def shut(valve: Valve = Valve()) -> Valve:  # noqa: B008 - a value
    for _ in range(FAILURES):
        valve = valve.left(NOW).ended(NOW, down=True)
    return valve


def test_it_shuts_after_some_failures_in_a_row_and_not_before() -> None:
    valve = Valve()
    for _ in range(FAILURES - 1):
        valve = valve.left(NOW).ended(NOW, down=True)
    assert valve.room(NOW) is None
    assert valve.ended(NOW, down=False).failures == 0
    assert valve.ended(NOW, down=True).room(NOW) == 0


def test_whoever_is_refused_has_met_somebody() -> None:
    valve = Valve()
    for _ in range(10 * FAILURES):
        valve = valve.left(NOW).ended(NOW, down=True).left(NOW).ended(NOW, down=False)
    assert valve.room(NOW) is None


def test_one_probe_finds_out() -> None:
    valve, then = shut(), NOW + RESTS.first
    assert (valve.room(then - SECOND), valve.opens_at(then - SECOND)) == (0, then)
    assert valve.room(then) == 1
    probing = valve.left(then)
    assert (probing.room(then), probing.opens_at(then)) == (0, None)
    assert probing.ended(then, down=False).room(then) is None
    again = probing.ended(then, down=True)
    assert again.opens_at(then) == then + 2 * RESTS.first
    for _ in range(10):
        assert again.shut_until is not None
        then = again.shut_until
        again = again.left(then).ended(then, down=True)
    assert again.opens_at(then) == then + RESTS.longest


def test_who_had_left_before_it_shut_changes_nothing_unless_it_arrives() -> None:
    valve = shut()
    assert valve.ended(NOW + SECOND, down=True) == valve
    assert valve.ended(NOW + SECOND, down=False).room(NOW + SECOND) is None


def test_a_rate_below_one_a_second_is_kept() -> None:
    valve = Valve(0.5).left(NOW)
    assert (valve.room(NOW), valve.room(NOW + SECOND), valve.room(NOW + 2 * SECOND)) == (0, 0, 1)
    assert valve.opens_at(NOW) == NOW + 2 * SECOND


def test_a_probe_keeps_the_rate_too() -> None:
    valve = shut(Valve(0.01))
    assert valve.room(NOW + RESTS.first) == 0
    assert valve.room(NOW + timedelta(hours=1)) == 1


@given(st.sampled_from([0.2, 1, 3, 10]), st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_no_second_ever_sees_more_than_twice_the_rate_and_no_stretch_more_than_it(
    rate: float, pauses: list[float]
) -> None:
    valve, now, left = Valve(rate), NOW, 0
    for pause in pauses:
        now += timedelta(seconds=pause)
        room = valve.room(now)
        assert room is not None
        for _ in range(room):
            valve, left = valve.left(now), left + 1
        assert valve.room(now) == 0
        opens = valve.opens_at(now)
        assert opens is not None
        assert valve.room(opens + timedelta(microseconds=2)) != 0
    assert left <= max(1, rate) + rate * (now - NOW).total_seconds() + 1e-6
