"""Quiet hours: by whose clock, where their edges are, and that nobody has less of them than the law demands."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time

import pytest

from scheduler.core.civil import to_local
from scheduler.core.reminders import is_too_little, next_open, previous_close, resting
from tests.core.test_reminders import HONOLULU, NEW_YORK, at, clock, lives_in, plan, visit


def test_what_is_moved_earlier_is_spread_over_some_minutes() -> None:
    times = [f"{hour}:{minute}" for hour in ("09", "10") for minute in ("00", "15")]
    visits = [visit(f"2027-01-{day}T{time}", kind="integration") for day in (14, 15) for time in times]
    moved = [plan(each, booked="2027-01-04T14:00", to=lives_in(HONOLULU)) for each in visits]
    ends = {clock(owed["remind_24h"], HONOLULU)[11:] for owed in moved}
    assert len(ends) > 4
    assert min(ends) >= "19:50"
    assert max(ends) < "20:00"


@pytest.mark.parametrize(
    ("start", "end", "less"),
    [
        ("21:00", "08:00", False),
        ("20:00", "09:00", False),
        ("20:00", "08:00", False),
        ("08:01", "08:00", False),
        ("21:01", "08:00", True),
        ("21:00", "07:59", True),
        ("22:00", "07:00", True),
        ("00:00", "09:00", True),
        ("20:00", "23:00", True),
        ("09:00", "17:00", True),
        ("08:00", "21:00", True),
        ("00:00", "00:00", True),
        ("21:00", "21:00", True),
    ],
)
def test_may_be_longer_than_the_laws_and_no_shorter(start: str, end: str, less: bool) -> None:  # noqa: FBT001
    assert is_too_little(time.fromisoformat(start), time.fromisoformat(end)) is less


@pytest.mark.parametrize(
    ("moment", "earlier", "later", "rests"),
    [
        ("2027-01-13T08:59", "2027-01-12T20:00", "2027-01-13T09:00", True),
        ("2027-01-13T09:00", "2027-01-13T09:00", "2027-01-13T09:00", False),
        ("2027-01-13T20:00", "2027-01-13T20:00", "2027-01-13T20:00", False),
        ("2027-01-13T20:01", "2027-01-13T20:00", "2027-01-14T09:00", True),
        ("2027-01-13T21:00", "2027-01-13T20:00", "2027-01-14T09:00", True),
        ("2027-01-14T00:00", "2027-01-13T20:00", "2027-01-14T09:00", True),
        ("2027-03-14T03:30", "2027-03-13T20:00", "2027-03-14T09:00", True),
    ],
)
def test_edges(moment: str, earlier: str, later: str, rests: bool) -> None:  # noqa: FBT001 - a table's column
    someone = lives_in()
    assert to_local(previous_close(someone, at(moment)), NEW_YORK) == datetime.fromisoformat(earlier)
    assert to_local(next_open(someone, at(moment)), NEW_YORK) == datetime.fromisoformat(later)
    assert resting(someone, at(moment)) is rests


@pytest.mark.parametrize(
    ("moment", "earlier", "later", "rests"),
    [
        ("2027-01-13T00:00", "2027-01-13T00:00", "2027-01-13T00:00", False),
        ("2027-01-13T00:30", "2027-01-13T00:30", "2027-01-13T00:30", False),
        ("2027-01-13T01:00", "2027-01-13T01:00", "2027-01-13T01:00", False),
        ("2027-01-13T01:30", "2027-01-13T01:00", "2027-01-13T06:00", True),
        ("2027-01-13T23:30", "2027-01-13T23:30", "2027-01-13T23:30", False),
    ],
)
def test_may_lie_within_one_day(moment: str, earlier: str, later: str, rests: bool) -> None:  # noqa: FBT001
    owl = replace(lives_in(), quiet_from=time(1), quiet_to=time(6))
    assert to_local(previous_close(owl, at(moment)), NEW_YORK) == datetime.fromisoformat(earlier)
    assert to_local(next_open(owl, at(moment)), NEW_YORK) == datetime.fromisoformat(later)
    assert resting(owl, at(moment)) is rests


def test_may_be_none() -> None:
    always = replace(lives_in(), quiet_from=time(9), quiet_to=time(9))
    midnight = at("2027-01-13T00:00")
    assert (previous_close(always, midnight), next_open(always, midnight)) == (midnight, midnight)
    assert not resting(always, midnight)
