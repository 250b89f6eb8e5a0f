"""Changes of clocks: windows are elapsed, gaps are calendar days, and doubtful wall times are never planned."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.bitmap import SLOT
from scheduler.core.civil import day_bounds, to_instant, to_local
from scheduler.core.errors import LocalTimeFault
from scheduler.core.planner import Grid, Problem, Window, plan, verify
from scheduler.core.planner.grid import NOWHERE, calendar_of
from scheduler.core.planner.leaves import RangeMinimum
from scheduler.core.planner.planes import Points
from tests.core.planner.handmade import DAY, course, each, leaf, main, read
from tests.core.planner.instances import grid, starts

NEW_YORK, LONDON, LORD_HOWE = "America/New_York", "Europe/London", "Australia/Lord_Howe"
#: Zone, the day on which the clocks change, and by how many minutes that day is longer than others.
CHANGES = [
    (NEW_YORK, date(2030, 3, 10), -60),
    (NEW_YORK, date(2030, 11, 3), 60),
    (LONDON, date(2030, 3, 31), -60),
    (LONDON, date(2030, 10, 27), 60),
    (LORD_HOWE, date(2030, 10, 6), -30),
    (LORD_HOWE, date(2030, 4, 7), 30),
]

#: How long one example takes says something about the machine only.
unhurried = settings(deadline=None)


def around(zone: str, turn: date, row_minutes: int = 30) -> Grid:
    """A grid on which the change of clocks falls on day 1."""
    return grid(zone, turn - timedelta(days=1), 14, row_minutes)


@pytest.mark.parametrize(("zone", "turn", "longer"), CHANGES)
def test_a_window_is_elapsed_across_the_change(zone: str, turn: date, longer: int) -> None:
    where = around(zone, turn)
    # 24 hours after a noon before the change; on the wall clock that is earlier when the day was longer.
    exact = Window(DAY, DAY, DAY, "start")
    problem = course(
        main("dose", each([0], 12, where=where), leaf=leaf("talk", -1 & (1 << where.slots) - 1, exact)), grid=where
    )
    found = plan(problem)
    noon = 12 * 60 - longer
    assert read(problem, found) == {"dose": "0 12:00", "talk": f"1 {noon // 60:02}:{noon % 60:02}"}
    assert found is not None
    assert verify(problem, found) == []


def test_an_hour_that_the_clocks_leave_out_makes_no_table_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its row has no slot on that day: taken for one, a talk of the same day might begin anywhere before."""
    longest: list[int] = []

    class Counting(RangeMinimum):
        def __init__(self, points: Points, most: int) -> None:
            longest.append(most)
            super().__init__(points, most)

    monkeypatch.setattr("scheduler.core.planner.leaves.RangeMinimum", Counting)
    for turn in (date(2030, 3, 10), date(2030, 5, 10)):
        where = grid(NEW_YORK, turn - timedelta(days=20), 60, 30)
        always = each(range(60), *range(24), where=where)
        talk = leaf("talk", always, Window(DAY, 2 * DAY, 3 * DAY, "end"), same_day=True)
        assert plan(course(main("dose", always, leaf=talk), grid=where)) is not None
    assert len(longest) == 4
    assert len(set(longest)) == 1


@pytest.mark.parametrize(("zone", "turn", "longer"), CHANGES)
def test_a_gap_is_calendar_days_and_the_same_time_of_day_stays_the_same(zone: str, turn: date, longer: int) -> None:
    where = around(zone, turn)
    problem = course(
        main("a", each([0], 9, where=where)), main("b", each([1], 9, 12, where=where), (1, 1, 1)), grid=where
    )
    found = plan(problem)
    assert read(problem, found) == {"a": "0 09:00", "b": "1 09:00"}
    assert found is not None
    elapsed = 5 * (found.starts[1][1] - found.starts[0][1])
    assert (elapsed, found.parts["time_of_day"]) == (DAY + longer, 0)


@pytest.mark.parametrize(
    ("zone", "turn", "hours"),
    [
        (NEW_YORK, date(2030, 3, 10), (2, 2.5)),
        (NEW_YORK, date(2030, 11, 3), (1, 1.5)),
        (LONDON, date(2030, 3, 31), (1, 1.5)),
        (LONDON, date(2030, 10, 27), (1, 1.5)),
        (LORD_HOWE, date(2030, 10, 6), (2,)),
        (LORD_HOWE, date(2030, 4, 7), (1.5,)),
        ("America/Santiago", date(2030, 9, 8), (0, 0.5)),
    ],
)
def test_a_wall_time_that_is_skipped_or_repeated_is_never_planned(
    zone: str, turn: date, hours: tuple[float, ...]
) -> None:
    where = around(zone, turn)
    midnight, end = (int((instant - where.origin) / SLOT) for instant in day_bounds(turn, zone))
    whole_day = sum(1 << place for place in range(midnight, end))
    only = course(main("a", whole_day), grid=where)
    planned = set()
    while (found := plan(only)) is not None:
        wall = to_local(where.origin + found.starts[0][1] * SLOT, zone)
        planned.add(wall.hour + wall.minute / 60)
        only = course(main("a", only.mains[0].starts & ~(1 << found.starts[0][1])), grid=where)
    assert planned == {half / 2 for half in range(48)} - set(hours)


def test_a_pin_may_stand_at_a_repeated_time() -> None:
    where = around(NEW_YORK, date(2030, 11, 3))
    second_half_past_one = (datetime(2030, 11, 3, 6, 30, tzinfo=UTC) - where.origin) // SLOT
    problem = course(
        main("a", 0),
        main("b", each(range(9), 1.5, where=where), (1, 1, 1)),
        grid=where,
        pinned={"a": second_half_past_one},
    )
    assert read(problem, plan(problem)) == {"a": "1 01:30", "b": "2 01:30"}


def test_half_a_year_over_both_changes_keeps_the_hour() -> None:
    where = grid(NEW_YORK, date(2030, 1, 7), 360, 15)
    days = range(0, 360, 7)
    mains = [main("dose-0", starts(where, days, [9, 10]))]
    mains += [main(f"dose-{place}", starts(where, days, [9, 10]), (28, 28, 28)) for place in range(1, 13)]
    problem = course(*mains, grid=where)
    found = plan(problem)
    assert read(problem, found) == {f"dose-{place}": f"{28 * place} 09:00" for place in range(13)}


@unhurried
@given(
    zone=st.sampled_from(
        [NEW_YORK, LONDON, LORD_HOWE, "America/Santiago", "Asia/Kathmandu", "Africa/Casablanca", "UTC"]
    ),
    first_day=st.dates(date(2024, 1, 1), date(2034, 1, 1)),
    row_minutes=st.sampled_from([5, 15, 45, 60]),
)
def test_the_grid_agrees_with_the_wall_clock(zone: str, first_day: date, row_minutes: int) -> None:
    where = replace(grid(zone, first_day, 3, row_minutes), slots=5 * 288)
    calendar = calendar_of(where)
    for day in range(3):
        for row, minute in enumerate(range(0, DAY, row_minutes)):
            wall = datetime.combine(first_day, datetime.min.time()) + timedelta(days=day, minutes=minute)
            try:
                expected = (to_instant(wall, zone) - where.origin) // SLOT
            except LocalTimeFault:
                expected = NOWHERE
            found = int(calendar.slot[row, day])
            assert found == (expected if 0 <= expected < where.slots else NOWHERE)
            if found != NOWHERE:
                assert calendar.local(found) == (day, minute)
                assert int(calendar.days_of(calendar.slot[row, day : day + 1])[0]) == day


def test_a_day_that_was_left_out_has_no_start() -> None:
    apia = Grid(datetime(2011, 12, 28, tzinfo=UTC), 6 * 288, "Pacific/Apia", date(2011, 12, 29), 3)  # no 30 December
    everything = (1 << apia.slots) - 1
    problem = course(main("a", everything), main("b", everything, (1, 1, 1)), grid=apia)
    assert plan(problem) is None
    two_on = Problem(**{**vars(problem), "mains": (problem.mains[0], main("b", everything, (2, 2, 2)))})
    found = plan(two_on)
    assert read(two_on, found) == {"a": "0 00:00", "b": "2 00:00"}
    assert found is not None
    assert verify(two_on, found) == []
