"""One message for many changes: what it tells, what joins it, and what it keeps still about. On both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from scheduler.models import Message, Resource
from scheduler.services import disruptions, locations, outbox, resources, series, visit_day
from scheduler.services.outbox import Letter
from tests.clinic import Clinic
from tests.desk import book, wanted
from tests.postroom import begin, cancel, claim, messages, move, open_postroom, settle

MONDAY = "2030-03-11 09:00"
UNDO = timedelta(minutes=3)


@pytest.fixture
def clinic(engine: Engine) -> Clinic:
    return open_postroom(engine)


@pytest.fixture
def visits(clinic: Clinic) -> list[UUID]:
    """Three weekly visits, of which the patient has been told."""
    asked = wanted(clinic, clinic.patient(), "session", MONDAY)
    made, _ = clinic.do(lambda s, c: series.create(s, c, asked, "FREQ=WEEKLY;COUNT=3"))
    for letter in claim(clinic, clinic.call.now):
        assert begin(clinic, letter, clinic.call.now)
        settle(clinic, letter, clinic.call.now)
    return [each.id for each in made.appointments]


def shift(clinic: Clinic, visit: UUID, start: str, **changes: Any) -> None:
    clinic.do(lambda s, c: series.reschedule(s, c, visit, "following", clinic.at(start)), **changes)


def news(clinic: Clinic, after: timedelta) -> list[Letter]:
    """The news that a worker is handed by then."""
    kinds = {"booked", "rescheduled", "cancelled", "course_changed", "series_overview"}
    return [letter for letter in claim(clinic, clinic.call.now + after) if letter.kind in kinds]


def times(clinic: Clinic, letter: Letter) -> list[tuple[str | None, str | None]]:
    def told(moment: Any) -> str | None:
        return next((day for day in DAYS if clinic.at(day) == moment), str(moment)) if moment else None

    return [(told(turn.was), told(turn.now)) for turn in letter.turns]


DAYS = [f"2030-03-{day} {hour}:00" for day in (11, 18, 25, 12, 19, 26, 13, 20, 27) for hour in ("09", "10", "11")]


def test_a_series_is_told_of_once(clinic: Clinic, visits: list[UUID]) -> None:
    (told,) = messages(clinic, Message.status == "sent")
    assert (told.kind, told.series_id is not None, told.appointment_id) == ("series_overview", True, None)


def test_a_shifted_series_is_one_message_that_waits_three_minutes(clinic: Clinic, visits: list[UUID]) -> None:
    shift(clinic, visits[0], "2030-03-12 10:00")
    assert news(clinic, UNDO - timedelta(seconds=1)) == []
    (letter,) = news(clinic, UNDO)
    assert letter.kind == "course_changed"
    assert times(clinic, letter) == [
        ("2030-03-11 09:00", "2030-03-12 10:00"),
        ("2030-03-18 09:00", "2030-03-19 10:00"),
        ("2030-03-25 09:00", "2030-03-26 10:00"),
    ]


def test_it_takes_back_what_was_on_its_way(clinic: Clinic, visits: list[UUID]) -> None:
    due = next(row.due_at for row in messages(clinic, Message.appointment_id == visits[0], Message.status == "pending"))
    leaving = [letter for letter in claim(clinic, due) if letter.kind.startswith("remind")]
    assert all(begin(clinic, letter, due) for letter in leaving)
    shift(clinic, visits[0], "2030-03-12 10:00", now=due)
    later = due + 5 * UNDO
    (letter,) = [each for each in claim(clinic, later) if each.kind in {"course_changed", "correction"}]
    assert (letter.kind, letter.also) == ("course_changed", ())
    assert {row.merged_into for row in messages(clinic, Message.kind == "correction")} == {letter.id}


def test_what_changes_meanwhile_joins_it(clinic: Clinic, visits: list[UUID]) -> None:
    shift(clinic, visits[0], "2030-03-12 10:00")
    move(clinic, visits[1], "2030-03-20 11:00")
    cancel(clinic, visits[2])
    (letter,) = news(clinic, UNDO)
    assert times(clinic, letter) == [
        ("2030-03-11 09:00", "2030-03-12 10:00"),
        ("2030-03-18 09:00", "2030-03-20 11:00"),
        ("2030-03-25 09:00", None),
    ]


@pytest.mark.parametrize("how", ["cancelled", "moved", "shifted"])
@pytest.mark.parametrize("tried", [False, True])
def test_what_changes_while_a_worker_has_it_in_hand_is_told_once(
    clinic: Clinic, visits: list[UUID], how: str, *, tried: bool
) -> None:
    """Claimed and not begun, it is given back, and tells of all by then: nothing else may tell it again."""
    shift(clinic, visits[0], "2030-03-12 10:00")
    now = clinic.call.now + UNDO
    (letter,) = claim(clinic, now)
    if tried:
        assert begin(clinic, letter, now)
        settle(clinic, letter, now, "busy")
        now += timedelta(minutes=1)
        (letter,) = claim(clinic, now)
    if how == "cancelled":
        cancel(clinic, visits[2], now=now)
    elif how == "moved":
        move(clinic, visits[2], "2030-03-27 11:00", now=now)
    else:
        shift(clinic, visits[1], "2030-03-20 11:00", now=now)
    assert not begin(clinic, letter, now)
    told = []
    for each in (now, now + UNDO, now + 2 * UNDO):
        for again in claim(clinic, each):
            assert begin(clinic, again, each)
            settle(clinic, again, each)
            told.append(again)
    assert [each.kind for each in told] == ["course_changed"]
    second, last = {
        "cancelled": ("2030-03-19 10:00", None),
        "moved": ("2030-03-19 10:00", "2030-03-27 11:00"),
        "shifted": ("2030-03-20 11:00", "2030-03-27 11:00"),
    }[how]
    assert times(clinic, told[0]) == [
        ("2030-03-11 09:00", "2030-03-12 10:00"),
        ("2030-03-18 09:00", second),
        ("2030-03-25 09:00", last),
    ]


@pytest.mark.parametrize("ends", ["", "busy"])
def test_what_changes_when_it_has_begun_is_told_by_another(clinic: Clinic, visits: list[UUID], ends: str) -> None:
    """Nobody can say yet whether that one has left with the old time."""
    shift(clinic, visits[0], "2030-03-12 10:00")
    now = clinic.call.now + UNDO
    (letter,) = claim(clinic, now)
    assert begin(clinic, letter, now)
    cancel(clinic, visits[2], now=now)
    settle(clinic, letter, now, ends)
    told = claim(clinic, now + UNDO)
    assert {"cancelled"} <= {each.kind for each in told}


def test_a_second_shift_takes_the_first_along(clinic: Clinic, visits: list[UUID]) -> None:
    shift(clinic, visits[0], "2030-03-12 10:00")
    shift(clinic, visits[1], "2030-03-20 11:00")
    (letter,) = news(clinic, UNDO)
    assert [was for was, _ in times(clinic, letter)] == ["2030-03-11 09:00", "2030-03-18 09:00", "2030-03-25 09:00"]
    assert times(clinic, letter)[2][1] == "2030-03-27 11:00"


def test_shifted_and_shifted_back_says_nothing(clinic: Clinic, visits: list[UUID]) -> None:
    shift(clinic, visits[0], "2030-03-12 10:00")
    shift(clinic, visits[0], MONDAY)
    assert news(clinic, UNDO) == []
    digests = messages(clinic, Message.kind == "course_changed")
    assert {row.reason for row in digests} == {"merged", "undone"}


def test_an_undo_within_three_minutes_says_nothing(clinic: Clinic, visits: list[UUID]) -> None:
    move(clinic, visits[0], "2030-03-12 10:00")
    clinic.do(lambda s, c: visit_day.undo(s, c, visits[0]), now=clinic.call.now + timedelta(minutes=2))
    assert news(clinic, UNDO * 2) == []
    cancel(clinic, visits[0])
    clinic.do(lambda s, c: visit_day.undo(s, c, visits[0]), now=clinic.call.now + timedelta(minutes=2))
    assert news(clinic, UNDO * 2) == []


def test_an_undo_of_what_was_told_is_told(clinic: Clinic, visits: list[UUID]) -> None:
    shift(clinic, visits[0], "2030-03-12 10:00")
    now = clinic.call.now + UNDO
    (letter,) = claim(clinic, now)
    assert begin(clinic, letter, now)
    settle(clinic, letter, now)
    clinic.do(lambda s, c: visit_day.undo(s, c, visits[1]), now=now)
    (again,) = claim(clinic, now + UNDO)
    assert (again.kind, again.previous, again.about) == (
        "rescheduled",
        clinic.at("2030-03-19 10:00"),
        clinic.at("2030-03-18 09:00"),
    )


def test_one_visit_of_a_series_is_told_of_as_such(clinic: Clinic, visits: list[UUID]) -> None:
    shift(clinic, visits[2], "2030-03-26 10:00")
    (letter,) = news(clinic, UNDO)
    assert (letter.kind, letter.previous) == ("rescheduled", clinic.at("2030-03-25 09:00"))


def test_a_series_cancelled_as_a_whole_is_one_message(clinic: Clinic, visits: list[UUID]) -> None:
    clinic.do(lambda s, c: series.cancel(s, c, visits[0], "all", reason="moved away", by="patient"))
    (letter,) = news(clinic, UNDO)
    assert [now for _, now in times(clinic, letter)] == [None, None, None]


def test_visits_of_no_course_that_a_disruption_moves_are_one_message(clinic: Clinic) -> None:
    """Of one day, of which the therapist is away; the last of them is cancelled before the message leaves."""
    patient, now = clinic.patient(), clinic.call.now
    alone = [book(clinic, patient, "session", f"2030-03-11 {hour}:00").id for hour in ("09", "10", "11")]
    other = book(clinic, clinic.patient(), "session", "2030-03-11 14:00").id
    for letter in claim(clinic, now):
        assert begin(clinic, letter, now)
        settle(clinic, letter, now)
    with Session(clinic.engine) as session:
        therapist = session.scalars(select(Resource.id).where(Resource.name == "therapist")).one()
    away = clinic.at("2030-03-11 00:00"), clinic.at("2030-03-12 00:00")
    found = clinic.do(lambda s, c: disruptions.offer(s, c, therapist, *away, "ill"))
    clinic.call = replace(clinic.call, now=now + UNDO)
    clinic.do(lambda s, c: disruptions.accept(s, c, found.token, everything=True))
    to = {line.appointment_id: line.to for line in found.lines}
    last = max(alone, key=lambda each: (to[each], each))
    cancel(clinic, last)
    letters = {letter.kind: letter for letter in news(clinic, UNDO)}
    assert letters.keys() == {"course_changed", "rescheduled"}
    told = letters["course_changed"]
    was = {line.appointment_id: line.start for line in found.lines}
    assert {turn.was: turn.now for turn in told.turns} == {
        was[each]: None if each == last else to[each] for each in alone
    }
    assert len(told.calendar) == 3
    assert letters["rescheduled"].about == to[other]
    assert begin(clinic, told, now + UNDO * 2)
    settle(clinic, told, now + UNDO * 2)
    kept = next(each for each in alone if each != last)
    move(clinic, kept, "2030-03-20 09:00", now=now + UNDO * 2)
    after = next(letter for letter in news(clinic, UNDO * 2) if letter.about == clinic.at("2030-03-20 09:00"))
    assert (after.kind, after.previous) == ("rescheduled", to[kept])


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_visits_at_two_sites_are_one_message_with_each_sites_clock(clinic: Clinic) -> None:
    """The therapist serves in the east on Mondays and in the west on Wednesdays, and is away for both."""
    clinic.call = replace(clinic.call, now=clinic.at("2030-03-01 13:00"))  # nobody's quiet hours in the west either
    patient, east, hours = clinic.patient(), clinic.location_id, {"start": "08:00", "end": "18:00"}
    values = {"name": "Harbor West", "time_zone": "America/Los_Angeles", "hours": clinic.hours}
    west = clinic.do(lambda s, c: locations.create(s, c, values).id)
    with Session(clinic.engine) as session:
        row = session.scalars(select(Resource).where(Resource.name == "therapist")).one()
    shifts = [
        {**hours, "weekday": day, "location_id": str(site)}
        for day, site in (("mon", east), ("tue", east), ("wed", west))
    ]
    clinic.do(lambda s, c: resources.change(s, c, resources.PRACTITIONER, row.id, row.revision, {"hours": shifts}))
    alone = [book(clinic, patient, "session", "2030-03-11 09:00").id]
    clinic.location_id, clinic.time_zone = west, values["time_zone"]
    clinic.room("consult")
    alone.append(book(clinic, patient, "session", "2030-03-13 09:00").id)
    for letter in claim(clinic, clinic.call.now):
        assert begin(clinic, letter, clinic.call.now)
        settle(clinic, letter, clinic.call.now)
    away = clinic.at("2030-03-11 00:00"), clinic.at("2030-03-14 00:00")
    found = clinic.do(lambda s, c: disruptions.offer(s, c, row.id, *away, "ill"))
    assert {line.appointment_id for line in found.lines if line.to} == set(alone)
    clinic.do(lambda s, c: disruptions.accept(s, c, found.token, everything=True))
    (told,) = news(clinic, UNDO)
    assert {turn.was: turn.time_zone for turn in told.turns} == {
        line.start: {alone[0]: "America/New_York", alone[1]: values["time_zone"]}[line.appointment_id]
        for line in found.lines
    }
    body = outbox.in_words(told, clinic.call.now).body
    assert (body.count("09:00"), body.count("12:00")) == (4, 0), body
