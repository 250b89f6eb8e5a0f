"""The invented clinic: as large as promised, nobody real, and fit for the visits that it is filled with."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from scheduler.core.civil import zone
from scheduler.demo import clinic
from scheduler.demo.clock import StoryClock
from scheduler.demo.filling import Filled, kept
from scheduler.demo.seed import next_monday
from scheduler.services import shipped

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_it_is_as_large_as_promised() -> None:
    roles = Counter(person.role for person in clinic.STAFF)
    assert roles == {"prescriber": 3, "nurse": 4, "therapist": 3}
    assert Counter(person.units for person in clinic.STAFF if person.role == "nurse") == {1: 2, 2: 2}
    assert sum(len(site.rooms) for site in clinic.SITES) == 4
    assert len({zone(site.time_zone).key for site in clinic.SITES}) == len(clinic.SITES) == 2
    assert len(list(clinic.patients())) == 40


def test_nobody_in_it_can_be_reached() -> None:
    people = [values for _, values in clinic.patients()]
    contacts = [(each["channel"], each["value"]) for values in people for each in values["contacts"]]
    assert len(set(contacts)) == len(contacts) == 80
    assert all(value.endswith("@example.org") for channel, value in contacts if channel == "email")
    assert all(value.startswith("+120255501") for channel, value in contacts if channel == "sms")
    assert len({values["name"] for values in people}) == 40
    assert "fictional" in clinic.CLINICIAN
    assert "fictional" in clinic.NAME


@pytest.mark.parametrize("site", clinic.SITES, ids=lambda site: site.key)
def test_each_site_has_what_its_visits_need(site: clinic.Site) -> None:
    roles = {person.role for person in clinic.STAFF if person.site == site.key}
    types = {room_type for _, room_type in site.rooms}
    documents = {each["code"]: each for each in shipped.visit_types()}
    for code in site.mix:
        for segment in documents[code]["segments"]:
            for need in segment["needs"]:
                assert need.get("role") in {None, *roles}, code
                assert need.get("room_type") in {None, *types}, code
        requires = documents[code].get("requires", {})
        assert set(requires.get("site_certifications", ())) <= set(site.certified), code
        assert set(requires.get("clearances", ())) <= set(site.clearances), code


def test_it_keeps_the_holidays() -> None:
    def reasons(first: date, last: date) -> list[tuple[str, str]]:
        return [(each["from"], each["reason"]) for each in clinic.closures(first, last)]

    assert reasons(date(2026, 11, 1), date(2027, 1, 31)) == [
        ("2026-11-26", "Thanksgiving"), ("2026-12-25", "Christmas"), ("2027-01-01", "New Year's Day"),
    ]  # fmt: skip
    assert reasons(date(2027, 7, 4), date(2027, 7, 4)) == [("2027-07-04", "Independence Day")]
    assert reasons(date(2026, 3, 1), date(2026, 6, 30)) == []


@pytest.mark.parametrize(
    ("now", "monday"),
    [
        (NOON, date(2026, 3, 2)),
        (NOON + timedelta(days=1), date(2026, 3, 9)),
        (datetime(2026, 3, 2, 3, tzinfo=UTC), date(2026, 3, 2)),
        (datetime(2027, 2, 27, 12, tzinfo=UTC), date(2027, 3, 1)),
    ],
)
def test_the_calendar_begins_on_the_monday_after_today(now: datetime, monday: date) -> None:
    assert next_monday(now, "America/New_York") == monday


def test_the_clock_stands_until_it_is_set_and_never_runs_back() -> None:
    clock = StoryClock(NOON)
    assert clock() == clock() == NOON
    clock.set(NOON + timedelta(hours=3))
    clock.set(NOON)
    assert clock() == NOON + timedelta(hours=3)
    clock.run()
    first = clock()
    assert NOON + timedelta(hours=3) <= first <= clock() < NOON + timedelta(hours=4)


def test_a_share_of_the_minutes_is_kept_in_order_of_time() -> None:
    class Visit(Filled):
        minutes = 30  # type: ignore[assignment]

    day = [Visit(None, NOON + timedelta(hours=hour), NOON, ()) for hour in (5, 1, 4, 2, 3)]  # type: ignore[arg-type]
    found = kept(day, 0.6, Random(1))
    assert len(found) == 3
    assert found == sorted(found, key=lambda visit: visit.start)
    assert kept(day, 0.6, Random(1)) == found
    assert kept(day, 1, Random(1)) == sorted(day, key=lambda visit: visit.start)
    assert kept([], 0.6, Random(1)) == []
