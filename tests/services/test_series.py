"""Series without a course: every occurrence looked at, booked whole, changed by scope; what was cancelled stays so."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Engine

from scheduler.core.civil import to_local
from scheduler.core.errors import Invalid, Refused
from scheduler.models import Appointment, Series
from scheduler.services import booking, series
from scheduler.services.finding import Wanted
from scheduler.services.recurring import occurrences
from scheduler.services.series import SeriesView
from tests.clinic import Clinic, week
from tests.desk import TALK, book, count, overlaps

WEEKLY = "FREQ=WEEKLY;COUNT=6"


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    made = Clinic(engine)
    made.visit(TALK)
    made.staff("therapist")
    made.room("consult")
    return made


def wanted(clinic: Clinic, patient_id: UUID | None = None, start: str = "2030-03-04 10:00") -> Wanted:
    return Wanted(patient_id or clinic.patient(), "talk", clinic.location_id, clinic.at(start))


def create(
    clinic: Clinic,
    rule: str = WEEKLY,
    *,
    drop: tuple[datetime, ...] = (),
    start: str = "2030-03-04 10:00",
    patient_id: UUID | None = None,
) -> SeriesView:
    asked = wanted(clinic, patient_id, start)
    return clinic.do(lambda s, c: series.create(s, c, asked, rule, drop=drop))[0]


def starts(clinic: Clinic, view: SeriesView, *statuses: str) -> list[str]:
    """The local starts of the series' visits of those statuses."""
    chosen = [each.row for each in view.appointments if not statuses or each.row.status in statuses]
    return sorted(row.local_start for row in chosen)


def again(clinic: Clinic, view: SeriesView) -> SeriesView:
    return clinic.do(lambda s, c: series.get(s, c, view.id))


def test_the_wall_time_stays_through_both_changes_of_the_clocks(clinic: Clinic) -> None:
    """Ten o'clock every fourth week of 2030: New York changes on 10 March and on 3 November."""
    made = create(clinic, "FREQ=WEEKLY;INTERVAL=4;COUNT=10")
    assert {start[-5:] for start in starts(clinic, made)} == {"10:00"}
    assert len({each.row.starts_at.hour for each in made.appointments}) == 2
    assert {each.row.ends_at - each.row.starts_at for each in made.appointments} == {timedelta(hours=1)}


def test_every_occurrence_is_looked_at_and_one_conflict_books_nothing(clinic: Clinic) -> None:
    """The peers look at the first only."""
    book(clinic, clinic.patient(), "talk", "2030-04-01 10:30")
    asked = wanted(clinic)
    looks = clinic.do(lambda s, c: series.preview(s, c, asked, WEEKLY))
    assert [look.found is not None for look in looks] == [True, True, True, True, False, True]
    assert {reason.code for reason in looks[4].reasons} == {"resource_busy"}
    with pytest.raises(Refused) as caught:
        clinic.do(lambda s, c: series.create(s, c, asked, WEEKLY))
    assert "2030-04-01T10:00" in caught.value.detail
    assert (count(clinic, Series), count(clinic, Appointment)) == (0, 1)
    dropped = clinic.at("2030-04-01 10:00")
    made = clinic.do(lambda s, c: series.create(s, c, asked, WEEKLY, drop=[dropped]))[0]
    assert len(made.appointments) == 5
    assert made.row.dropped == [{"occurrence": "2030-04-01T10:00"}]


def test_a_closed_day_is_a_conflict_too(clinic: Clinic) -> None:
    asked = wanted(clinic, start="2030-03-08 10:00")
    looks = clinic.do(lambda s, c: series.preview(s, c, asked, "FREQ=DAILY;COUNT=4"))
    assert [look.found is not None for look in looks] == [True, False, False, True]


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("FREQ=SECONDLY;COUNT=3", "unsupported_rule"),
        ("FREQ=WEEKLY", "endless_rule"),
        ("FREQ=WEEKLY;COUNT=3;UNTIL=20300501T000000", "endless_rule"),
        ("FREQ=WEEKLY;COUNT=many", "bad_rule"),
        ("FREQ=WEEKLY;COUNT=3;INTERVAL=0", "bad_rule"),
        ("FREQ=WEEKLY;COUNT=3;INTERVAL=many", "bad_rule"),
        ("FREQ=WEEKLY;COUNT=3;COUNT=4", "bad_rule"),
        ("FREQ=WEEKLY;COUNT=1_0", "bad_rule"),
        ("FREQ=WEEKLY;UNTIL=20301399", "bad_rule"),
        ("FREQ=WEEKLY;UNTIL=00010101T000000Z", "bad_rule"),
        ("FREQ=WEEKLY;COUNT=400", "bad_length"),
        ("FREQ=WEEKLY;COUNT=0", "bad_length"),
        ("FREQ=DAILY;INTERVAL=9999;COUNT=100", "bad_length"),
        ("FREQ=MONTHLY;INTERVAL=12;UNTIL=20990304", "bad_length"),
        ("FREQ=MONTHLY;BYDAY=6TU;COUNT=2", "bad_rule"),
        ("FREQ=MONTHLY;BYDAY=2MO;COUNT=2", "not_in_rule"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=SU;COUNT=2", "not_in_rule"),
        ("FREQ=WEEKLY;COUNT=3;BYDAY=TU", "not_in_rule"),
        ("nonsense", "unsupported_rule"),
    ],
)
def test_a_rule_outside_the_subset_is_named(clinic: Clinic, rule: str, code: str) -> None:
    asked = wanted(clinic)
    with pytest.raises(Invalid) as caught:
        clinic.do(lambda s, c: series.preview(s, c, asked, rule))
    assert caught.value.faults[0].code == code


@pytest.mark.parametrize(
    ("time_zone", "until", "last"),
    [
        ("America/New_York", "20300318", "2030-03-18T10:00"),
        ("America/New_York", "20300318T100000", "2030-03-18T10:00"),
        ("America/New_York", "20300318T095959", "2030-03-11T10:00"),
        ("America/New_York", "20300318T140000Z", "2030-03-18T10:00"),
        ("America/New_York", "20300318T135959Z", "2030-03-11T10:00"),
        ("Asia/Kolkata", "20300318T043000Z", "2030-03-18T10:00"),
        ("Pacific/Apia", "20300317T210000Z", "2030-03-18T10:00"),
    ],
)
def test_the_last_occurrence_is_the_one_that_until_names(time_zone: str, until: str, last: str) -> None:
    """Calendars write it in UTC, an instant; without that it is a wall time, and a day is a whole one."""
    found = occurrences(f"FREQ=WEEKLY;UNTIL={until}", datetime.fromisoformat("2030-03-04T10:00"), time_zone)
    assert found[-1] == datetime.fromisoformat(last)


def test_one_occurrence_moves_and_the_others_stay(clinic: Clinic) -> None:
    made = create(clinic)
    third = made.appointments[2]
    clinic.do(lambda s, c: series.reschedule(s, c, third.id, "this", clinic.at("2030-03-19 15:00")))
    after = again(clinic, made)
    assert starts(clinic, after)[2] == "2030-03-19T15:00"
    assert len([start for start in starts(clinic, after) if start.endswith("10:00")]) == 5
    assert after.appointments[2].row.occurrence == "2030-03-18T10:00", "what the rule meant is kept"


def test_this_and_following_move_by_as_many_days_to_the_same_hour(clinic: Clinic) -> None:
    made = create(clinic)
    third = made.appointments[2]
    clinic.do(lambda s, c: series.reschedule(s, c, third.id, "following", clinic.at("2030-03-19 15:00")))
    assert starts(clinic, again(clinic, made)) == [
        "2030-03-04T10:00",
        "2030-03-11T10:00",
        "2030-03-19T15:00",
        "2030-03-26T15:00",
        "2030-04-02T15:00",
        "2030-04-09T15:00",
    ]
    assert overlaps(clinic.engine) == 0


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_one_that_was_moved_alone_comes_to_the_common_hour_with_all(clinic: Clinic) -> None:
    """From the day on which it stands: nobody has to remember which visits were exceptions."""
    made = create(clinic)
    clinic.do(lambda s, c: series.reschedule(s, c, made.appointments[2].id, "this", clinic.at("2030-03-19 15:00")))
    clinic.do(lambda s, c: series.reschedule(s, c, made.appointments[0].id, "all", clinic.at("2030-03-05 11:00")))
    assert starts(clinic, again(clinic, made))[:3] == ["2030-03-05T11:00", "2030-03-12T11:00", "2030-03-20T11:00"]


def test_moving_all_by_a_week_does_not_trip_over_itself(clinic: Clinic) -> None:
    for days in (7, -7):
        made = create(clinic, start="2030-04-01 10:00" if days > 0 else "2030-06-03 10:00")
        first = made.appointments[0]
        to = clinic.at(f"{to_local(first.row.starts_at, clinic.time_zone) + timedelta(days=days):%Y-%m-%d %H:%M}")
        clinic.do(lambda s, c, key=first.id, to=to: series.reschedule(s, c, key, "all", to))
        after = again(clinic, made)
        assert after.appointments[0].row.starts_at == to
        assert len(set(starts(clinic, after))) == 6


def test_a_move_that_one_of_them_cannot_make_moves_none(clinic: Clinic) -> None:
    made = create(clinic)
    book(clinic, clinic.patient(), "talk", "2030-04-08 15:00")
    with pytest.raises(Refused):
        clinic.do(lambda s, c: series.reschedule(s, c, made.appointments[0].id, "all", clinic.at("2030-03-04 15:00")))
    assert starts(clinic, again(clinic, made)) == starts(clinic, made)


def test_cancelled_occurrences_stay_cancelled_and_past_ones_as_they_were(clinic: Clinic) -> None:
    made = create(clinic)
    second = made.appointments[1]
    clinic.do(lambda s, c: series.cancel(s, c, second.id, "this", reason="x", by="patient"))
    now = clinic.at("2030-03-05 09:00")
    third = made.appointments[2]
    clinic.do(lambda s, c: series.reschedule(s, c, third.id, "all", clinic.at("2030-03-18 16:00")), now=now)
    after = again(clinic, made)
    assert starts(clinic, after, "cancelled") == ["2030-03-11T10:00"]
    assert starts(clinic, after, "booked")[0] == "2030-03-04T10:00"
    assert {start[-5:] for start in starts(clinic, after, "booked")[1:]} == {"16:00"}
    clinic.do(lambda s, c: series.cancel(s, c, third.id, "following", reason="x", by="patient"), now=now)
    assert starts(clinic, again(clinic, made), "booked") == ["2030-03-04T10:00"]
    with pytest.raises(Refused):
        clinic.do(lambda s, c: series.cancel(s, c, third.id, "all", reason="x", by="patient"), now=now)


def test_a_single_visit_has_no_scope(clinic: Clinic) -> None:
    alone = book(clinic, clinic.patient(), "talk", "2030-03-04 10:00")
    with pytest.raises(Invalid):
        clinic.do(lambda s, c: series.cancel(s, c, alone.id, "all", reason="x", by="patient"))
    clinic.do(lambda s, c: booking.cancel(s, c, alone.id, reason="x", by="patient"))


def test_visits_that_pass_each_other_move_all_the_same(clinic: Clinic) -> None:
    """The second had been moved to where the third now goes: whoever moves them one by one finds it taken."""
    made = create(clinic, "FREQ=DAILY;COUNT=3")
    first, second, third = (each.id for each in made.appointments)
    there = "2030-03-07 09:30"
    clinic.do(lambda s, c: series.reschedule(s, c, second, "this", clinic.at(there)))
    moved = clinic.do(lambda s, c: series.reschedule(s, c, first, "all", clinic.at("2030-03-05 10:00")))
    assert {each.id: each.row.local_start for each in moved} == {
        first: "2030-03-05T10:00",
        second: "2030-03-08T10:00",
        third: "2030-03-07T10:00",
    }
    assert overlaps(clinic.engine) == 0
    assert {each.row.sequence for each in moved} == {1, 2}


def test_what_the_clocks_skip_is_left_out_and_said(engine: Engine) -> None:
    """New York has no half past two on 10 March 2030."""
    clinic = Clinic(engine, hours=week("00:00", "24:00", ("mon", "tue", "wed", "thu", "fri", "sat", "sun")))
    clinic.visit(TALK)
    clinic.staff("therapist")
    clinic.room("consult")
    asked = wanted(clinic, start="2030-03-09 02:30")
    looks = clinic.do(lambda s, c: series.preview(s, c, asked, "FREQ=DAILY;COUNT=3"))
    assert [(look.found is not None, [reason.code for reason in look.reasons]) for look in looks] == [
        (True, []),
        (False, ["nonexistent_time"]),
        (True, []),
    ]
    made = clinic.do(lambda s, c: series.create(s, c, asked, "FREQ=DAILY;COUNT=3"))[0]
    assert starts(clinic, made) == ["2030-03-09T02:30", "2030-03-11T02:30"]
    assert made.row.dropped == [{"occurrence": "2030-03-10T02:30", "code": "nonexistent_time"}]
