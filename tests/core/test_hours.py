"""Hours and closures against the clocks: gaps, folds, midnights, validity, and every fault at once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.civil import to_local
from scheduler.core.hours import closed_spans, closure_faults, hours_faults, open_spans, valid_on
from scheduler.core.intervals import Span

NEW_YORK = "America/New_York"
WINTER_MONDAY = date(2030, 3, 4)
GAP_DAY = date(2030, 3, 10)  # 02:00 becomes 03:00
FOLD_DAY = date(2030, 11, 3)  # 02:00 becomes 01:00


def shift(weekday: str, start: str, end: str, **more: str) -> dict[str, Any]:
    return {"weekday": weekday, "start": start, "end": end, **more}


def local(spans: list[Span], time_zone: str = NEW_YORK) -> list[str]:
    return [f"{to_local(span.start, time_zone):%d %H:%M}-{to_local(span.end, time_zone):%d %H:%M}" for span in spans]


def hours_of(spans: list[Span]) -> float:
    return sum((span.length for span in spans), timedelta()) / timedelta(hours=1)


def test_a_shift_keeps_its_wall_time_across_a_change_of_clocks() -> None:
    week = [shift("mon", "09:00", "17:00")]
    spans = open_spans(week, NEW_YORK, WINTER_MONDAY, WINTER_MONDAY + timedelta(days=7))
    assert spans == [
        Span(datetime(2030, 3, 4, 14, tzinfo=UTC), datetime(2030, 3, 4, 22, tzinfo=UTC)),
        Span(datetime(2030, 3, 11, 13, tzinfo=UTC), datetime(2030, 3, 11, 21, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    ("time_zone", "day", "weekday", "start", "end", "begins", "ends"),
    [
        (NEW_YORK, GAP_DAY, "sun", "02:30", "06:00", "2030-03-10T07:00", "2030-03-10T10:00"),
        (NEW_YORK, GAP_DAY, "sun", "00:00", "02:30", "2030-03-10T05:00", "2030-03-10T07:00"),
        (NEW_YORK, FOLD_DAY, "sun", "01:30", "06:00", "2030-11-03T05:30", "2030-11-03T11:00"),
        (NEW_YORK, FOLD_DAY, "sun", "00:00", "01:30", "2030-11-03T04:00", "2030-11-03T06:30"),
        # Half an hour, the other way round on the globe.
        ("Australia/Lord_Howe", date(2030, 10, 6), "sun", "02:15", "04:00", "2030-10-05T15:30", "2030-10-05T17:00"),
        # A day without a midnight, and one whose midnight comes twice.
        ("America/Santiago", date(2030, 9, 8), "sun", "00:00", "24:00", "2030-09-08T04:00", "2030-09-09T03:00"),
        ("America/Havana", date(2030, 11, 3), "sun", "00:00", "06:00", "2030-11-03T04:00", "2030-11-03T11:00"),
    ],
)
def test_an_edge_that_the_clocks_skip_or_repeat(
    time_zone: str, day: date, weekday: str, start: str, end: str, begins: str, ends: str
) -> None:
    spans = open_spans([shift(weekday, start, end)], time_zone, day, day)
    expected = Span(*(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (begins, ends)))
    assert spans == [expected]


def test_a_shift_inside_the_gap_is_nothing() -> None:
    assert open_spans([shift("sun", "02:10", "02:50")], NEW_YORK, GAP_DAY, GAP_DAY) == []


@pytest.mark.parametrize(("day", "hours"), [(WINTER_MONDAY, 24), (GAP_DAY, 23), (FOLD_DAY, 25)])
def test_a_whole_day_is_as_long_as_it_is(day: date, hours: int) -> None:
    always = [shift(weekday, "00:00", "24:00") for weekday in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")]
    assert hours_of(open_spans(always, NEW_YORK, day, day)) == hours


def test_days_that_touch_are_one_span() -> None:
    spans = open_spans([shift("mon", "20:00", "24:00"), shift("tue", "00:00", "06:00")], NEW_YORK, WINTER_MONDAY,
                       WINTER_MONDAY + timedelta(days=1))  # fmt: skip
    assert local(spans) == ["04 20:00-05 06:00"]


def test_a_night_shift_belongs_to_the_day_on_which_it_starts() -> None:
    night = [shift("mon", "22:00", "06:00", valid_to="2030-03-04")]
    assert local(open_spans(night, NEW_YORK, WINTER_MONDAY, WINTER_MONDAY)) == ["04 22:00-05 00:00"]
    assert local(open_spans(night, NEW_YORK, date(2030, 3, 5), date(2030, 3, 5))) == ["05 00:00-05 06:00"]
    assert open_spans(night, NEW_YORK, date(2030, 3, 11), date(2030, 3, 12)) == []


def test_equal_times_mean_all_around_the_clock() -> None:
    spans = open_spans([shift("mon", "08:00", "08:00")], NEW_YORK, WINTER_MONDAY, WINTER_MONDAY + timedelta(days=1))
    assert local(spans) == ["04 08:00-05 08:00"]


@pytest.mark.parametrize(
    ("entry", "valid"),
    [
        ({}, True),
        ({"valid_from": None, "valid_to": None}, True),
        ({"valid_from": "2030-03-04"}, True),
        ({"valid_from": "2030-03-05"}, False),
        ({"valid_to": "2030-03-04"}, True),
        ({"valid_to": "2030-03-03"}, False),
    ],
)
def test_validity_is_inclusive(entry: dict[str, Any], valid: bool) -> None:  # noqa: FBT001
    assert valid_on(entry, WINTER_MONDAY) is valid


@pytest.mark.parametrize(
    ("closure", "expected"),
    [
        ({"from": "2030-03-04", "to": "2030-03-04"}, ["04 00:00-05 00:00"]),
        ({"from": "2030-03-04", "to": "2030-03-05"}, ["04 00:00-06 00:00"]),
        ({"from": "2030-03-04T12:00", "to": "2030-03-04T13:30"}, ["04 12:00-04 13:30"]),
        ({"from": "2030-03-04T12:00", "to": "2030-03-05"}, ["04 12:00-06 00:00"]),
        ({"from": "2030-03-04", "to": "2030-03-05T09:00"}, ["04 00:00-05 09:00"]),
        ({"from": "2020-01-01", "to": "2020-01-02"}, []),
    ],
)
def test_closures_in_days_and_minutes(closure: dict[str, Any], expected: list[str]) -> None:
    assert local(closed_spans([closure], NEW_YORK, WINTER_MONDAY, WINTER_MONDAY + timedelta(days=6))) == expected


def test_closures_are_clipped_to_the_days_asked_for() -> None:
    longer = {"from": "2030-01-01", "to": "2030-12-31"}
    assert local(closed_spans([longer], NEW_YORK, WINTER_MONDAY, WINTER_MONDAY)) == ["04 00:00-05 00:00"]


def test_all_faults_of_hours_are_named_at_once() -> None:
    faults = hours_faults(
        [
            shift("mon", "09:00", "24:00", valid_from="2030-01-01", valid_to="2030-01-01"),
            shift("monday", "24:00", "9:00"),
            shift("tue", "09:60", "25:00", valid_from="2030-02-30"),
            shift("wed", "09:00", "17:00", valid_from="2030-02-02", valid_to="2030-02-01"),
            {},
        ]
    )
    assert [(fault.pointer, fault.code) for fault in faults] == [
        ("/hours/1/weekday", "unknown_weekday"),
        ("/hours/1/start", "invalid_time"),
        ("/hours/1/end", "invalid_time"),
        ("/hours/2/start", "invalid_time"),
        ("/hours/2/end", "invalid_time"),
        ("/hours/2/valid_from", "invalid_date"),
        ("/hours/3/valid_to", "ends_before_start"),
        ("/hours/4/weekday", "unknown_weekday"),
        ("/hours/4/start", "invalid_time"),
        ("/hours/4/end", "invalid_time"),
    ]


def test_all_faults_of_closures_are_named_at_once() -> None:
    faults = closure_faults(
        [
            {"from": "2030-03-04", "to": "2030-03-04"},
            {"from": "2030-03-04T09:00", "to": "2030-03-04T09:00"},
            {"from": "2030-03-05", "to": "2030-03-04"},
            {"from": "tomorrow", "to": "2030-03-04T09:00:00"},
            {"from": "9999-12-31", "to": 20300304},
            {"from": "2030-02-29"},
        ]
    )
    assert [(fault.pointer, fault.code) for fault in faults] == [
        ("/closures/1/to", "ends_before_start"),
        ("/closures/2/to", "ends_before_start"),
        ("/closures/3/from", "invalid_date"),
        ("/closures/3/to", "invalid_date"),
        ("/closures/4/from", "invalid_date"),
        ("/closures/4/to", "invalid_date"),
        ("/closures/5/from", "invalid_date"),
        ("/closures/5/to", "invalid_date"),
    ]


_clock = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
_entries = st.lists(
    st.builds(shift, st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), _clock, _clock), max_size=8
)


@given(
    _entries,
    st.sampled_from([NEW_YORK, "Europe/London", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca"]),
    st.dates(date(2029, 1, 1), date(2031, 12, 31)),
    st.integers(0, 5),
)
def test_a_window_shows_what_a_wider_one_shows_there(
    entries: list[dict[str, Any]], time_zone: str, first: date, days: int
) -> None:
    last = first + timedelta(days=days)
    wider = open_spans(entries, time_zone, first - timedelta(days=3), last + timedelta(days=3))
    window = open_spans([shift(day, "00:00", "24:00") for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")],
                        time_zone, first, last)  # fmt: skip
    assert len(window) == 1
    clipped = [part for part in (span.clip(window[0]) for span in wider) if part is not None]
    assert open_spans(entries, time_zone, first, last) == clipped
