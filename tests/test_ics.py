"""Calendar texts, read back by a second parser and by an independent reading of their zones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
import pytest
import vobject
from dateutil.tz import tzical
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import ics
from scheduler.core.calendar_entry import Entry, Method

CHANGED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VISIT = Entry(
    visit_id="0198c0de-0000-7000-8000-000000000001",
    sequence=3,
    start=datetime(2026, 3, 8, 14, tzinfo=UTC),
    end=datetime(2026, 3, 8, 16, tzinfo=UTC),
    time_zone="America/New_York",
    title="Clinic visit",
    status="CONFIRMED",
    stamp=CHANGED,
)
ZONES = (
    "America/New_York", "America/Chicago", "Europe/London", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut",
    "Asia/Kathmandu", "Pacific/Apia", "America/Santiago",
)  # fmt: skip


def second_reading(text: bytes) -> Any:
    """By the zones of this text: the reader remembers those of others by their names."""
    known = vars(vobject.icalendar)["__tzidMap"]
    for name in known.keys() - {"UTC"}:
        del known[name]
    return vobject.readOne(text.decode())


def test_a_feed_says_what_was_put_in() -> None:
    off = replace(VISIT, visit_id="other", status="CANCELLED", start=VISIT.end, end=VISIT.end + timedelta(hours=1))
    read = second_reading(ics.feed([VISIT, off], "Room 1"))
    first, second = read.vevent_list
    assert (first.uid.value, first.sequence.value) == (f"{VISIT.visit_id}@regimen", "3")
    assert (first.summary.value, first.status.value, second.status.value) == ("Clinic visit", "CONFIRMED", "CANCELLED")
    assert first.dtstart.value.isoformat()[:19] == "2026-03-08T10:00:00"
    assert first.dtstamp.value == CHANGED


def test_the_same_entries_give_the_same_bytes() -> None:
    assert ics.feed([VISIT], "A") == ics.feed([VISIT], "A")
    assert ics.feed([VISIT], "A") != ics.feed([replace(VISIT, sequence=4)], "A")


@pytest.mark.parametrize("method", ["REQUEST", "CANCEL", "PUBLISH"])
def test_an_invitation_carries_its_method_and_its_people(method: Method) -> None:
    text = ics.invitation([VISIT], method, organizer="desk@example.org", attendee="robin@example.org")
    read = icalendar.Calendar.from_ical(text)
    (event,) = read.walk("VEVENT")
    assert (read["method"], event["organizer"], event["attendee"]) == (
        method,
        "mailto:desk@example.org",
        "mailto:robin@example.org",
    )


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_out_of_its_line(title: str, place: str) -> None:
    read = icalendar.Calendar.from_ical(ics.feed([replace(VISIT, title=title, place=place)], "A"))
    assert len(list(read.walk("VEVENT"))) == 1
    assert sorted(part.name for part in read.walk()) == sorted(
        ["VCALENDAR", "VTIMEZONE", "STANDARD", "STANDARD", "DAYLIGHT", "VEVENT"]
    )


@pytest.mark.parametrize("name", ZONES)
@settings(max_examples=20)
@given(hours=st.integers(0, 24 * 500))
def test_another_reader_of_the_zone_finds_the_same_instant(name: str, hours: int) -> None:
    """The zone written into the text means the same as the pinned rules, on days of change too."""
    start = datetime(2026, 1, 1, 0, 30, tzinfo=UTC) + timedelta(hours=hours)
    entry = replace(VISIT, time_zone=name, start=start, end=start + timedelta(hours=2))
    text = ics.feed([entry], "A").decode()
    zone = tzical(_file(text)).get(name)
    shown = icalendar.Calendar.from_ical(text).walk("VEVENT")[0]["dtstart"].dt
    offsets = {shown.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    assert shown.utcoffset() in offsets or shown.tzname() == "UTC"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("America/New_York", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 14, 30, tzinfo=UTC)),
    ],
)
def test_a_visit_in_a_repeated_hour_is_read_at_its_own_time(name: str, first: datetime) -> None:
    """By readers that take a time which the clock shows twice as the first of the two, as RFC 5545 has it."""
    again = timedelta(minutes=30 if name == "Australia/Lord_Howe" else 60)
    starts = [first - timedelta(hours=2), first, first + again, first + timedelta(hours=3)]
    visits = [
        replace(VISIT, visit_id=str(number), time_zone=name, start=start, end=start + again)
        for number, start in enumerate(starts)
    ]
    for text in (ics.feed(visits, "A"), ics.invitation(visits, "PUBLISH")):
        read = [event.dtstart.value for event in second_reading(text).vevent_list]
        assert [moment.astimezone(UTC) for moment in read] == starts
        plain = icalendar.Calendar.from_ical(text).walk("VEVENT")
        assert [event["dtend"].dt.replace(fold=0).astimezone(UTC) for event in plain] == [
            start + again for start in starts
        ]
        assert b"DTSTART;TZID" in text


def _file(text: str) -> Any:
    from io import StringIO

    return StringIO(text.replace("\r\n ", "").replace("\r\n", "\n"))
